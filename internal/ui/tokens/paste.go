package tokens

import (
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/ui/visit"
)

// paste is a text that puts a new token to use. None holds the token: it would get into a shell's
// history or a repository.
type paste struct{ For, Text string }

// pastes are those for which the permissions suffice.
func pastes(v *visit.Visit, ps []access.Permission) []paste {
	held := access.Caller{Principal: &access.Principal{Permissions: ps}}
	read, write, use := held.MaySome(access.Read, v.Org), held.MaySome(access.Write, v.Org),
		held.MaySome(access.Use, v.Org)
	var all []paste
	add := func(what, text string) {
		text = strings.NewReplacer("<origin>", v.Origin(), "<org>", v.Org.String()).Replace(text)
		all = append(all, paste{what, strings.TrimSpace(text)})
	}
	if read || write || use {
		add("First, in bash: the token, typed or pasted", pasteFirst)
	}
	if use {
		add("Run a program that has the values as variables", pasteExec)
		add("Get the values with curl", pasteValues)
		add("Telegraf", pasteTelegraf)
		add("External Secrets in Kubernetes, with the token in the secret strongroom-token", pasteExternal)
	}
	if read {
		add("List names", pasteList)
	}
	if write {
		add("Set a secret; the command asks for the value", pasteSet)
	}
	return all
}

const (
	pasteFirst = `
read -rsp 'Token: ' INFLUX_TOKEN
export INFLUX_TOKEN INFLUX_HOST='<origin>' INFLUX_ORG_ID=<org>`
	pasteExec   = "influx secret exec --all -- ./app"
	pasteValues = `curl --header "Authorization: Token $INFLUX_TOKEN" '<origin>/api/v2/orgs/<org>/secret-values'`
	pasteList   = "influx secret list"
	pasteSet    = "influx secret update --key NAME"

	// The two below are those of docs/agents.md, which are tried with these programs.
	pasteTelegraf = `
[[secretstores.http]]
  id = "strongroom"
  url = "<origin>/api/v2/orgs/<org>/secret-values"
  token = "${STRONGROOM_TOKEN}"`
	pasteExternal = `
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
