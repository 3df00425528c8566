package handbook

import (
	"io/fs"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"strongroom/docs"
)

var (
	hrefs   = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	ids     = regexp.MustCompile(` id="([^"]*)"`)
	written = regexp.MustCompile(`\]\(([a-z-]+\.(?:md|svg)|#)`)
)

// TestLinksLead follows every link of every page: to a page that there is, and a section that it has.
func TestLinksLead(t *testing.T) {
	h, err := read(docs.Files)
	if err != nil {
		t.Fatal(err)
	}
	sections, all := make(map[string]map[string]bool), make(map[string]rendered)
	for _, d := range h.all {
		page, err := d.render()
		if err != nil {
			t.Fatal(err)
		}
		all[d.Name], sections[d.Name] = page, make(map[string]bool)
		for _, m := range ids.FindAllStringSubmatch(string(page.Text), -1) {
			if sections[d.Name][m[1]] {
				t.Errorf("%s has two sections of the anchor %s", d.Name, m[1])
			}
			sections[d.Name][m[1]] = true
		}
		for _, s := range page.Sections {
			if !sections[d.Name][s.Anchor] {
				t.Errorf("%s: the contents lead to %q, which there is not", d.Name, s.Anchor)
			}
		}
	}
	for name, page := range all {
		found := 0
		for _, m := range hrefs.FindAllStringSubmatch(string(page.Text), -1) {
			u, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if u.Host != "" {
				continue
			}
			found++
			to := name
			if u.Path != "" {
				to = strings.TrimPrefix(u.Path, "/docs/")
			}
			if h.pictures[to] != nil {
				continue
			}
			if _, ok := all[to]; !ok || u.Fragment != "" && !sections[to][u.Fragment] {
				t.Errorf("%s has a link to %s, which leads nowhere", name, m[1])
			}
		}
		source, err := fs.ReadFile(docs.Files, name+".md")
		if err != nil {
			t.Fatal(err)
		}
		if want := len(written.FindAll(source, -1)); found < want {
			t.Errorf("%s has %d links to pages and sections, and shows %d", name, want, found)
		}
	}
}

// TestRenderIsSafe gives what a page may not do to the browser: HTML, styles, and links that are none.
func TestRenderIsSafe(t *testing.T) {
	const page = "# Title\n\n<script>alert(1)</script>\n\nA <b onclick=\"x\">bold</b> word, `<table>`.\n\n" +
		"[a](javascript:alert(1)) [b](//evil.example/x) [**c**](../LICENSE) [d](data:text/html,x) [e](known.md#A-b) " +
		"[f](unknown.md) ![g](https://evil.example/x.png) ![h](x.svg)\n\n" +
		"| x | y |\n|---|--:|\n| 1 | 2 |\n\n    code <i>\n\n## A `b`\n\n## A `b`\n"
	got, err := render([]byte(page), func(name string) bool { return name == "known" || name == "x.svg" })
	if err != nil {
		t.Fatal(err)
	}
	text := string(got.Text)
	for _, bad := range []string{"<script", "<b", "onclick", "javascript:", "evil.example", "LICENSE", "data:", "unknown",
		"style=", "<h1", "<i>"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q:\n%s", bad, text)
		}
	}
	for _, good := range []string{`<a href="/docs/known#s-A-b">e</a>`, "<strong>c</strong>", `<img src="/docs/x.svg" alt="h">`,
		`<td align="right">2</td>`, `<h2 id="s-a-b">`, `<h2 id="s-a-b-1">`, "code &lt;i&gt;", "<code>&lt;table&gt;</code>",
		`tabindex="0" role="region"`} {
		if !strings.Contains(text, good) {
			t.Errorf("the page does not have %q:\n%s", good, text)
		}
	}
	if n := len(got.Sections); n != 2 || got.Sections[0].Text != "A b" {
		t.Errorf("the sections are %v", got.Sections)
	}
}
