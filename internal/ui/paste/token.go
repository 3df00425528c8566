package paste

import "strongroom/internal/access"

// Token gives the texts that put a new token to use, those for which its permissions suffice.
func Token(at Place, ps []access.Permission) []Text {
	held := access.Caller{Principal: &access.Principal{Permissions: ps}}
	read, write, use := held.MaySome(access.Read, at.Org), held.MaySome(access.Write, at.Org),
		held.MaySome(access.Use, at.Org)
	var all []Text
	add := func(what, text string) { all = append(all, Text{For: what, Text: at.fill(text)}) }
	if read || write || use {
		add("First, in bash: the token, typed or pasted", tokenFirst)
	}
	if use {
		add("Run a program that has the values as variables", tokenExec)
		add("Get the values with curl", tokenValues)
		add("Telegraf", telegraf)
		add("External Secrets in Kubernetes, with the token in the secret strongroom-token", externalStore)
	}
	if read {
		add("List names", tokenList)
	}
	if write {
		add("Set a secret; the command asks for the value", tokenSet)
	}
	return all
}

const (
	tokenFirst = `
read -rsp 'Token: ' INFLUX_TOKEN
export INFLUX_TOKEN INFLUX_HOST='<origin>' INFLUX_ORG_ID=<org>`
	tokenExec   = "influx secret exec --all -- ./app"
	tokenValues = `curl --header "Authorization: Token $INFLUX_TOKEN" '<origin>/api/v2/orgs/<org>/secret-values'`
	tokenList   = "influx secret list"
	tokenSet    = "influx secret update --key NAME"
)
