package layers

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestCodeMap: docs/development.md names each package, so that whoever looks for one finds what it is for.
func TestCodeMap(t *testing.T) {
	text, err := os.ReadFile("../../docs/development.md")
	if err != nil {
		t.Fatal(err)
	}
	named := make(map[string]bool)
	for _, quoted := range regexp.MustCompile("`[^`\n]+`").FindAllString(string(text), -1) {
		for _, word := range regexp.MustCompile(`[a-z][a-z0-9]*`).FindAllString(quoted, -1) {
			named[word] = true
		}
	}
	for _, p := range list(t, "-e", "-json=ImportPath,Dir,GoFiles", "./...") {
		where := strings.TrimPrefix(p.ImportPath, module+"/")
		if len(p.GoFiles) > 0 && !named[path.Base(where)] {
			t.Errorf("docs/development.md does not name %s", where)
		}
	}
}
