// Package handbook shows the documentation that belongs to this binary.
package handbook

import (
	"html/template"
	"io/fs"
	"regexp"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/ui/visit"
)

// document is a page of the documentation.
type document struct {
	Name, Title string
	Text        template.HTML
}

type handlers struct{ all []document }

// Routes are the paths of the documentation, which is read once.
func Routes(files fs.FS) (visit.Table, error) {
	entries, err := fs.Glob(files, "*.md")
	if err != nil {
		return nil, err
	}
	h := &handlers{}
	for _, name := range entries {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		first, _, _ := strings.Cut(string(b), "\n")
		h.all = append(h.all, document{Name: strings.TrimSuffix(name, ".md"), Title: strings.TrimLeft(first, "# "),
			Text: shown(string(b))})
	}
	return visit.Table{"GET /docs": visit.SignedIn(h.list), "GET /docs/{name}": visit.SignedIn(h.page)}, nil
}

var (
	link    = regexp.MustCompile(`\[([^\]\n]+)\]\(([a-z-]+)\.md(?:#[a-z0-9-]*)?\)`)
	heading = regexp.MustCompile(`(?m)^(#{1,4}) (.*)$`)
)

// shown is the text as it stands, with its headings set off and its links to other pages. All of it is escaped first.
func shown(text string) template.HTML {
	s := template.HTMLEscapeString(text)
	s = link.ReplaceAllString(s, `<a href="/docs/$2">$1</a>`)
	s = heading.ReplaceAllString(s, `<b>$2</b>`)
	return template.HTML(s)
}

func (h *handlers) list(*visit.Visit) (visit.Answer, error) {
	return visit.Answer{Page: "docs.html", Title: "Documentation", Data: h.all}, nil
}

func (h *handlers) page(v *visit.Visit) (visit.Answer, error) {
	for _, d := range h.all {
		if d.Name == v.PathValue("name") {
			return visit.Answer{Page: "doc.html", Title: d.Title, Data: d, Wide: true}, nil
		}
	}
	return visit.Answer{}, errs.New(errs.NotFound, "there is no such page of the documentation")
}
