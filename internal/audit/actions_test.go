package audit

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestActions finds every action that the source puts on record among Actions: a filter by one that is missing
// there would be refused.
func TestActions(t *testing.T) {
	if !slices.IsSorted(Actions) {
		t.Error("not sorted")
	}
	written := regexp.MustCompile(
		`Action:\s+"([a-z]+(?:\.[a-z]+)*)"|"((?:authorizations|buckets|orgs|users|secrets)\.[a-z]+(?:\.[a-z]+)*)"`)
	found := 0
	err := fs.WalkDir(os.DirFS(".."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.HasPrefix(path, "ui/") || strings.Contains(path, "test/") {
			return err
		}
		source, err := os.ReadFile("../" + path)
		for _, m := range written.FindAllStringSubmatch(string(source), -1) {
			found++
			if action := m[1] + m[2]; !slices.Contains(Actions, action) {
				t.Errorf("%s puts %q on record, which is not among Actions", path, action)
			}
		}
		return err
	})
	if err != nil || found < 25 {
		t.Errorf("found %d actions, %v", found, err)
	}
	for _, action := range []string{"secrets", "secrets.apply", "orgs.members", "audit"} {
		if !Chooses(action) {
			t.Errorf("%s is not known", action)
		}
	}
	for _, action := range []string{"", "secret", "secrets.", "secrets.apply.x", "Secrets"} {
		if Chooses(action) {
			t.Errorf("%q is known", action)
		}
	}
}
