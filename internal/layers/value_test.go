package layers

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// takers are the packages that may take a secret's value out of its wrapping, and what each does with the bytes.
var takers = map[string]string{
	"internal/secret":                  "measures and checks them",
	"internal/secret/embedded/content": "seals them",
	"internal/secret/vault/perorg":     "sends them to Vault",
	"internal/secret/vault/persecret":  "sends them to Vault",
	"internal/transfer":                "writes them to an export that somebody asked for",
	"internal/transfer/lastcopy":       "makes fingerprints of them",
	"internal/httpapi/secrets":         "answers them to tokens that may use them",
	"internal/vaultapi/mount":          "answers them to tokens that may use them",
}

// TestWhoTakesValues finds every use of secret.Value.Bytes outside tests, by type and not by name.
func TestWhoTakesValues(t *testing.T) {
	pkgs := list(t, "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,Imports,Standard,DepOnly", "./...")
	exports := make(map[string]string)
	for _, p := range pkgs {
		exports[p.ImportPath] = p.Export
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	const secretPackage = module + "/internal/secret"
	found := make(map[string]bool)
	for _, p := range pkgs {
		if p.DepOnly || p.ImportPath != secretPackage && !slices.Contains(p.Imports, secretPackage) ||
			forTests(p.ImportPath) {
			continue
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
		if _, err := (&types.Config{Importer: imports}).Check(p.ImportPath, fset, files, info); err != nil {
			t.Fatal(err)
		}
		for ident, object := range info.Uses {
			if f, ok := object.(*types.Func); !ok || f.FullName() != "("+secretPackage+".Value).Bytes" {
				continue
			}
			taker := strings.TrimPrefix(p.ImportPath, module+"/")
			found[taker] = true
			if takers[taker] == "" {
				t.Errorf("%s takes a secret's value with Value.Bytes; only these may: %s",
					fset.Position(ident.Pos()), strings.Join(slices.Sorted(maps.Keys(takers)), ", "))
			}
		}
	}
	wantUsed(t, found, slices.Sorted(maps.Keys(takers)), "takes no values: it need not be allowed to")
}
