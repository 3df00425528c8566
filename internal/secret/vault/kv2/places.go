package kv2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
)

// Location is where one organisation's secrets are, and who speaks to Vault there.
type Location struct {
	Place
	Entry  string // the path, without placeholders
	Client *api.Client
	Conn   *conn.Conn
	// Holds is what an entry here holds, for the message where it is too large, and Remedy what to do about that.
	Holds, Remedy string
}

// In is the entry's path in one of the engine's kinds of path: data, metadata and so on.
func (l Location) In(kind string) string { return path.Join(l.Mount, kind, l.Entry) }

// Request is one for the entry.
func (l Location) Request(method, kind, needs string) conn.Request {
	return conn.Request{Method: method, Kind: kind, Path: l.In(kind), Needs: needs, Entry: l.Holds, Remedy: l.Remedy}
}

// Places are all of a store's.
type Places struct {
	Everywhere Place // but for those that have a route
	conn       *conn.Conn
	routes     map[id.ID]Place
	orgName    func(context.Context, id.ID) (string, error)
	names      sync.Map // id.ID to the last name known
}

// NewPlaces are a place and, where single organisations' secrets are elsewhere, their routes. name is for paths with
// {orgName}.
func NewPlaces(c *conn.Conn, everywhere Place, routes map[id.ID]Place, name func(context.Context, id.ID) (string, error)) (*Places, error) {
	var err error
	s := &Places{conn: c, orgName: name}
	first := Place{Mount: DefaultMount, Path: DefaultPath, Namespace: c.Client.Namespace(), Layout: LayoutOrg}
	if s.Everywhere, err = everywhere.clean(first); err != nil {
		return nil, err
	}
	if !s.Everywhere.holds() {
		return nil, fmt.Errorf("--vault-path: %q puts all organisations into one entry; it needs {org} or {orgName}", s.Everywhere.Path)
	}
	s.routes = make(map[id.ID]Place, len(routes))
	taken := make(map[Place]id.ID)
	for org, p := range routes {
		readOnly := p.ReadOnly || s.Everywhere.ReadOnly
		if p, err = p.clean(s.Everywhere); err != nil {
			return nil, fmt.Errorf("the route of organisation %s: %w", org, err)
		}
		p.ReadOnly = readOnly
		at := p
		at.ReadOnly, at.Layout = false, ""
		if other, ok := taken[at]; ok && !p.holds() {
			return nil, fmt.Errorf("the routes of organisations %s and %s lead to one entry, %s/%s", other, org, p.Mount, p.Path)
		}
		taken[at] = org
		s.routes[org] = p
	}
	for _, p := range s.All() {
		if strings.Contains(p.Path, "{orgName}") && name == nil {
			return nil, errors.New("--vault-path: {orgName} cannot be used here, where no organisation's name is known")
		}
	}
	return s, s.apart()
}

// apart refuses places of which one lies below another that has the layout "secret": what is below such a path are its
// organisation's secrets.
func (s *Places) apart() error {
	places := []routed{{s.Everywhere, 0}}
	for _, org := range slices.Sorted(maps.Keys(s.routes)) {
		places = append(places, routed{s.routes[org], org})
	}
	for _, outer := range places {
		for _, inner := range places {
			if outer.Layout == LayoutSecret && outer.org != inner.org && outer.covers(inner) {
				return fmt.Errorf("%s lies below %s, where the layout is secret: what is there would be secrets of both organisations; give one of them another --vault-path or route",
					path.Join(inner.Mount, inner.Path), path.Join(outer.Mount, outer.Path))
			}
		}
	}
	return nil
}

// routed is the place of one organisation, or of those that have none of their own (0).
type routed struct {
	Place
	org id.ID
}

// covers reports whether the path of some organisation at the one lies below that of another at the other.
func (r routed) covers(below routed) bool {
	outer, inner := r.segments(), below.segments()
	if r.Mount != below.Mount || r.Namespace != below.Namespace || len(outer) >= len(inner) {
		return false
	}
	for i := range outer {
		if !may(outer[i], inner[i], below.org) && !may(inner[i], outer[i], r.org) {
			return false
		}
	}
	return true
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

// At is where an organisation's secrets are. Its path holds the organisation's ID, or its name as far as that is one
// segment of a path; nothing that a caller chose can lead elsewhere.
func (s *Places) At(ctx context.Context, org id.ID) (Location, error) {
	p, ok := s.routes[org]
	if !ok {
		p = s.Everywhere
	}
	entry := strings.ReplaceAll(p.Path, "{org}", org.String())
	if strings.Contains(entry, "{orgName}") {
		name, err := s.name(ctx, org)
		if err != nil {
			return Location{}, err
		}
		entry = strings.ReplaceAll(entry, "{orgName}", name)
	}
	return Location{Place: p, Entry: entry, Client: s.conn.In(p.Namespace), Conn: s.conn}, nil
}

func (s *Places) name(ctx context.Context, org id.ID) (string, error) {
	name, err := s.orgName(ctx, org)
	if err != nil {
		return "", err
	}
	if name != "" {
		s.names.Store(org, name)
	} else if last, ok := s.names.Load(org); ok { // of an organisation whose end is under way
		name = last.(string)
	} else {
		return "", ErrNoName
	}
	if _, err := cleanPath(name, ""); err != nil || strings.ContainsAny(name, "/{}+*") || strings.TrimSpace(name) != name {
		return "", errs.New(errs.Invalid, "the organisation's secrets are kept under its name, and the name %q cannot be part of a path in the secret store; rename the organisation, or use {org} in --vault-path", name)
	}
	return name, nil
}

// ErrNoName is an organisation that is gone, and with it the path of its secrets.
var ErrNoName = errs.New(errs.NotFound, "organization not found")

// ErrReadOnly answers changes where others write.
var ErrReadOnly = errs.New(errs.Forbidden, "the organisation's secrets are managed in the secret store itself; this server only reads them")

// ReadOnly reports whether others write the organisation's secrets.
func (s *Places) ReadOnly(org id.ID) bool {
	if p, ok := s.routes[org]; ok {
		return p.ReadOnly
	}
	return s.Everywhere.ReadOnly
}

// Layout is how the organisation's secrets lie.
func (s *Places) Layout(org id.ID) Layout {
	if p, ok := s.routes[org]; ok {
		return p.Layout
	}
	return s.Everywhere.Layout
}

// All are the places of all organisations and of those with routes.
func (s *Places) All() []Place {
	all := []Place{s.Everywhere}
	for _, org := range slices.Sorted(maps.Keys(s.routes)) {
		all = append(all, s.routes[org])
	}
	return all
}
