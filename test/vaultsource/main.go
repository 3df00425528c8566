// Command vaultsource copies the source of HashiCorp Vault 1.14.1 and leaves out what its server can be given and its
// client never needs: the storage and plugins of every cloud and database, which are most of what the vault command
// takes to build. What the command does as a client and as an agent is as it was.
//
//	go run ./vaultsource <folder of the module> <folder to make>
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// left are the folders that no package of the command is in.
var left = map[string]bool{"ui": true, "website": true, "enos": true, "changelog": true, "scripts": true}

// parts matches an import of commands.go that is left out, with the name that it has there.
var parts = regexp.MustCompile(`^\t(phys\w+|cred\w+|csr|ksr|logicalDb|_) "github\.com/hashicorp/vault[^"]*"$`)

// kept are those which the command needs for itself, and which are light.
var kept = map[string]bool{"physFile": true, "physInmem": true, "credCert": true, "credToken": true,
	"credUserpass": true}

// use matches a line of a table in commands.go, and the package that it is about.
var use = regexp.MustCompile(`^\s+"[^"]+":\s+&?(\w+)\.`)

// noPlugins takes the place of the table of the plugins that are built in.
const noPlugins = `package builtinplugins

import "github.com/hashicorp/vault/sdk/helper/consts"

// Registry has no plugins: this build of the command is a client.
var Registry registry

type registry struct{}

func (registry) Get(string, consts.PluginType) (func() (any, error), bool)  { return nil, false }
func (registry) Keys(consts.PluginType) []string                            { return nil }
func (registry) Contains(string, consts.PluginType) bool                    { return false }
func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool          { return false }
func (registry) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Unknown, false
}
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "vaultsource:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 || args[0] == "" || args[1] == "" {
		return errors.New("give the module's folder and the one to make")
	}
	from, to := args[0], args[1]
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := copyTree(from, to); err != nil {
		return err
	}
	if err := trim(filepath.Join(to, "command", "commands.go")); err != nil {
		return err
	}
	plugins := filepath.Join(to, "helper", "builtinplugins")
	if err := os.RemoveAll(plugins); err != nil {
		return err
	}
	if err := os.Mkdir(plugins, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(plugins, "registry.go"), []byte(noPlugins), 0o644)
}

// copyTree copies all but tests and what is left out. The copy can be written to, which the cache of modules cannot.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if left[rel] {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		if strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o644)
	})
}

// trim takes the imports that are left out, and the lines of tables about them, out of commands.go.
func trim(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	out := make(map[string]bool)
	var lines []string
	for line := range strings.SplitSeq(string(b), "\n") {
		if m := parts.FindStringSubmatch(line); m != nil && !kept[m[1]] {
			out[m[1]] = true
			continue
		}
		if m := use.FindStringSubmatch(line); m != nil && out[m[1]] {
			continue
		}
		lines = append(lines, line)
	}
	if len(out) < 30 {
		return fmt.Errorf("%s is not the one of Vault 1.14.1: only %d of its imports can be left out", file, len(out))
	}
	return os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o644)
}
