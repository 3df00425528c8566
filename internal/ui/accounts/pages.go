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

// pages are what is searched for, the links to the page before and to the next one, "" where there is none, and whether
// the list is in the order of names.
type pages struct {
	Search       string
	Before, Next string
	Sorted       bool
}

// onePage gives the page of a list that the address asks for. With a search, those whose name or description has it are
// in the list.
func onePage[T any](v *visit.Visit, list func(identity.Part) (some []T, sorted bool, err error)) ([]T, pages, error) {
	p := pages{Search: strings.TrimSpace(v.URL.Query().Get("q"))}
	n, err := strconv.Atoi(v.URL.Query().Get("page"))
	if err != nil || n < 0 || n > 1<<20 {
		n = 0
	}
	part := identity.Part{Skip: n * listed, Limit: listed + 1}
	if p.Search != "" {
		part.Keeps = func(name, description string) bool {
			return words.Contains(name, p.Search) || words.Contains(description, p.Search)
		}
	}
	found, sorted, err := list(part)
	if err != nil {
		return nil, pages{}, err
	}
	p.Sorted = sorted
	link := func(n int) string {
		q := url.Values{}
		if p.Search != "" {
			q.Set("q", p.Search)
		}
		if n > 0 {
			q.Set("page", strconv.Itoa(n))
		}
		return "?" + q.Encode()
	}
	if n > 0 {
		p.Before = link(n - 1)
	}
	if len(found) > listed {
		found, p.Next = found[:listed], link(n+1)
	}
	return found, p, nil
}
