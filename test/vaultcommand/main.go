// Command vaultcommand is the vault command of HashiCorp Vault 1.14.1, with its agent, for the tests: a client, with
// none of its server's storage and plugins (see ../vaultsource).
package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() { os.Exit(command.Run(os.Args[1:])) }
