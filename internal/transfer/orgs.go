package transfer

import (
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/influxdb"
)

// Match finds, for the organisations of a source, which they are in the target: as named says, else the one of the same
// ID, else the one of the same name, since an organisation has another ID in a Strongroom that did not get it from
// there. Those for which there is none are missing.
func Match(from, to []identity.Org, named []Named) (pairs []Pair, missing []identity.Org, err error) {
	said := make(map[id.ID]identity.Org)
	for _, n := range named {
		f, ok := Find(from, n.From)
		if !ok {
			return nil, nil, fmt.Errorf("flag --org: the source has no organization %q", n.From)
		}
		t, ok := Find(to, n.To)
		if !ok {
			return nil, nil, fmt.Errorf("flag --org: the target has no organization %q", n.To)
		}
		said[f.ID] = t
	}
	taken := make(map[id.ID]identity.Org)
	for _, f := range from {
		t, ok := said[f.ID]
		if !ok {
			if t, ok, err = match(f, to); err != nil {
				return nil, nil, err
			}
		}
		if !ok {
			missing = append(missing, f)
			continue
		}
		if other, twice := taken[t.ID]; twice {
			return nil, nil, fmt.Errorf("the organizations %q and %q would both go into %q; say with --org which "+
				"one shall, and copy the other by itself", other.Name, f.Name, t.Name)
		}
		taken[t.ID] = f
		pairs = append(pairs, Pair{From: f.ID, To: t.ID})
	}
	return pairs, missing, nil
}

// match finds an organisation without being told.
func match(f identity.Org, to []identity.Org) (identity.Org, bool, error) {
	byID := slices.IndexFunc(to, func(t identity.Org) bool { return t.ID == f.ID })
	byName := slices.IndexFunc(to, func(t identity.Org) bool { return t.Name == f.Name && f.Name != "" })
	switch {
	case byID >= 0 && byName >= 0 && byID != byName:
		return identity.Org{}, false, fmt.Errorf("the organization %q, %s: the target has one of the ID, called "+
			"%q, and another of the name; say which it is with --org %s=ID",
			errs.Clip(f.Name), f.ID, errs.Clip(to[byID].Name), f.ID)
	case byID >= 0:
		return to[byID], true, nil
	case byName >= 0:
		return to[byName], true, nil
	}
	return identity.Org{}, false, nil
}

// Find finds an organisation by its name or ID.
func Find(orgs []identity.Org, what string) (identity.Org, bool) {
	for _, o := range orgs {
		if o.ID.String() == what || o.Name == what {
			return o, true
		}
	}
	return identity.Org{}, false
}

// Named says which organisation of the source is which in the target, each by its name or ID.
type Named struct{ From, To string }

// ParseNamed reads FROM=TO,FROM=TO.
func ParseNamed(text string) (all []Named, err error) {
	for part := range strings.SplitSeq(text, ",") {
		from, to, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || from == "" || to == "" {
			return nil, fmt.Errorf("flag --org: %q is not FROM=TO, an organization of the source and one of the "+
				"target, by name or ID", part)
		}
		all = append(all, Named{from, to})
	}
	return all, nil
}

// Missed tells of secrets whose organisation is not in the target.
func Missed(o identity.Org, secrets int) influxdb.Skip {
	who := fmt.Sprintf("the organization %q", errs.Clip(o.Name))
	if o.Name == "" {
		who = "the organization"
	}
	return influxdb.Skip{Kind: "secret", Name: o.ID.String(), Count: secrets, Why: who +
		" is not in the target: make it there, let --create-orgs make it, or say with --org " +
		"" + o.ID.String() + "=NAME which one it is there"}
}
