// Package handbook shows the documentation that belongs to this binary.
package handbook

import (
	"io/fs"
	"strings"
	"sync"

	"strongroom/internal/errs"
	"strongroom/internal/ui/visit"
)

// document is a page of the documentation. It is rendered when somebody reads it first.
type document struct {
	Name, Title string
	render      func() (rendered, error)
}

type handlers struct {
	all      []document
	pictures map[string][]byte
}

// Routes are the paths of the documentation, which is read once.
func Routes(files fs.FS) (visit.Table, error) {
	h, err := read(files)
	if err != nil {
		return nil, err
	}
	return visit.Table{"GET /docs": visit.SignedIn(h.list), "GET /docs/{name}": visit.SignedIn(h.page)}, nil
}

func read(files fs.FS) (*handlers, error) {
	h := &handlers{pictures: make(map[string][]byte)}
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		b, err := fs.ReadFile(files, e.Name())
		if err != nil {
			return nil, err
		}
		name, isPage := strings.CutSuffix(e.Name(), ".md")
		if !isPage {
			h.pictures[name] = b
			continue
		}
		first, _, _ := strings.Cut(string(b), "\n")
		h.all = append(h.all, document{Name: name, Title: strings.TrimLeft(first, "# "),
			render: sync.OnceValues(func() (rendered, error) { return render(b, h.has) })})
	}
	return h, nil
}

// has reports whether there is a page or a picture of the name.
func (h *handlers) has(name string) bool {
	_, ok := h.find(name)
	return ok || h.pictures[name] != nil
}

func (h *handlers) find(name string) (document, bool) {
	for _, d := range h.all {
		if d.Name == name {
			return d, true
		}
	}
	return document{}, false
}

func (h *handlers) list(*visit.Visit) (visit.Answer, error) {
	return visit.Answer{Page: "docs.html", Title: "Documentation", Data: h.all}, nil
}

func (h *handlers) page(v *visit.Visit) (visit.Answer, error) {
	name := v.PathValue("name")
	if b := h.pictures[name]; b != nil {
		return visit.Answer{File: &visit.File{Name: name, Type: "image/svg+xml", Body: b}}, nil
	}
	d, ok := h.find(name)
	if !ok {
		return visit.Answer{}, errs.New(errs.NotFound, "there is no such page of the documentation")
	}
	page, err := d.render()
	return visit.Answer{Page: "doc.html", Title: d.Title, Data: page, Wide: true}, err
}
