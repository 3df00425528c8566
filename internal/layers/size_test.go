package layers

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	mostLines   = 1500 // of a package
	mostColumns = 120  // of a line, in which a tab takes four
)

// large are the packages that are larger, with the reason.
var large = map[string]string{
	"client": "its users import one thing, whose methods are the server's routes",
}

// TestSizes keeps packages small enough to be read, and lines within a window.
func TestSizes(t *testing.T) {
	for _, p := range list(t, "-e", "-json=ImportPath,Dir,GoFiles", "./...") {
		lines := 0
		for _, name := range p.GoFiles {
			data, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			lines += bytes.Count(data, []byte("\n"))
			for i, line := range strings.Split(string(data), "\n") {
				if n := utf8.RuneCountInString(line) + 3*strings.Count(line, "\t"); n > mostColumns {
					t.Errorf("%s/%s:%d has %d columns, and %d is the most", p.ImportPath, name, i+1, n, mostColumns)
				}
			}
		}
		where := strings.TrimPrefix(p.ImportPath, module+"/")
		switch why, may := large[where]; {
		case forTests(p.ImportPath): // a suite is read in parts
		case may && lines <= mostLines:
			t.Errorf("%s has %d lines: it need not be excepted (%s)", where, lines, why)
		case !may && lines > mostLines:
			t.Errorf("%s has %d lines, and %d is the most: a part of it with a subject of its own can be a package",
				where, lines, mostLines)
		}
	}
}
