package tokens

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"strongroom/client"
	"strongroom/cmd/influx/internal/permission"
	"strongroom/cmd/influx/internal/terminal"
)

// paste writes what puts a new token to use, for those uses for which its permissions suffice. None of it holds the
// token: it would get into a shell's history or a repository.
func paste(w io.Writer, host string, auth *client.Authorization) error {
	of := func(action string) (key string, may bool) {
		i := slices.IndexFunc(auth.Permissions, func(p client.Permission) bool {
			return p.Action == action && p.Resource.Type == "secrets"
		})
		if i < 0 {
			return "", false
		}
		key = auth.Permissions[i].Resource.Name
		if key == "" || strings.HasSuffix(key, "*") {
			key += "NAME"
			key = strings.Replace(key, "*", "", 1)
		}
		return key, true
	}
	key, use := of(permission.Use)
	_, read := of("read")
	written, write := of("write")
	if !use && !read && !write {
		return nil
	}
	var b strings.Builder
	add := func(what, text string) {
		// What a name or an address holds stays within its word: it could turn the line around.
		text = strings.NewReplacer("<host>", host, "<org>", auth.OrgID, "<go>", strconv.QuoteToASCII(key),
			"<shell host>", terminal.ShellQuote(host), "<shell values>", terminal.ShellQuote(
				host+"/api/v2/orgs/"+auth.OrgID+"/secret-values/"+url.PathEscape(key)),
			"<shell written>", terminal.ShellQuote(written)).Replace(text)
		fmt.Fprintf(&b, "\n# %s\n%s\n", what, strings.TrimSpace(text))
	}
	add("First, in bash: the token, typed or pasted", pasteFirst)
	if use {
		add("Run a program that has the values as variables", pasteExec)
		if !strings.HasPrefix(host, "unix:") {
			add("Get a value with curl", pasteCurl)
			add("Telegraf, with the token in STRONGROOM_TOKEN", pasteTelegraf)
			add("External Secrets in Kubernetes, with the token in the secret strongroom-token", pasteExternal)
		}
		add("Go", pasteGo)
	}
	if read {
		add("List names", "influx secret list")
	}
	if write {
		add("Set a secret; the command asks for the value", "influx secret update --key <shell written>")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const (
	pasteFirst = `
read -rsp 'Token: ' INFLUX_TOKEN
export INFLUX_TOKEN INFLUX_HOST=<shell host> INFLUX_ORG_ID=<org>`
	pasteExec = "influx secret exec --all -- ./app"
	pasteCurl = `curl --header "Authorization: Token $INFLUX_TOKEN" <shell values>`

	// The two below are those of docs/agents.md, which are tried with these programs.
	pasteTelegraf = `
[[secretstores.http]]
  id = "strongroom"
  url = "<host>/api/v2/orgs/<org>/secret-values"
  token = "${STRONGROOM_TOKEN}"`
	pasteExternal = `
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata:
  name: strongroom
spec:
  provider:
    webhook:
      url: "<host>/api/v2/orgs/<org>/secret-values/{{ .remoteRef.key }}"
      headers:
        Authorization: "Bearer {{ .auth.token }}"
      result:
        jsonPath: "$.value"
      secrets:
        - name: auth
          secretRef:
            name: strongroom-token`

	// The tests compile and run it.
	pasteGo = `
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"strongroom/client"
)

func main() {
	c, err := client.New(client.Config{Host: os.Getenv("INFLUX_HOST"), Token: os.Getenv("INFLUX_TOKEN")})
	if err != nil {
		log.Fatal(err)
	}
	value, err := c.SecretValue(context.Background(), os.Getenv("INFLUX_ORG_ID"), <go>)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(value.Reveal())) // use it here
}`
)
