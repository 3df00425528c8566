package handbook

import (
	"bytes"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// heading is a section of a page, with the anchor that leads to it.
type heading struct{ Anchor, Text string }

// rendered is a page's text as HTML, without its title.
type rendered struct {
	Text     template.HTML
	Sections []heading // those of the second level
}

// anchorPrefix keeps the anchors apart from the IDs that pages have of their own.
const anchorPrefix = "s-"

// markdown makes HTML of CommonMark with tables. It passes no HTML on. Columns are aligned by an attribute: the policy
// of pages allows no styles in them.
var markdown = goldmark.New(
	goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute))),
	goldmark.WithParserOptions(parser.WithAutoHeadingID()),
)

// scrolls puts what may be wider than the window where it can be moved sideways, by the keys, too. Whatever stands in a
// text is escaped, so that nothing else looks like these.
var scrolls = strings.NewReplacer(
	"<table>", `<div class="sideways" tabindex="0" role="region" aria-label="Table"><table>`,
	"</table>", "</table></div>",
	"<pre>", `<pre tabindex="0" role="region" aria-label="Commands or code">`)

// render makes a page of a text. A link leads to the page that shows what it names, where has reports one.
func render(source []byte, has func(name string) bool) (rendered, error) {
	doc := markdown.Parser().Parse(text.NewReader(source), parser.WithContext(parser.NewContext(parser.WithIDs(&anchors{
		taken: make(map[string]bool)}))))
	var page rendered
	var gone, unlinked []ast.Node
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			anchor, _ := n.AttributeString("id")
			id, _ := anchor.([]byte)
			switch n.Level {
			case 1:
				gone = append(gone, n) // the page's own
			case 2:
				page.Sections = append(page.Sections, heading{Anchor: string(id), Text: plain(n, source)})
			}
		case *ast.HTMLBlock, *ast.RawHTML:
			gone = append(gone, n)
		case *ast.Link:
			to, ok := target(string(n.Destination), has)
			if n.Destination = []byte(to); !ok {
				unlinked = append(unlinked, n)
			}
		case *ast.Image:
			to, ok := target(string(n.Destination), has)
			if n.Destination = []byte(to); !ok || !strings.HasPrefix(to, "/") {
				gone = append(gone, n) // nothing is loaded from elsewhere
			}
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return rendered{}, err
	}
	for _, n := range unlinked {
		for child := n.FirstChild(); child != nil; child = n.FirstChild() {
			n.Parent().InsertBefore(n.Parent(), n, child)
		}
		gone = append(gone, n)
	}
	for _, n := range gone {
		n.Parent().RemoveChild(n.Parent(), n)
	}
	var b bytes.Buffer
	if err := markdown.Renderer().Render(&b, source, doc); err != nil {
		return rendered{}, err
	}
	page.Text = template.HTML(scrolls.Replace(b.String()))
	return page, nil
}

// target is where a link of the documentation leads here: to another page, to a section, or to another site. The files
// of the source that a page names are not served, and have no target.
func target(destination string, has func(string) bool) (string, bool) {
	u, err := url.Parse(destination)
	if err != nil {
		return "", false
	}
	section := ""
	if u.Fragment != "" {
		section = "#" + anchorPrefix + u.Fragment
	}
	name, isPage := strings.CutSuffix(u.Path, ".md")
	switch {
	case u.Scheme == "https" && u.Host != "":
		return destination, true
	case u.Scheme != "" || u.Host != "":
		return "", false
	case u.Path == "" && section != "":
		return section, true
	case isPage && has(name), strings.HasSuffix(name, ".svg") && has(name):
		return "/docs/" + name + section, true
	}
	return "", false
}

// plain is a node's text without its marks.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		switch child := child.(type) {
		case *ast.Text:
			b.Write(child.Segment.Value(source))
		case *ast.String:
			b.Write(child.Value)
		default:
			b.WriteString(plain(child, source))
		}
	}
	return b.String()
}

// anchors names sections as GitHub does, so that a link to one leads there in both places: lower case, without
// punctuation, a hyphen for a space. The second section of a name has "-1" behind it.
type anchors struct{ taken map[string]bool }

// Generate makes the anchor of a heading.
func (a *anchors) Generate(value []byte, _ ast.NodeKind) []byte {
	name := anchor(string(value))
	for n, first := 1, name; a.taken[name]; n++ {
		name = first + "-" + strconv.Itoa(n)
	}
	a.taken[name] = true
	return []byte(anchorPrefix + name)
}

// Put keeps an anchor that a text gives itself.
func (a *anchors) Put(value []byte) { a.taken[string(value)] = true }

// anchor is GitHub's name for a section.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}
