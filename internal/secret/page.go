package secret

import (
	"context"
	"slices"
	"time"
)

// Page is of which of an organisation's secrets is told, in the order of their names. Its zero value is all of them.
type Page struct {
	// Want takes those whose names it is true of; nil takes all. It may be called more than once.
	Want func(key string) bool
	// After is a name, and those that come after it are told of. It need not be there. "" is the beginning.
	After string
	// Limit is how many there are at most, 0 for all.
	Limit int
	// Before takes those whose values should be replaced before that time, where it is not zero.
	Before time.Time
}

// Behind gives the sorted names that come after the page's After.
func (p Page) Behind(sorted []string) []string {
	i, there := slices.BinarySearch(sorted, p.After)
	if there {
		i++
	}
	return sorted[i:]
}

// Pick gives the first of the names that are wanted, as many as the page has, and how many of the names it has looked
// at for that.
func (p Page) Pick(names []string) (wanted []string, looked int) {
	if p.Want == nil {
		n := len(names)
		if p.Full(n) {
			n = p.Limit
		}
		return names[:n], n
	}
	for _, name := range names {
		if p.Full(len(wanted)) {
			break
		}
		if looked++; p.Want(name) {
			wanted = append(wanted, name)
		}
	}
	return wanted, looked
}

// Full reports whether so many are a whole page.
func (p Page) Full(n int) bool { return p.Limit > 0 && n >= p.Limit }

// Tell fills the page from sorted names, with what tell says of those that it is given, some at a time. It may leave
// out names that are not there any more: others are asked for in their place, and in that of those that are Unread.
func (p Page) Tell(ctx context.Context, sorted []string,
	tell func(ctx context.Context, names []string) ([]Info, error)) ([]Info, error) {
	var all []Info
	var unread *Unread
	for rest := p.Behind(sorted); len(rest) > 0 && !p.Full(len(all)); {
		left := p
		if p.Limit > 0 {
			left.Limit = p.Limit - len(all)
		}
		if p.Limit > 0 && !p.Before.IsZero() {
			left.Limit = duePage
		}
		names, looked := left.Pick(rest)
		if rest = rest[looked:]; len(names) == 0 {
			break
		}
		infos, err := tell(ctx, names)
		some, err := Apart(err)
		if err != nil {
			return nil, err
		}
		unread = unread.Join(some)
		infos = p.Due(infos)
		if all == nil {
			all = infos
			continue
		}
		all = append(all, infos...)
	}
	if p.Full(len(all)) {
		all = slices.Delete(all, p.Limit, len(all))
	}
	return all, unread.Or(nil)
}

// duePage is how many secrets are looked at together for those that are due.
const duePage = 500

// Most is of how many secrets at most a page of a limit has what is known in memory while it is read.
func (p Page) Most() int {
	if p.Before.IsZero() {
		return p.Limit
	}
	return max(p.Limit, p.Limit+duePage) // or all, where that is no number any more
}

// Due leaves those that should be replaced before the page's Before, of what it may change.
func (p Page) Due(infos []Info) []Info {
	if p.Before.IsZero() {
		return infos
	}
	return slices.DeleteFunc(infos, func(i Info) bool { return i.Expires.IsZero() || !i.Expires.Before(p.Before) })
}
