package words

import "cmp"

// details say what a secret.Detail is about.
var details = map[string]string{
	"vault-token": "Vault’s token", "vault-client-certificate": "The certificate shown to Vault",
	"vault-ca": "The authorities of Vault’s certificate",
}

// Detail is what a detail of a store is about, by its name where there is no word for it.
func Detail(name string) string { return cmp.Or(details[name], name) }
