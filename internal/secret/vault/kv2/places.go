package kv2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
)

// Location is where one organisation's secrets are, and who speaks to Vault there.
type Location struct {
	Place
	Entry  string // the path, without placeholders
	Owner  id.ID  // whose what lies there must be if it says so; 0 where the path tells it
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
	names      Names
}

// Names finds organisations' names, for paths with {orgName}. Errors go to callers. Without Of there are no such paths.
type Names struct {
	// Of is an organisation's name; "" for one that has ended.
	Of func(ctx context.Context, org id.ID) (string, error)
	// Ended are the names that an organisation had whose end is under way, and that no other can have before that is
	// over. nil where none is told of.
	Ended func(ctx context.Context, org id.ID) ([]string, error)
}

// NewPlaces are a place and, where single organisations' secrets are elsewhere, their routes.
func NewPlaces(c *conn.Conn, everywhere Place, routes map[id.ID]Place, names Names) (*Places, error) {
	var err error
	s := &Places{conn: c, names: names}
	first := Place{Mount: DefaultMount, Path: DefaultPath, Namespace: c.Client.Namespace(), Layout: LayoutOrg}
	if s.Everywhere, err = everywhere.clean(first); err != nil {
		return nil, err
	}
	if !s.Everywhere.holds() {
		return nil, fmt.Errorf("--vault-path: %q puts all organisations into one entry; it needs {org} or {orgName}",
			s.Everywhere.Path)
	}
	s.routes = make(map[id.ID]Place, len(routes))
	for org, p := range routes {
		readOnly := p.ReadOnly || s.Everywhere.ReadOnly
		if p, err = p.clean(s.Everywhere); err != nil {
			return nil, fmt.Errorf("the route of organisation %s: %w", org, err)
		}
		p.ReadOnly = readOnly
		s.routes[org] = p
	}
	for _, p := range s.All() {
		if p.named() && names.Of == nil {
			return nil, errors.New("--vault-path: {orgName} cannot be used here, where no organisation's name is known")
		}
	}
	return s, s.apart(true)
}

// At is where an organisation's secrets are. Its path holds the organisation's ID, or its name as far as that is one
// segment of a path; nothing that a caller chose can lead elsewhere.
func (s *Places) At(ctx context.Context, org id.ID) (Location, error) {
	p := s.place(org)
	if !p.named() {
		return s.location(p, org, ""), nil
	}
	name, err := s.names.Of(ctx, org)
	switch {
	case err != nil:
		return Location{}, err
	case name == "":
		return Location{}, ErrNoName
	case !fits(name):
		return Location{}, errName(name)
	}
	return s.location(p, org, name), nil
}

// AtEnd are the places that keep secrets of an organisation whose end is under way: where they lie by a name, one for
// each that it had. It is ErrNoName where none is known, or not any more: whoever has the name by now is somebody else.
func (s *Places) AtEnd(ctx context.Context, org id.ID) ([]Location, error) {
	at, err := s.At(ctx, org)
	if !errors.Is(err, ErrNoName) {
		return []Location{at}, err
	}
	if s.names.Ended == nil {
		return nil, err
	}
	names, err := s.names.Ended(ctx, org)
	if err != nil {
		return nil, err
	}
	var all []Location
	for _, name := range names {
		if fits(name) { // else nothing was ever kept there
			all = append(all, s.location(s.place(org), org, name))
		}
	}
	if len(names) == 0 {
		return nil, ErrNoName
	}
	return all, nil
}

func (s *Places) location(p Place, org id.ID, name string) Location {
	return Location{Place: p, Entry: p.entry(org, name), Owner: p.ownerOf(org), Client: s.conn.In(p.Namespace),
		Conn: s.conn}
}

// place is what the configuration says of an organisation's place.
func (s *Places) place(org id.ID) Place {
	if p, ok := s.routes[org]; ok {
		return p
	}
	return s.Everywhere
}

// fits reports whether a name can be one segment of a path.
func fits(name string) bool {
	_, err := cleanPath(name, "")
	return err == nil && !strings.ContainsAny(name, "/{}+*") && strings.TrimSpace(name) == name
}

func errName(name string) error {
	return errs.New(errs.Invalid, "the organization's secrets are kept under its name, and the name %q cannot be "+
		"part of a "+
		"path in the secret store; rename the organization, or use {org} in --vault-path", name)
}

// ErrNoName is an organisation that is gone, and with it the path of its secrets.
var ErrNoName = errs.New(errs.NotFound, "organization not found")

// ErrReadOnly answers changes where others write.
var ErrReadOnly = errs.New(errs.Forbidden,
	"the organization's secrets are managed in the secret store itself; this server only reads them")

// ReadOnly reports whether others write the organisation's secrets.
func (s *Places) ReadOnly(org id.ID) bool { return s.place(org).ReadOnly }

// Layout is how the organisation's secrets lie.
func (s *Places) Layout(org id.ID) Layout { return s.place(org).Layout }

// All are the places of all organisations and of those with routes.
func (s *Places) All() []Place {
	all := []Place{s.Everywhere}
	for _, org := range slices.Sorted(maps.Keys(s.routes)) {
		all = append(all, s.routes[org])
	}
	return all
}
