package servers

import (
	"context"
	"slices"
	"sync"

	"strongroom/internal/audit"
	"strongroom/internal/errs"
)

// Acts are those of all servers in one order. It is what pages and the API ask.
type Acts struct {
	Own    Own
	Server *Server // nil where there is no other
	// Logs gives the names of all servers that have ever kept a log.
	Logs func(ctx context.Context) ([]string, error)
}

// Query returns the acts that the filter chooses, of all servers, newest first, and which servers' acts are not among
// them. before is Next of the page before, and empty for the first one.
//
// Each server's acts are in the order of its log, and servers' acts stand between each other by their times.
func (a *Acts) Query(ctx context.Context, f audit.Filter, before audit.Before) (audit.Acts, error) {
	if a.Server == nil {
		if before.Servers != nil {
			return audit.Acts{}, audit.ErrBefore
		}
		f.Before = before.Seq
		page, err := a.Own.Query(ctx, f)
		acts := audit.Acts{Records: page.Records}
		if page.Next != 0 {
			acts.Next = audit.Before{Seq: page.Next}.String()
		}
		return acts, err
	}
	from := before.Servers
	if before.Seq != 0 {
		return audit.Acts{}, audit.ErrBefore
	}
	if f.Limit <= 0 {
		f.Limit = audit.DefaultLimit
	}
	f.Limit = min(f.Limit, audit.MaxLimit)
	members, err := a.Server.Members(ctx)
	if err != nil {
		return audit.Acts{}, err
	}
	var acts audit.Acts
	names := []string{a.Server.Self.Name}
	for _, m := range members {
		names = append(names, m.Name)
	}
	if from == nil {
		logs, err := a.Logs(ctx)
		if err != nil {
			return acts, err
		}
		for _, name := range logs {
			if !slices.Contains(names, name) {
				acts.Missing = append(acts.Missing, audit.Absent{Server: name, Message: "it does not run"})
			}
		}
	}
	slices.Sort(names)
	parts := a.gather(ctx, f, slices.Compact(names), members, from)
	for _, p := range parts {
		if p.err != nil {
			acts.Missing = append(acts.Missing, audit.Absent{Server: p.name, Message: errs.Message(p.err)})
		}
	}
	slices.SortFunc(acts.Missing, func(x, y audit.Absent) int {
		if x.Server < y.Server {
			return -1
		}
		return 1
	})
	acts.Records, acts.Next = merge(parts, f.Limit)
	return acts, nil
}

// part is what one server has told.
type part struct {
	name   string
	before uint64 // what it was asked for
	got    answer
	err    error
}

// gather asks the servers at the same time, from where the page before has left off.
func (a *Acts) gather(ctx context.Context, f audit.Filter, names []string, members []Member,
	from map[string]uint64) []*part {
	var parts []*part
	var asking sync.WaitGroup
	for _, name := range names {
		p := &part{name: name}
		if from != nil {
			before, more := from[name]
			if !more {
				continue
			}
			p.before = before
		}
		parts = append(parts, p)
		asking.Go(func() {
			f := f
			f.Before = p.before
			if name == a.Server.Self.Name {
				p.got = answer{Top: a.Own.Top()}
				p.got.Page, p.err = a.Own.Query(ctx, f)
				return
			}
			i := slices.IndexFunc(members, func(m Member) bool { return m.Name == name })
			p.got, p.err = a.Server.ask(ctx, members[i], f)
		})
	}
	asking.Wait()
	return parts
}

// merge puts the parts into one order, newest first, as far as it is known: where a server has told all that it could
// at once and has more, what is older than that waits for the next page.
func merge(parts []*part, limit int) (records []audit.Record, next string) {
	taken := make([]int, len(parts))
	for len(records) < limit {
		best := -1
		for i, p := range parts {
			if p.err != nil {
				continue
			}
			if taken[i] == len(p.got.Page.Records) {
				if p.got.Page.Next != 0 {
					best = -1
					break
				}
				continue
			}
			if best < 0 || p.got.Page.Records[taken[i]].Time.After(
				parts[best].got.Page.Records[taken[best]].Time) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		records = append(records, parts[best].got.Page.Records[taken[best]])
		taken[best]++
	}
	end := audit.Before{Servers: make(map[string]uint64)}
	for i, p := range parts {
		all := p.got.Page.Records
		var before uint64
		switch {
		case p.err != nil:
			continue
		case taken[i] < len(all) && taken[i] > 0:
			before = all[taken[i]-1].Seq
		case taken[i] < len(all) && p.before > 0:
			before = p.before
		case taken[i] < len(all):
			before = p.got.Top
		case p.got.Page.Next != 0:
			before = p.got.Page.Next
		default:
			continue // it has told everything
		}
		end.Servers[p.name] = before
	}
	return records, end.String()
}
