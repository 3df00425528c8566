package accounts

import (
	"net/url"
	"slices"
	"strconv"

	"strongroom/internal/identity"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// listed is how many people or organisations a page shows.
const listed = 100

// pages are the links to the page before and to the next one; "" where there is none.
type pages struct{ Before, Next string }

// inPages gives onePage a list of which one page is read, or, for a search, all.
func inPages[T any](search string, list func(identity.Page) ([]T, error)) func(int, func(T) bool) error {
	return func(skip int, yield func(T) bool) error {
		page := identity.Page{Offset: skip, Limit: listed + 1}
		if search != "" {
			page.Limit = 0
		}
		items, err := list(page)
		for i := 0; i < len(items) && yield(items[i]); i++ {
		}
		return err
	}
}

// onePage gives the page of a list that the address asks for. Each gives the list but for those it skips, until it is
// told that there are enough. With a search, those whose name or description has it are counted.
func onePage[T any](v *visit.Visit, search string, each func(skip int, yield func(T) (more bool)) error,
	texts func(T) []string) ([]T, pages, error) {
	n, err := strconv.Atoi(v.URL.Query().Get("page"))
	if err != nil || n < 0 || n > 1<<20 {
		n = 0
	}
	var found []T
	skip, before := n*listed, 0
	if search != "" {
		skip, before = 0, skip
	}
	if err := each(skip, func(item T) bool {
		if search != "" && !slices.ContainsFunc(texts(item), func(t string) bool { return words.Contains(t, search) }) {
			return true
		}
		if before > 0 {
			before--
			return true
		}
		found = append(found, item)
		return len(found) <= listed
	}); err != nil {
		return nil, pages{}, err
	}
	var p pages
	link := func(n int) string {
		q := url.Values{}
		if search != "" {
			q.Set("q", search)
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
