package kv2

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"strongroom/internal/id"
)

// Two organisations must not be kept in one place, nor one in the other's: each would list, overwrite and destroy what
// is the other's. What the settings alone tell is refused when they are read. What depends on organisations' names is
// told by Meet, for whoever makes and renames organisations.

// apart refuses places of which one is another, or lies below another that has the layout "secret": what is below such
// a path are its organisation's secrets. Without namespaces they count as one.
func (s *Places) apart(namespaces bool) error {
	places := []routed{{s.Everywhere, 0}}
	for _, org := range slices.Sorted(maps.Keys(s.routes)) {
		places = append(places, routed{s.routes[org], org})
	}
	for i, outer := range places {
		for j, inner := range places {
			if i == j || outer.Mount != inner.Mount || namespaces && outer.Namespace != inner.Namespace {
				continue
			}
			at, in := path.Join(outer.Mount, outer.Path), path.Join(inner.Mount, inner.Path)
			switch {
			case i < j && outer.equals(inner):
				return fmt.Errorf("%s and %s can be one place, and secrets there would be those of two organisations; "+
					"give one of them another --vault-path or route", at, in)
			case outer.Layout == LayoutSecret && outer.covers(inner):
				return fmt.Errorf("%s lies below %s, where the layout is secret: what is there would be secrets "+
					"of both "+
					"organisations; give one of them another --vault-path or route", in, at)
			}
		}
	}
	return nil
}

// ApartWithoutNamespaces refuses places that a server which takes no heed of namespaces does not tell apart.
func (s *Places) ApartWithoutNamespaces() error { return s.apart(false) }

// routed is the place of one organisation, or of those that have none of their own (0).
type routed struct {
	Place
	org id.ID
}

// covers reports whether the path of some organisation at the one lies below that of another at the other.
func (r routed) covers(below routed) bool {
	outer, inner := r.segments(), below.segments()
	if len(outer) >= len(inner) {
		return false
	}
	for i := range outer {
		if !may(outer[i], inner[i], below.org) && !may(inner[i], outer[i], r.org) {
			return false
		}
	}
	return true
}

// equals reports whether the two are, for two organisations, one path, whatever their names are.
func (r routed) equals(other routed) bool {
	a, b := r.segments(), other.segments()
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !isOther(a[i], b[i], other.org) && !isOther(b[i], a[i], r.org) {
			return false
		}
	}
	return !slices.ContainsFunc(append(a, b...), func(s string) bool { return strings.Contains(s, "{orgName}") })
}

// isOther reports whether a segment with {org} is, for another organisation than that one, the segment.
func isOther(pattern, segment string, org id.ID) bool {
	if !strings.Contains(pattern, "{org}") || strings.Contains(segment, "{") {
		return false
	}
	expr := strings.ReplaceAll(regexp.QuoteMeta(pattern), regexp.QuoteMeta("{org}"), "([0-9a-f]{16})")
	found := regexp.MustCompile("^" + expr + "$").FindStringSubmatch(segment)
	if found == nil {
		return false
	}
	of, err := id.Parse(found[1])
	return err == nil && of != org && !slices.ContainsFunc(found[1:], func(s string) bool { return s != found[1] })
}

func (r routed) segments() []string {
	p := r.Path
	if r.org != 0 {
		p = strings.ReplaceAll(p, "{org}", r.org.String())
	}
	return strings.Split(p, "/")
}

// may reports whether a segment with placeholders may be another's, which is of the organisation's own place.
func may(pattern, segment string, org id.ID) bool {
	if pattern == "{org}" && !strings.Contains(segment, "{") {
		other, err := id.Parse(segment)
		return err == nil && other != org
	}
	return pattern == segment || strings.Contains(pattern, "{")
}

// Named reports whether the organisation's name is part of where its secrets are.
func (s *Places) Named(org id.ID) bool { return s.place(org).named() }

// Routed reports whether single organisations have places of their own: else no two places meet.
func (s *Places) Routed() bool { return len(s.routes) > 0 }

// Meet reports whether the secrets of two organisations of these names would be in one place, or in each other's.
func (s *Places) Meet(a id.ID, aName string, b id.ID, bName string) bool {
	p, q := s.place(a), s.place(b)
	if a == b || p.Mount != q.Mount || p.Namespace != q.Namespace || p.named() && !fits(aName) || q.named() &&
		!fits(bName) {
		return false
	}
	at, in := p.entry(a, aName), q.entry(b, bName)
	return at == in || p.Layout == LayoutSecret && strings.HasPrefix(in, at+"/") ||
		q.Layout == LayoutSecret && strings.HasPrefix(at, in+"/")
}
