package secrets

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"strongroom/internal/ui/visit"
)

// paste is a text that puts a secret to use. None holds a token: it would get into a shell's history or a repository.
type paste struct {
	For, Text string
	Why       string // why there is none
}

// pastes are those for one secret, filled in.
func pastes(v *visit.Visit, key string) []paste {
	fill := func(text string) string {
		return strings.TrimSpace(strings.NewReplacer("<origin>", v.Origin(), "<org>", v.Org.String(),
			"<shell>", shellQuote(key), "<go>", goString(key), "<json>", jsonString(key), "<flux>", fluxCall(key),
			"<query>", shellQuote("key="+url.QueryEscape(key)), "<variable>", variable(key), "<key>", key).Replace(text))
	}
	telegraf := paste{For: "Telegraf", Text: fill(pasteTelegraf)}
	if !plainName(key) {
		telegraf = paste{For: "Telegraf", Why: "Telegraf takes names of letters, digits and underscores only."}
	}
	external := paste{For: "External Secrets in Kubernetes", Text: fill(pasteExternal)}
	if strings.ContainsFunc(key, unicode.IsSpace) {
		external = paste{For: external.For, Why: "External Secrets does not pass on a name with a space in it."}
	}
	return []paste{
		{For: "A program that has it as a variable", Text: fill(pasteExec)},
		{For: "curl", Text: fill(pasteCurl)},
		telegraf, external,
		{For: "Go", Text: fill(pasteGo)},
		{For: "Flux", Text: fill(pasteFlux)},
	}
}

// plainName reports whether Telegraf takes the name.
func plainName(key string) bool {
	return key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_'
	})
}

// variable is a name for an environment variable, as influx makes it from the key.
func variable(key string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, key)
	if strings.Trim(name, "_") == "" || strings.IndexByte("0123456789", name[0]) >= 0 {
		name = "SECRET_" + name
	}
	return name[:min(len(name), 60)]
}

// jsonString is a string of JSON, and so one of YAML, too.
func jsonString(s string) string {
	b, _ := json.Marshal(s) // strings always encode
	return string(b)
}

// goString is a string of Go, which names what cannot be seen.
func goString(s string) string {
	return strconv.QuoteToASCII(s)
}

// The texts. Telegraf's and that of External Secrets are those of docs/agents.md, which are tried with these programs.
const (
	pasteExec = `
export INFLUX_HOST='<origin>' INFLUX_ORG_ID=<org>   # and INFLUX_TOKEN
influx secret exec --env <variable>=<shell> -- ./app`
	pasteCurl = `
curl --get --header "Authorization: Token $INFLUX_TOKEN" \
  --data <query> '<origin>/api/v2/orgs/<org>/secret-values'`
	pasteTelegraf = `
[[secretstores.http]]
  id = "strongroom"
  url = "<origin>/api/v2/orgs/<org>/secret-values"
  token = "${STRONGROOM_TOKEN}"

# then, where a plugin takes a secret: @{strongroom:<key>}`
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
            name: strongroom-token
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: database
spec:
  refreshInterval: 10m
  secretStoreRef:
    name: strongroom
    kind: SecretStore
  data:
    - secretKey: password
      remoteRef:
        key: <json>`
	pasteGo = `
c, err := client.New(client.Config{Host: "<origin>", Token: os.Getenv("INFLUX_TOKEN")})
if err != nil {
	log.Fatal(err)
}
secret, err := c.SecretValue(context.Background(), "<org>", <go>)
if err != nil {
	log.Fatal(err)
}
use(secret.Reveal())`
	pasteFlux = `
import "influxdata/influxdb/secrets"

value = <flux>`
)
