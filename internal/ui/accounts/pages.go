package accounts

import (
	"net/url"
	"strconv"
	"strings"

	"strongroom/internal/identity"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// listed is how many people or organisations a page shows.
const listed = 100

// pages are what is searched for, the links to the page before, to the next one and to the first, "" where there is
// none, and whether the list is in the order of names. Partly says that not all was looked at for this page.
type pages struct {
	Search              string
	Before, Next, First string
	Sorted, Partly      bool
}

// Later reports whether there is something of the list before the page.
func (p pages) Later() bool { return p.Before != "" || p.First != "" }

// onePage gives the page of a list that the address asks for. With a search, those whose name or description has it are
// in the list.
func onePage[T any](v *visit.Visit, list func(identity.Part) ([]T, identity.Order, error)) ([]T, pages, error) {
	query := v.URL.Query()
	p := pages{Search: strings.TrimSpace(query.Get("q"))}
	n, err := strconv.Atoi(query.Get("page"))
	if err != nil || n < 0 || n > 1<<20 {
		n = 0
	}
	part := identity.Part{Skip: n * listed, Limit: listed, From: query.Get("from")}
	if p.Search != "" {
		part.Keeps = func(name, description string) bool {
			return words.Contains(name, p.Search) || words.Contains(description, p.Search)
		}
	}
	found, order, err := list(part)
	if err != nil {
		return nil, pages{}, err
	}
	p.Sorted = order.Sorted
	link := func(name, value string) string {
		q := url.Values{}
		if p.Search != "" {
			q.Set("q", p.Search)
		}
		if value != "" {
			q.Set(name, value)
		}
		return "?" + q.Encode()
	}
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	switch {
	case p.Sorted:
		if n > 0 {
			p.Before = link("page", number(n-1))
		}
		if order.More {
			p.Next = link("page", number(n+1))
		}
		return found, p, nil
	case part.From != "" || n > 0:
		p.First = link("", "")
	}
	if order.More {
		p.Next = link("from", order.Next)
		p.Partly = len(found) < listed
	}
	return found, p, nil
}
