package accounts

import (
	"net/url"
	"strconv"

	"strongroom/internal/identity"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// listed is how many people or organisations a page shows.
const listed = 100

// pages are the links to the page before and to the next one; "" where there is none.
type pages struct{ Before, Next string }

// onePage gives the page of a list that the address asks for. Without a search no more of the list is read than what
// comes before; with one, those whose name or description has it are counted.
func onePage[T any](v *visit.Visit, search string, all func(identity.Page) ([]T, error),
	texts func(T) []string) ([]T, pages, error) {
	n, err := strconv.Atoi(v.URL.Query().Get("page"))
	if err != nil || n < 0 || n > 1<<20 {
		n = 0
	}
	var found []T
	if search == "" {
		if found, err = all(identity.Page{Offset: n * listed, Limit: listed + 1}); err != nil {
			return nil, pages{}, err
		}
	} else {
		rows, err := all(identity.Page{})
		if err != nil {
			return nil, pages{}, err
		}
		for _, r := range rows {
			for _, t := range texts(r) {
				if words.Contains(t, search) {
					found = append(found, r)
					break
				}
			}
		}
		found = found[min(n*listed, len(found)):]
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
