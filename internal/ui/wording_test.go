package ui

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// oldWords are what pages said before they had one plain word for one thing.
var oldWords = []string{"is well", "half were done", "Look first", "Bring back", "This will go", "do not belong together",
	"Switch off", "Switch on", "Chosen kinds of", "Colours", "used never"}

// paragraph is a paragraph of a template without others in it.
var (
	paragraph = regexp.MustCompile(`(?s)<p(?: [^>]*)?>(.*?)</p>`)
	markup    = regexp.MustCompile(`<[^>]*>|\{\{[^}]*\}\}`)
)

// TestWords: no page says an old word, and a paragraph of several words ends as a sentence does.
func TestWords(t *testing.T) {
	read := 0
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".css") {
			return err
		}
		b, err := fs.ReadFile(files, path)
		read++
		for _, w := range oldWords {
			if strings.Contains(string(b), w) {
				t.Errorf("%s says %q", path, w)
			}
		}
		if !strings.HasSuffix(path, ".html") {
			return err
		}
		for _, p := range paragraph.FindAllStringSubmatch(string(b), -1) {
			text := strings.TrimSpace(markup.ReplaceAllString(p[1], ""))
			if strings.ContainsAny(p[1], "\n") || strings.Contains(p[1], "button") || strings.Contains(p[0], "crumbs") ||
				strings.Contains(p[0], "facts-line") || strings.HasSuffix(p[0], "</a></p>") || len(strings.Fields(text)) < 5 {
				continue
			}
			if !strings.ContainsAny(text[len(text)-1:], ".?:!") && !strings.HasSuffix(text, "…") {
				t.Errorf("%s: no full stop: %s", path, text)
			}
		}
		return err
	})
	if err != nil || read < 30 {
		t.Fatalf("%d files were read: %v", read, err)
	}
}
