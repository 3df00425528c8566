// Package offline has the commands that are given on the machine itself: on data that no server has open, or that are only
// read beside one.
package offline

import "strongroom/internal/influxd/command"

// Commands are all of them.
func Commands() []command.Spec {
	return []command.Spec{
		{Name: "audit verify", Summary: "check that no line of the audit log is missing or altered", Run: verifyAudit, Flags: verifyFlags},
		{Name: "seal status", Summary: "show what the data are sealed with, and how old the keys are", Run: sealStatus},
		{Name: "seal rotate", Summary: "seal everything anew with new data keys", Run: sealRotate},
		{Name: "seal change", Summary: "make a new root key, under the same seal or another", Run: sealChange, Flags: sealFlags},
		{Name: "import", Summary: "take over what a real InfluxDB 2 keeps: users, tokens, secrets", Run: importInfluxDB, Flags: importFlags},
		{Name: "check", Summary: "look at every record of the data file and tell what is wrong", Run: checkFile},
		{Name: "restore", Summary: "check a backup whole and put it in the place of the data file", Run: restoreFile, Flags: restoreFlags},
		{Name: "recovery auth create-operator", Summary: "make a token that may do everything, where all are lost", Run: recoverOperator, Flags: recoveryFlags},
		{Name: "recovery auth list", Summary: "list the tokens, without themselves", Run: recoverAuthList},
		{Name: "recovery org list", Summary: "list the organizations", Run: recoverOrgList},
		{Name: "recovery user create", Summary: "make a user", Run: recoverUserCreate, Flags: recoveryFlags},
		{Name: "recovery user list", Summary: "list the users", Run: recoverUserList},
		{Name: "recovery user update", Summary: "set a user's password, make them an operator, or active again", Run: recoverUserUpdate, Flags: recoveryFlags},
		{Name: "vault check", Summary: "walk the settings for Vault step by step, and print the policy they need", Run: checkVault},
		{Name: "secrets copy", Summary: "copy secrets from one store to another, and read them back", Run: copySecrets, Flags: copyFlags},
		{Name: "secrets relayout", Summary: "convert secrets in Vault from one --vault-layout to the other, where they are", Run: relayout, Flags: relayoutFlags},
		{Name: "secrets export", Summary: "write secrets to a file, encrypted by age", Run: exportSecrets, Flags: exportFlags},
		{Name: "secrets import", Summary: "take secrets from such a file", Run: importSecrets, Flags: importSecretsFlags},
	}
}
