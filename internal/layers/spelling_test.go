package layers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestMessagesSpellAsInfluxDB reads the messages of coded errors, which callers of the API see: InfluxDB's say
// organization, and one answer must not say it in two ways. The pages and the docs are written in British English.
func TestMessagesSpellAsInfluxDB(t *testing.T) {
	messages := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && filepath.Base(path) == "ui":
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if of, ok := f.X.(*ast.Ident); !ok || of.Name != "errs" || f.Sel.Name != "New" && f.Sel.Name != "Wrap" {
				return true
			}
			for _, arg := range call.Args {
				text := literals(arg)
				if text != "" {
					messages++
				}
				if strings.Contains(text, "rganisation") {
					t.Errorf("%s: %q says organisation, InfluxDB's messages organization", set.Position(arg.Pos()), text)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if messages < 200 {
		t.Errorf("only %d messages were found", messages)
	}
}

// literals are the texts that an expression is put together of; what it calls has others.
func literals(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			return e.Value
		}
	case *ast.BinaryExpr:
		return literals(e.X) + literals(e.Y)
	case *ast.ParenExpr:
		return literals(e.X)
	}
	return ""
}
