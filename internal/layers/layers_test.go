// Package layers checks who imports whom, and who takes a secret's value out of its wrapping. It has no code of its own.
package layers

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "strongroom"

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath, Name, Dir, Export             string
	GoFiles                                   []string
	Imports, TestImports, XTestImports, Match []string
	Standard, DepOnly                         bool
	Error                                     *struct{ Err string }
}

// list runs go list at the module's root.
func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as make builds the product
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.Bytes())
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// inside reports whether the import path is one of the prefixes or below it. Our own stand without the module's name.
func inside(importPath string, prefixes ...string) bool {
	importPath = strings.TrimPrefix(importPath, module+"/")
	return slices.ContainsFunc(prefixes, func(p string) bool {
		return importPath == p || strings.HasPrefix(importPath, p+"/")
	})
}

// only says that nothing but the packages by (and those below them) imports what, outside tests.
type only struct {
	what string
	by   []string
	why  string
}

var rules = []only{
	{"go.etcd.io/bbolt", []string{"internal/kv/bolt"}, "everything above runs on any engine"},
	{"go.etcd.io/etcd", []string{"internal/kv/etcd"}, "everything above runs on any engine"},
	{"github.com/hashicorp/vault", []string{"internal/secret/vault", "internal/seal/transit"}, "the store and the seal in Vault speak to it"},
	{"github.com/openbao/openbao", []string{"internal/secret/vault", "internal/seal/transit"}, "the store and the seal in Vault speak to it"},

	{"internal/kv/bolt", []string{"internal/influxd"}, "only the wiring chooses an implementation"},
	{"internal/kv/etcd", []string{"internal/influxd"}, "only the wiring chooses an implementation"},
	{"internal/secret/embedded", []string{"internal/influxd", "internal/rotation"}, "only the wiring chooses an implementation"},
	{"internal/secret/vault", []string{"internal/influxd", "internal/seal/transit"}, "only the wiring chooses an implementation; the seal in Vault has its connection alone"},
	{"internal/seal", []string{"internal/influxd", "internal/keyring", "internal/rotation"}, "the seal key stays with the keyring"},
	{"internal/keyring", []string{"internal/influxd", "internal/secret/embedded", "internal/barrier", "internal/rotation"}, "keys stay with the stores that seal"},
	{"internal/barrier", []string{"internal/influxd"}, "what is behind it does not know that it is sealed"},

	{"internal/identity/record", []string{"internal/identity", "internal/transfer"}, "who else needs a record of a user or a token asks the directory"},
	{"internal/httpapi", []string{"internal/influxd/server"}, "what is below HTTP knows nothing of it"},
	{"internal/ui", []string{"internal/influxd/server"}, "what is below the pages knows nothing of them"},
	{"internal/vaultapi", []string{"internal/influxd"}, "what is below HTTP knows nothing of it"},
	{"internal/influxd", []string{"cmd/influxd"}, "the wiring is the top"},
	{"client", []string{"cmd/influx"}, "the server does not call itself"},
}

func TestWhoImportsWhom(t *testing.T) {
	pkgs := list(t, "-e", "-json=ImportPath,Name,Imports,TestImports,XTestImports", "./...")
	if len(pkgs) < 10 {
		t.Fatalf("found only %d packages", len(pkgs))
	}
	checked := make(map[string]int)
	for _, p := range pkgs {
		for _, imported := range p.Imports {
			for _, r := range rules {
				if !inside(imported, r.what) || inside(p.ImportPath, r.what) {
					continue
				}
				checked[r.what]++
				// A suite for tests stands beside what it tests, is for anyone's tests, and uses real parts as they do.
				if !inside(p.ImportPath, r.by...) && !forTests(imported) && !forTests(p.ImportPath) {
					t.Errorf("%s imports %s, which only %s may: %s", p.ImportPath, imported, strings.Join(r.by, ", "), r.why)
				}
			}
		}
	}
	// The rules must be about something: those of parts every daemon has must have been met.
	for _, what := range []string{"go.etcd.io/bbolt", "github.com/hashicorp/vault", "internal/kv/bolt", "internal/secret/embedded",
		"internal/secret/vault", "internal/httpapi", "internal/influxd", "client"} {
		if checked[what] == 0 {
			t.Errorf("nobody imports %s: the rule about it checks nothing", what)
		}
	}
}

// TestClosedPackages checks the packages that may import little.
func TestClosedPackages(t *testing.T) {
	for _, tt := range []struct {
		root    string
		allowed func(imported string) bool
		says    string
	}{
		{"client", func(i string) bool { return standard(i) || inside(i, "client") },
			"the client is the standard library's alone, so that importing it brings nothing else"},
		{"cmd/influx", func(i string) bool { return !ours(i) || inside(i, "client", "cmd/influx", "internal/disk") },
			"the CLI is a user of the public client and needs nothing a user has not"},
		{"internal/kv", func(i string) bool {
			return !ours(i) || inside(i, "internal/kv", "internal/boltfile", "internal/disk", "internal/errs")
		}, "an engine knows nothing of what is kept in it"},
		{"internal/id", func(i string) bool { return standard(i) || inside(i, "internal/errs") }, "it is the ground"},
		{"internal/errs", standard, "it is the ground"},
		{"internal/disk", standard, "it is the ground"},
		{"internal/outage", standard, "it is the ground"},
		{"internal/peer", standard, "it is the ground"},
		{"internal/access", func(i string) bool { return !ours(i) || inside(i, "internal/audit", "internal/errs", "internal/id") },
			"what permissions mean does not hang on what is kept of whom"},
		{"internal/httpapi/exchange", func(i string) bool {
			return !inside(i, "internal/httpapi", "internal/secret", "internal/rotation", "internal/identity/directory")
		}, "what all exchanges share knows nothing of what they are about"},
		{"internal/ui/visit", func(i string) bool {
			return !inside(i, "internal/ui", "internal/audit", "internal/secret", "internal/rotation") || inside(i, "internal/ui/words")
		}, "what all pages share knows nothing of what they are about"},
		{"internal/ui/secrets", func(i string) bool {
			return !inside(i, "internal/identity", "internal/rotation", "internal/ui/accounts", "internal/ui/system")
		}, "the pages of secrets reach no record of users"},
		{"internal/ui/accounts", func(i string) bool {
			return !inside(i, "internal/audit", "internal/secret", "internal/rotation", "internal/ui/secrets", "internal/ui/system", "internal/ui/trail")
		}, "the pages of accounts reach no secret"},
		{"internal/ui/system", func(i string) bool { return !inside(i, "internal/ui/accounts", "internal/ui/secrets") },
			"a group of pages knows nothing of the others"},
		{"internal/identity", func(i string) bool {
			return !ours(i) || inside(i, "internal/identity", "internal/access", "internal/errs", "internal/id", "internal/kv", "internal/peer")
		}, "users and tokens are kept on any engine, and know nothing of secrets nor of who asks for them"},
		{"internal/secret", func(i string) bool { return !inside(i, "internal/identity") },
			"secrets know callers and what they may do, and not how they are identified"},
		{"internal/secret/vault", func(i string) bool { return !inside(i, "internal/kv", "internal/keyring", "internal/access") },
			"a secret store knows no other part of the server"},
		{"internal/secret/vault/conn", func(i string) bool {
			return !ours(i) || inside(i, "internal/errs", "internal/outage", "internal/pemfile", "internal/secret/vault/breaker", "internal/secret/vault/login", "internal/secret/vault/wire")
		}, "the connection knows nothing of secrets, nor of where they are"},
		{"internal/secret/embedded", func(i string) bool { return !inside(i, "internal/access") },
			"a secret store knows no other part of the server"},
	} {
		t.Run(tt.root, func(t *testing.T) {
			n := 0
			for _, p := range list(t, "-e", "-json=ImportPath,Imports", "./"+tt.root+"/...") {
				n++
				for _, imported := range p.Imports {
					if !tt.allowed(imported) && !forTests(p.ImportPath) {
						t.Errorf("%s imports %s: %s", p.ImportPath, imported, tt.says)
					}
				}
			}
			if n == 0 {
				t.Fatal("no such package: the rule checks nothing")
			}
		})
	}
}

// TestPackageNames keeps away the names under which code is put that belongs nowhere, and the suites for tests out of
// the product.
func TestPackageNames(t *testing.T) {
	banned := []string{"util", "utils", "common", "helper", "helpers", "manager", "misc", "shared", "base"}
	suites := 0
	for _, p := range list(t, "-e", "-json=ImportPath,Name,Imports", "./...") {
		if slices.Contains(banned, p.Name) || slices.Contains(banned, path.Base(p.ImportPath)) {
			t.Errorf("%s: a package is named for what it holds, not %q", p.ImportPath, p.Name)
		}
		if forTests(p.ImportPath) {
			suites++
			continue
		}
		for _, imported := range p.Imports {
			if ours(imported) && forTests(imported) || imported == "testing" || strings.HasPrefix(imported, "net/http/httptest") {
				t.Errorf("%s imports %s, which is for tests", p.ImportPath, imported)
			}
		}
	}
	if suites == 0 {
		t.Error("found no package for tests (kvtest, secrettest): the rule about them checks nothing")
	}
}

func ours(importPath string) bool {
	return importPath == module || strings.HasPrefix(importPath, module+"/")
}

// standard reports whether the import path is the standard library's: the first part of any other has a dot or is ours.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".") && !ours(importPath)
}

// forTests reports whether the package is one that only tests import: kvtest, secrettest, vaulttest.
func forTests(importPath string) bool { return strings.HasSuffix(path.Base(importPath), "test") }
