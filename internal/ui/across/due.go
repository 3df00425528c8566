package across

import (
	"cmp"
	"context"
	"slices"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/natural"
	"strongroom/internal/secret"
	"strongroom/internal/ui/listing"
	"strongroom/internal/ui/visit"
)

const (
	// dueTime bounds how long a page looks for what is due.
	dueTime = 10 * time.Second
	// dueShown bounds the secrets that it lists.
	dueShown = 500
	// dueAtOnce is up to how many secrets in all the list of organisations tells how many of them are due: more take
	// longer than a page may.
	dueAtOnce = 2000
)

type dueList struct {
	Due    []dueRow
	Unread []unreadRow // whose records do not open, so that it is not known whether they are due
	Hidden int         // of those, beyond what is shown
	More   int
	Orgs   int    // looked at
	Silent int    // organisations whose store keeps no such days
	Next   string // the page of the organisations that there was no time for
}

type unreadRow struct {
	Key string
	Org
}

type dueRow struct {
	secret.Info
	Org
	Over bool
}

// duePage lists what is due soon in all organisations of the reader, what is overdue first: of as many as there is time
// for, in the order of their IDs. What it takes to make it does not grow with how many there are.
func (h *handlers) duePage(v *visit.Visit) (visit.Answer, error) {
	ctx, cancel := context.WithTimeout(v.Context(), dueTime)
	defer cancel()
	var last id.ID
	if after := v.URL.Query().Get("after"); after != "" {
		var err error
		if last, err = id.Parse(after); err != nil {
			return visit.Answer{}, err
		}
	}
	var l dueList
	for l.Next == "" {
		orgs, err := h.Orgs.After(v.Context(), v.Caller, last)
		if err != nil {
			return visit.Answer{}, err
		}
		if len(orgs) == 0 {
			break
		}
		for _, o := range orgs {
			before := last
			last = o.ID
			if !v.Caller.MaySome(access.Read, o.ID) {
				continue
			}
			infos, err := h.Secrets.Infos(ctx, v.Caller, o.ID, secret.Page{Before: h.Now().Add(listing.Soon)})
			unread, err := secret.Apart(err)
			switch {
			case unread != nil:
				l.passBy(unread.Keys, o)
			case errs.Is(err, errs.NotImplemented):
				l.Silent++
				continue
			case errs.Is(err, errs.NotFound): // deleted meanwhile
				continue
			case err != nil && ctx.Err() != nil && v.Context().Err() == nil:
				if l.Orgs+l.Silent == 0 { // it takes longer than all there is
					return visit.Answer{}, err
				}
				l.Next = "?after=" + before.String()
			case err != nil:
				return visit.Answer{}, err
			}
			if l.Next != "" {
				break
			}
			l.Orgs++
			for _, info := range infos {
				l.Due = append(l.Due, dueRow{info, o, !info.Expires.After(h.Now())})
			}
			if len(l.Due) > 4*dueShown {
				l.first()
			}
		}
	}
	l.first()
	return visit.Answer{Page: "due.html", Title: "Due secrets", Data: l}, nil
}

// passBy keeps those of an organisation whose records do not open.
func (l *dueList) passBy(keys []string, o Org) {
	for _, k := range keys {
		if len(l.Unread) == dueShown {
			l.Hidden++
			continue
		}
		l.Unread = append(l.Unread, unreadRow{k, o})
	}
}

// first keeps those that are shown.
func (l *dueList) first() {
	slices.SortStableFunc(l.Due, func(a, b dueRow) int {
		return cmp.Or(a.Expires.Compare(b.Expires), natural.ComparePeople(a.Name, b.Name))
	})
	n := min(len(l.Due), dueShown)
	l.More += len(l.Due) - n
	l.Due = slices.Delete(l.Due, n, len(l.Due))
}

// due is Due.
func (h *handlers) due(v *visit.Visit, orgs []id.ID) (due map[id.ID]int, known bool, err error) {
	if h.StoreName == "vault" {
		return nil, false, nil
	}
	all := 0
	for _, org := range orgs {
		keys, err := h.Store.Keys(v.Context(), org)
		if all += len(keys); err != nil || all > dueAtOnce {
			return nil, false, err
		}
	}
	due, err = h.Secrets.CountDue(v.Context(), v.Caller, orgs, h.Now().Add(listing.Soon))
	return due, err == nil, err
}

// Due counts, for the list of organisations, the secrets that are due soon; known is false where that would take long.
type Due func(v *visit.Visit, orgs []id.ID) (due map[id.ID]int, known bool, err error)

// DueOf is the Due over the same parts as the pages.
func DueOf(c Config) Due { return (&handlers{c}).due }
