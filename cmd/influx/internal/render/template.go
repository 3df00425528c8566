package render

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	"strongroom/client"
)

// value is a secret's value inside a template. It is no string there: {{ secret (secret "a") }}, which would send a
// value to the server as a name, is a mistake that text/template finds.
type value string

// page is a template, and the secrets that it names.
type page struct {
	tmpl     *template.Template
	literals []string          // keys that stand in it, sorted
	line     map[string]string // where each stands first
}

// errUnknown ends a template that asks for a secret whose value it has not got.
type errUnknown struct{ key string }

func (e *errUnknown) Error() string {
	return fmt.Sprintf("there is no secret %q that this token may use", e.key)
}

func newPage(name, text string) (*page, error) {
	p := &page{line: map[string]string{}}
	var err error
	p.tmpl, err = template.New(name).Option("missingkey=error").Funcs(p.functions(nil)).Parse(text)
	if err != nil && strings.HasSuffix(err.Error(), "not defined") {
		ours := strings.Join(slices.Sorted(maps.Keys(p.functions(nil))), ", ")
		return nil, fmt.Errorf("%w; beside Go's own functions there are %s", err, ours)
	}
	if err != nil {
		return nil, err
	}
	for _, t := range p.tmpl.Templates() {
		if t.Tree != nil {
			p.look(t.Tree, t.Root)
		}
	}
	slices.Sort(p.literals)
	return p, nil
}

func (p *page) functions(values map[string]client.Secret) template.FuncMap {
	return template.FuncMap{
		"secret": func(key string) (value, error) {
			got, ok := values[key]
			if !ok {
				return "", &errUnknown{key}
			}
			return value(got.Reveal()), nil
		},
		"base64": func(v any) string { return base64.StdEncoding.EncodeToString([]byte(textOf(v))) },
		"json": func(v any) (string, error) {
			var b strings.Builder
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(false)
			err := e.Encode(textOf(v))
			return strings.TrimSuffix(b.String(), "\n"), err
		},
		"indent": func(n int, v any) (string, error) {
			if n < 0 || n > 80 {
				return "", errors.New("indent takes 0 to 80")
			}
			space := strings.Repeat(" ", n)
			return space + strings.ReplaceAll(textOf(v), "\n", "\n"+space), nil
		},
		"trim": func(v any) string { return strings.TrimSpace(textOf(v)) },
	}
}

func textOf(v any) string {
	if text, ok := v.(value); ok {
		return string(text)
	}
	return fmt.Sprint(v)
}

// look finds each {{ secret "key" }}, wherever it stands in an expression.
func (p *page) look(t *parse.Tree, n parse.Node) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, inner := range n.Nodes {
				p.look(t, inner)
			}
		}
	case *parse.ActionNode:
		p.look(t, n.Pipe)
	case *parse.IfNode:
		p.branch(t, &n.BranchNode)
	case *parse.RangeNode:
		p.branch(t, &n.BranchNode)
	case *parse.WithNode:
		p.branch(t, &n.BranchNode)
	case *parse.TemplateNode:
		p.look(t, n.Pipe)
	case *parse.PipeNode:
		if n == nil {
			return
		}
		for i, cmd := range n.Cmds {
			p.look(t, cmd)
			// {{ "key" | secret }}
			if i > 0 && len(cmd.Args) == 1 && len(n.Cmds[i-1].Args) == 1 {
				p.call(t, cmd.Args[0], n.Cmds[i-1].Args[0])
			}
		}
	case *parse.CommandNode:
		for _, arg := range n.Args {
			p.look(t, arg)
		}
		if len(n.Args) == 2 {
			p.call(t, n.Args[0], n.Args[1])
		}
	}
}

func (p *page) branch(t *parse.Tree, b *parse.BranchNode) {
	p.look(t, b.Pipe)
	p.look(t, b.List)
	p.look(t, b.ElseList)
}

func (p *page) call(t *parse.Tree, function, argument parse.Node) {
	f, isName := function.(*parse.IdentifierNode)
	key, isText := argument.(*parse.StringNode)
	if !isName || !isText || f.Ident != "secret" || p.line[key.Text] != "" {
		return
	}
	p.literals = append(p.literals, key.Text)
	place, _ := t.ErrorContext(argument)
	p.line[key.Text] = place
}

// execute renders the page. Where it asks for a value that is not among these, the error is an errUnknown.
func (p *page) execute(values map[string]client.Secret) ([]byte, error) {
	tmpl, err := p.tmpl.Clone()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	if err := tmpl.Funcs(p.functions(values)).Execute(&b, nil); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}

// missing says of the server's refusal where the secret that it names stands; the error itself where that is not known.
func (p *page) missing(err error) error {
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Code != client.CodeNotFound {
		return err
	}
	for _, key := range p.literals {
		if refused.Message == fmt.Sprintf("secret %q not found", key) {
			return fmt.Errorf("%s: there is no secret %q that this token may use%w", p.line[key], key, silent{err})
		}
	}
	return err
}

// silent keeps the code of an error whose text has been said in other words.
type silent struct{ error }

func (s silent) Error() string { return "" }
func (s silent) Unwrap() error { return s.error }
