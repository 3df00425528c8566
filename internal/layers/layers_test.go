// Package layers checks who imports whom, and who takes a secret's value out of its wrapping. It
// has no code of its own.
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
	{"github.com/hashicorp/vault", []string{"internal/secret/vault", "internal/seal/transit"},
		"the store and the seal in Vault speak to it"},

	{"internal/kv/bolt", []string{"internal/influxd"}, "only the wiring chooses an implementation"},
	{"internal/kv/etcd", []string{"internal/influxd"}, "only the wiring chooses an implementation"},
	{"internal/kv/etcd/faults", []string{"internal/kv/etcd", "internal/kv/etcd/user"}, "they are its client's errors"},
	{"internal/kv/etcd/diagnose", []string{"internal/kv/etcd"}, "it is why its client reaches nobody"},
	{"internal/kv/etcd/reach", []string{"internal/kv/etcd"}, "it is whether its calls are worth waiting for"},
	{"internal/kv/etcd/user", []string{"internal/kv/etcd"}, "it is who its client is"},
	{"internal/kv/etcd/gets", []string{"internal/kv/etcd"}, "it is how its reads go together"},
	{"internal/kv/etcd/members", []string{"internal/kv/etcd"}, "it is how etcd's client finds its way"},
	{"internal/kv/etcd/ranges", []string{"internal/kv/etcd"}, "it is how its lists ask"},
	{"internal/kv/etcd/follow", []string{"internal/kv/etcd"}, "it is how its watch reaches all who follow"},
	{"internal/kv/etcd/roots", []string{"internal/kv/etcd"}, "it is how its client knows the members"},
	{"internal/kv/near", []string{"internal/influxd"}, "only the wiring says what is kept in memory"},
	{"internal/secret/embedded", []string{"internal/influxd", "internal/rotation"},
		"only the wiring chooses an implementation"},
	{"internal/secret/service", []string{"internal/httpapi", "internal/vaultapi", "internal/ui", "internal/transfer",
		"internal/influxd"}, "it is for those who ask on behalf of a caller"},
	{"internal/secret/metered", []string{"internal/influxd"}, "it is applied once, after the store has been chosen"},
	{"internal/secret/vault", []string{"internal/influxd", "internal/seal/transit"},
		"only the wiring chooses an implementation; the seal in Vault has its connection alone"},
	{"internal/seal", []string{"internal/influxd", "internal/keyring", "internal/rotation"},
		"the seal key stays with the keyring"},
	{"internal/keyring", []string{"internal/influxd", "internal/secret/embedded", "internal/barrier",
		"internal/rotation"},
		"keys stay with the stores that seal"},
	{"internal/barrier", []string{"internal/influxd"}, "what is behind it does not know that it is sealed"},

	{"internal/audit/auditlog", []string{"internal/influxd"}, "who puts an act on record has an audit.Recorder"},
	{"internal/audit/verify", []string{"internal/influxd"},
		"whether a log is whole is for its readers to say, and not for those who write it"},
	{"internal/audit/sink", []string{"internal/audit/auditlog"}, "one log alone writes to a sink"},

	{"internal/identity/record", []string{"internal/identity", "internal/transfer/identities"},
		"who else needs a record of a user or a token asks the directory"},
	{"internal/httpapi", []string{"internal/influxd/server"}, "what is below HTTP knows nothing of it"},
	{"internal/ui", []string{"internal/influxd/server"}, "what is below the pages knows nothing of them"},
	{"internal/servers", []string{"internal/influxd"}, "what is done with acts knows not where they are from"},
	{"internal/vaultapi", []string{"internal/influxd"}, "what is below HTTP knows nothing of it"},
	{"internal/influxd", []string{"cmd/influxd"}, "the wiring is the top"},
	{"internal/influxd/offline/datafile", []string{"internal/influxd/offline"},
		"beside the commands on the machine, the server alone opens the data"},
	{"client", []string{"cmd/influx"}, "the server does not call itself"},
}

func TestWhoImportsWhom(t *testing.T) {
	pkgs := list(t, "-e", "-json=ImportPath,Imports", "./...")
	for _, r := range rules {
		t.Run(r.what, func(t *testing.T) {
			used := make(map[string]bool)
			for _, p := range pkgs {
				// A suite for tests stands beside what it tests, is for anyone's tests, and uses real parts as they do.
				if inside(p.ImportPath, r.what) || forTests(p.ImportPath) {
					continue
				}
				for _, imported := range p.Imports {
					if !inside(imported, r.what) || forTests(imported) {
						continue
					}
					if !inside(p.ImportPath, r.by...) {
						t.Errorf("%s imports %s, which only %s may: %s", p.ImportPath, imported,
							strings.Join(r.by, ", "), r.why)
					}
					note(used, p.ImportPath, r.by)
				}
			}
			wantUsed(t, used, r.by, "does not import it: the rule need not name it")
		})
	}
}

// closed says that the packages in root import no others than it tells.
type closed struct {
	root string
	// ours are the packages of the project that they may import, and all there are where that is nil.
	ours []string
	// standard says that they import no other module.
	standard bool
	// never are packages that they may not import, but for those below except.
	never, except []string
	why           string
}

var closedPackages = []closed{
	{root: "client", ours: []string{}, standard: true,
		why: "the client is the standard library's alone, so that importing it brings nothing else"},
	{root: "cmd/influx", ours: []string{"client", "internal/disk"},
		why: "the CLI is a user of the public client and needs nothing a user has not"},
	{root: "cmd/influx/internal/tokens", never: []string{"cmd/influx/internal/accounts", "cmd/influx/internal/secrets"},
		why: "a group of commands knows nothing of the others"},
	{root: "cmd/influx/internal/accounts", never: []string{"cmd/influx/internal/tokens", "cmd/influx/internal/secrets"},
		why: "a group of commands knows nothing of the others"},
	{root: "internal/kv", ours: []string{"internal/boltfile", "internal/bounded", "internal/disk", "internal/errs",
		"internal/tracing"},
		why: "an engine knows nothing of what is kept in it"},
	{root: "internal/kv/bolt/mapping", ours: []string{}, why: "how a file is mapped does not hang on what is in it"},
	{root: "internal/uses", ours: []string{"internal/kv"}, why: "it knows nothing of what is used"},
	{root: "internal/id", ours: []string{"internal/errs"}, standard: true, why: "it is the ground"},
	{root: "internal/errs", ours: []string{}, standard: true, why: "it is the ground"},
	{root: "internal/bounded", ours: []string{}, standard: true, why: "it is the ground"},
	{root: "internal/disk", ours: []string{}, standard: true, why: "it is the ground"},
	{root: "internal/outage", ours: []string{}, standard: true, why: "it is the ground"},
	{root: "internal/peer", ours: []string{}, standard: true, why: "it is the ground"},
	{root: "internal/access", ours: []string{"internal/audit", "internal/errs", "internal/id", "internal/peer"},
		why: "what permissions mean does not hang on what is kept of whom"},
	{root: "internal/audit/chain", ours: []string{"internal/audit", "internal/audit/lines"},
		why: "what a line is does not hang on where lines go and who reads them"},
	{root: "internal/audit/sink", ours: []string{"internal/audit", "internal/audit/chain"},
		why: "a sink knows nothing of what becomes of its lines"},
	{root: "internal/httpapi/exchange",
		never: []string{"internal/httpapi", "internal/secret", "internal/rotation", "internal/identity/directory"},
		why:   "what all exchanges share knows nothing of what they are about"},
	{root: "internal/influxd/config/value", ours: []string{}, standard: true,
		why: "it knows nothing of which settings there are"},
	{root: "internal/influxd/config/file", ours: []string{"internal/influxd/config/value", "internal/ownfile"},
		why: "it knows nothing of which settings there are"},
	{root: "internal/influxd/offline/auditverify",
		never: []string{"internal/secret", "internal/identity", "internal/influxd/server"},
		why:   "whether a log is whole does not hang on what it is about"},
	{root: "internal/influxd/offline/moving",
		never: []string{"internal/identity/authn", "internal/identity/directory", "internal/rotation"},
		why:   "what is moved goes through a store, or is a record as it was"},
	{root: "internal/influxd/offline/recovery",
		never: []string{"internal/secret", "internal/transfer", "internal/influxd/server"},
		why:   "who lets somebody in again reaches no secret"},
	{root: "internal/ui/visit",
		never:  []string{"internal/ui", "internal/audit", "internal/secret", "internal/rotation"},
		except: []string{"internal/ui/words"},
		why:    "what all pages share knows nothing of what they are about"},
	{root: "internal/ui/secrets",
		never: []string{"internal/identity", "internal/rotation", "internal/ui/accounts", "internal/ui/system"},
		why:   "the pages of secrets reach no record of users"},
	{root: "internal/ui/across",
		never: []string{"internal/identity", "internal/rotation", "internal/audit", "internal/ui/secrets",
			"internal/ui/accounts", "internal/ui/system"},
		why: "what is told of several organisations is told to somebody who may read each of them"},
	{root: "internal/ui/accounts",
		never: []string{"internal/audit", "internal/secret", "internal/rotation", "internal/ui/secrets",
			"internal/ui/system", "internal/ui/trail"},
		why: "the pages of accounts reach no secret"},
	{root: "internal/ui/tokens",
		never: []string{"internal/secret", "internal/rotation", "internal/ui/secrets", "internal/ui/accounts",
			"internal/ui/system"},
		why: "the pages of tokens know names of secrets alone"},
	{root: "internal/ui/paste", ours: []string{"internal/access", "internal/id"},
		why: "a text to paste knows names alone, and no value or token"},
	{root: "internal/ui/listing", never: []string{"internal/secret", "internal/identity", "internal/ui/visit"},
		why: "what a list shows does not hang on where it is shown"},
	{root: "internal/ui/system", never: []string{"internal/ui/accounts", "internal/ui/secrets"},
		why: "a group of pages knows nothing of the others"},
	{root: "internal/identity",
		ours: []string{"internal/access", "internal/bounded", "internal/errs", "internal/id", "internal/kv",
			"internal/natural", "internal/peer", "internal/uses"},
		why: "users and tokens are kept on any engine, and know nothing of secrets nor of who asks for them"},
	{root: "internal/identity/byname", never: []string{"internal/identity/authn", "internal/identity/directory"},
		why: "in which order a list is does not hang on who signs in"},
	{root: "internal/identity/buckets", never: []string{"internal/identity/authn", "internal/identity/directory"},
		why: "the records of buckets do not hang on who signs in, nor on the other records"},
	{root: "internal/identity/authorizations", never: []string{"internal/identity/directory", "internal/identity/buckets"},
		why: "what a token is does not hang on the other records"},
	{root: "internal/identity/rolelogin", never: []string{"internal/identity/directory", "internal/identity/buckets"},
		why: "a role knows tokens, and nothing of the other records"},
	{root: "internal/secret", never: []string{"internal/identity"},
		why: "secrets know callers and what they may do, and not how they are identified"},
	{root: "internal/secret/service",
		ours:  []string{"internal/access", "internal/errs", "internal/id", "internal/inflight", "internal/secret"},
		never: []string{"internal/secret/embedded", "internal/secret/vault"},
		why:   "what callers may do does not hang on where secrets are kept"},
	{root: "internal/secret/turns", ours: []string{"internal/id"},
		why: "whose turn it is hangs on no store and no caller"},
	{root: "internal/secret/metered",
		ours: []string{"internal/errs", "internal/id", "internal/outage", "internal/secret", "internal/tracing"},
		why:  "all stores are counted and timed alike"},
	{root: "internal/secret/vault", never: []string{"internal/kv", "internal/keyring", "internal/access"},
		why: "a secret store knows no other part of the server"},
	{root: "internal/transfer/identities", never: []string{"internal/secret", "internal/identity/directory"},
		why: "who and what an InfluxDB knew is brought as records, and without a look at secrets"},
	{root: "internal/transfer/lastcopy", ours: []string{"internal/id", "internal/kv", "internal/secret"},
		why: "what two places held alike is told apart without a store"},
	{root: "internal/transfer/report", ours: []string{"internal/influxdb"},
		why: "what is told of a move does not hang on how it was made"},
	{root: "internal/tracing", ours: []string{}, why: "what measures a request knows nothing of what it is about"},
	{root: "internal/secret/vault/conn",
		ours: []string{"internal/background", "internal/errs", "internal/outage", "internal/pemfile",
			"internal/secret/vault/breaker", "internal/secret/vault/login", "internal/secret/vault/wire",
			"internal/tracing"},
		why: "the connection knows nothing of secrets, nor of where they are"},
	{root: "internal/secret/vault/persecret/seen",
		ours: []string{"internal/bounded", "internal/id", "internal/secret/vault/kv2"},
		why:  "what was seen a moment ago is a hint: nobody is asked for it"},
	{root: "internal/secret/embedded", never: []string{"internal/access"},
		why: "a secret store knows no other part of the server"},
	{root: "internal/secret/embedded/cache",
		ours:  []string{"internal/bounded", "internal/id", "internal/keyring", "internal/secret"},
		never: []string{"internal/secret/batch", "internal/secret/embedded/commitlog", "internal/secret/embedded/plan"},
		why:   "what is remembered asks no engine, and changes nothing"},
	{root: "internal/secret/embedded/content",
		never: []string{"internal/secret/embedded/plan", "internal/secret/embedded/rewrite",
			"internal/secret/embedded/verify"},
		why: "what records hold knows nothing of who changes them"},
	{root: "internal/secret/embedded/plan",
		never: []string{"internal/secret/batch", "internal/secret/embedded/rewrite", "internal/secret/embedded/verify"},
		why:   "a plan knows nothing of when it is carried out"},
}

// TestClosedPackages checks the packages that may import little.
func TestClosedPackages(t *testing.T) {
	pkgs := list(t, "-e", "-json=ImportPath,Imports", "./...")
	for _, r := range closedPackages {
		t.Run(r.root, func(t *testing.T) {
			used := make(map[string]bool)
			for _, p := range pkgs {
				if !inside(p.ImportPath, r.root) {
					continue
				}
				used[r.root] = true
				for _, imported := range p.Imports {
					if inside(imported, r.root) || forTests(p.ImportPath) {
						continue
					}
					if !r.allows(imported) {
						t.Errorf("%s imports %s: %s", p.ImportPath, imported, r.why)
					}
					note(used, imported, r.ours)
					note(used, imported, r.except)
				}
			}
			wantUsed(t, used, []string{r.root}, "is no package: the rule checks nothing")
			wantUsed(t, used, slices.Concat(r.ours, r.except),
				"is imported by none of them: the rule need not allow it")
			there := make(map[string]bool)
			for _, p := range pkgs {
				note(there, p.ImportPath, r.never)
			}
			wantUsed(t, there, r.never, "is no package: the rule forbids nothing")
		})
	}
}

func (r closed) allows(imported string) bool {
	switch {
	case !ours(imported):
		return !r.standard || standard(imported)
	case inside(imported, r.except...):
		return true
	case inside(imported, r.never...):
		return false
	}
	return r.ours == nil || inside(imported, r.ours...)
}

// note takes down which of the prefixes the package is in.
func note(used map[string]bool, importPath string, prefixes []string) {
	for _, prefix := range prefixes {
		used[prefix] = used[prefix] || inside(importPath, prefix)
	}
}

// wantUsed fails for what a rule names and nothing is: a rule about what is not there checks nothing.
func wantUsed(t *testing.T, used map[string]bool, named []string, otherwise string) {
	t.Helper()
	for _, name := range named {
		if !used[name] {
			t.Errorf("%s %s", name, otherwise)
		}
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
			if ours(imported) && forTests(imported) || imported == "testing" || strings.HasPrefix(imported,
				"net/http/httptest") {
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
