// Package paste writes the texts that people paste to put a secret or a token to use, filled in with where the server
// and the organisation are. None holds a value or a token: it would get into a shell's history or a repository.
package paste

import (
	"strings"

	"strongroom/internal/id"
)

// Text is one to paste.
type Text struct {
	For, Text string
	Why       string // why there is none
}

// Place is what a text is about: the server, as its reader reaches it, and the organisation.
type Place struct {
	Origin string
	Org    id.ID
}

// fill puts the place into the text, and of each pair of more the second for the first.
func (p Place) fill(text string, more ...string) string {
	return strings.TrimSpace(strings.NewReplacer(append(more, "<origin>", p.Origin, "<org>",
		p.Org.String())...).Replace(text))
}

// The texts for Telegraf and External Secrets are those of docs/agents.md, which are tried with these programs.
const (
	telegraf = `
[[secretstores.http]]
  id = "strongroom"
  url = "<origin>/api/v2/orgs/<org>/secret-values"
  token = "${STRONGROOM_TOKEN}"`
	externalStore = `
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata:
  name: strongroom
spec:
  provider:
    webhook:
      url: "<origin>/api/v2/orgs/<org>/secret-values/{{ .remoteRef.key }}"
      headers:
        Authorization: "Bearer {{ .auth.token }}"
      result:
        jsonPath: "$.value"
      secrets:
        - name: auth
          secretRef:
            name: strongroom-token`
)
