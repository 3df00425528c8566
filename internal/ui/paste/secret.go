package paste

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// Secret gives the texts that use the organisation's secret of that name.
func Secret(at Place, key string) []Text {
	fill := func(text string) string {
		return at.fill(text, "<shell>", shellQuote(key), "<go>", goString(key), "<json>", jsonString(key),
			"<flux>", fluxCall(key), "<query>", shellQuote("key="+url.QueryEscape(key)), "<variable>", variable(key),
			"<key>", key)
	}
	agent := Text{For: "Telegraf", Text: fill(telegraf + telegrafUse)}
	if !plainName(key) {
		agent = Text{For: agent.For, Why: "Telegraf takes names of letters, digits and underscores only."}
	}
	external := Text{For: "External Secrets in Kubernetes", Text: fill(externalStore + externalSecret)}
	if strings.ContainsFunc(key, unicode.IsSpace) {
		external = Text{For: external.For, Why: "External Secrets does not pass on a name with a space in it."}
	}
	return []Text{
		{For: "A program that has it as a variable", Text: fill(secretExec)},
		{For: "curl", Text: fill(secretCurl)},
		agent, external,
		{For: "Go", Text: fill(secretGo)},
		{For: "Flux", Text: fill(secretFlux)},
	}
}

// SetByCurl is how a script sets the secret. The value goes through standard input and so is not in the list of
// processes.
func SetByCurl(at Place, key string) string {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(map[string]string{key: "NEW VALUE"}) // strings always encode
	return "curl --request PATCH " + shellQuote(at.Origin+"/api/v2/orgs/"+at.Org.String()+"/secrets") +
		" \\\n  --header \"Authorization: Token $INFLUX_TOKEN\" \\\n  --data @- <<'END'\n" + body.String() + "END"
}

// SetByCommand is how somebody at a terminal sets it: the command asks for the value.
func SetByCommand(at Place, key string) string {
	return "influx secret update --key " + shellQuote(key) + " --org-id " + at.Org.String()
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

// fluxCall is how a Flux script uses the secret.
func fluxCall(key string) string { return "secrets.get(key: " + fluxString(key) + ")" }

// fluxString writes a string literal of Flux, in which only these have a meaning (Flux's
// specification, "String literals").
func fluxString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `${`, `\${`).Replace(s) + `"`
}

// shellQuote quotes a word for a POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

const (
	secretExec = `
export INFLUX_HOST='<origin>' INFLUX_ORG_ID=<org>   # and INFLUX_TOKEN
influx secret exec --env <variable>=<shell> -- ./app`
	secretCurl = `
curl --get --header "Authorization: Token $INFLUX_TOKEN" \
  --data <query> '<origin>/api/v2/orgs/<org>/secret-values'`
	telegrafUse = `

# then, where a plugin takes a secret: @{strongroom:<key>}`
	externalSecret = `
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
	secretGo = `
c, err := client.New(client.Config{Host: "<origin>", Token: os.Getenv("INFLUX_TOKEN")})
if err != nil {
	log.Fatal(err)
}
secret, err := c.SecretValue(context.Background(), "<org>", <go>)
if err != nil {
	log.Fatal(err)
}
use(secret.Reveal())`
	secretFlux = `
import "influxdata/influxdb/secrets"

value = <flux>`
)
