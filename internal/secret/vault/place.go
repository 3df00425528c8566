package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// Place says where in Vault an organisation's secrets are.
type Place struct {
	Mount string // of a KV engine, version 2; DefaultMount
	// Path is the entry's, below the mount. {org} in it is the organisation's ID and {orgName} its name, which is then part
	// of where its secrets are: a new name is another entry. DefaultPath.
	Path      string
	Namespace string // VAULT_NAMESPACE
	// ReadOnly is for trees that others write: changes are refused, and the end of an organisation leaves its secrets.
	ReadOnly bool
}

// DefaultPath is where InfluxDB keeps its entries.
const DefaultPath = "{org}"

// clean fills in what is not set from another place, and refuses what would not be paths in Vault.
func (p Place) clean(or Place) (Place, error) {
	var err error
	if p.Mount, err = cleanPath(cmp.Or(p.Mount, or.Mount), "--vault-mount"); err != nil {
		return p, err
	}
	if p.Path, err = cleanPath(cmp.Or(p.Path, or.Path), "--vault-path"); err != nil {
		return p, err
	}
	if rest := placeholders.Replace(p.Path); strings.ContainsAny(rest, "{}") {
		return p, fmt.Errorf("--vault-path: %q has braces that are neither {org} nor {orgName}", p.Path)
	}
	p.Namespace = cmp.Or(strings.Trim(p.Namespace, "/"), or.Namespace)
	return p, nil
}

var placeholders = strings.NewReplacer("{org}", "", "{orgName}", "")

// holds reports whether the path is another one for each organisation.
func (p Place) holds() bool { return placeholders.Replace(p.Path) != p.Path }

// ParseRoute reads a route as the configuration gives it: the organisation's ID and what is different for it, parted by
// spaces, as in "031c8cbefe101000 mount=team-a path=influxdb/{org} namespace=eu read-only".
func ParseRoute(text string) (id.ID, Place, error) {
	var p Place
	words := strings.Fields(text)
	if len(words) < 2 {
		return 0, p, fmt.Errorf("the route %q is not an organisation's ID and mount=, path=, namespace= or read-only", text)
	}
	org, err := id.Parse(words[0])
	if err != nil {
		return 0, p, fmt.Errorf("the route %q does not begin with an organisation's ID: %w", text, err)
	}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		switch {
		case w == "read-only":
			p.ReadOnly = true
		case name == "mount" && value != "":
			p.Mount = value
		case name == "path" && value != "":
			p.Path = value
		case name == "namespace" && value != "":
			p.Namespace = value
		default:
			return 0, p, fmt.Errorf("the route %q has %q, which is none of mount=…, path=…, namespace=… and read-only", text, w)
		}
	}
	return org, p, nil
}

// cleanPath takes the slashes off the ends and refuses what would not be one path in Vault.
func cleanPath(p, flag string) (string, error) {
	p = strings.Trim(p, "/")
	for segment := range strings.SplitSeq(p, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.ContainsFunc(segment, unicode.IsControl) {
			return "", fmt.Errorf("%s: %q is not a path in Vault: write it as team/influxdb", flag, p)
		}
	}
	return p, nil
}

// glob is the path in a policy that covers all organisations.
func (p Place) glob() string {
	var out []string
	segments := strings.Split(p.Path, "/")
	for i, s := range segments {
		before, _, some := strings.Cut(s, "{")
		switch {
		case !some:
			out = append(out, s)
		case i < len(segments)-1 && (s == "{org}" || s == "{orgName}"):
			out = append(out, "+")
		default:
			return path.Join(path.Join(out...), before+"*")
		}
	}
	return path.Join(out...)
}

// policy is the smallest that serves.
func (p Place) policy() string {
	if p.ReadOnly {
		return fmt.Sprintf(`path "%s/data/%s" { capabilities = ["read"] }`, p.Mount, p.glob())
	}
	return fmt.Sprintf(`path "%[1]s/data/%[2]s" { capabilities = ["create", "read", "update"] } path "%[1]s/metadata/%[2]s" { capabilities = ["delete"] }`, p.Mount, p.glob())
}

// location is where one organisation's secrets are, and who speaks to Vault there.
type location struct {
	Place
	entry  string // the path, without placeholders
	client *api.Client
}

func (l location) path(kind string) string { return path.Join(l.Mount, kind, l.entry) }

func (l location) request(method, kind, needs string) request {
	return request{method: method, kind: kind, path: l.path(kind), needs: needs}
}

// places are all of a store's.
func (c Config) places(s *Store) error {
	var err error
	first := Place{Mount: DefaultMount, Path: DefaultPath, Namespace: s.client.Namespace()}
	if s.everywhere, err = c.Place.clean(first); err != nil {
		return err
	}
	if !s.everywhere.holds() {
		return fmt.Errorf("--vault-path: %q puts all organisations into one entry; it needs {org} or {orgName}", s.everywhere.Path)
	}
	s.routes = make(map[id.ID]Place, len(c.Routes))
	taken := make(map[Place]id.ID)
	for org, p := range c.Routes {
		readOnly := p.ReadOnly || s.everywhere.ReadOnly
		if p, err = p.clean(s.everywhere); err != nil {
			return fmt.Errorf("the route of organisation %s: %w", org, err)
		}
		p.ReadOnly = readOnly
		at := p
		at.ReadOnly = false
		if other, ok := taken[at]; ok && !p.holds() {
			return fmt.Errorf("the routes of organisations %s and %s lead to one entry, %s/%s", other, org, p.Mount, p.Path)
		}
		taken[at] = org
		s.routes[org] = p
	}
	for _, p := range s.allPlaces() {
		if strings.Contains(p.Path, "{orgName}") && c.OrgName == nil {
			return errors.New("--vault-path: {orgName} cannot be used here, where no organisation's name is known")
		}
	}
	s.orgName = c.OrgName
	return nil
}

// at is where an organisation's secrets are. Its path holds the organisation's ID, or its name as far as that is one
// segment of a path; nothing that a caller chose can lead elsewhere.
func (s *Store) at(ctx context.Context, org id.ID) (location, error) {
	p, ok := s.routes[org]
	if !ok {
		p = s.everywhere
	}
	entry := strings.ReplaceAll(p.Path, "{org}", org.String())
	if strings.Contains(entry, "{orgName}") {
		name, err := s.name(ctx, org)
		if err != nil {
			return location{}, err
		}
		entry = strings.ReplaceAll(entry, "{orgName}", name)
	}
	return location{p, entry, s.clientIn(p.Namespace)}, nil
}

// clientIn is the client for a namespace.
func (s *Store) clientIn(namespace string) *api.Client {
	if namespace == s.client.Namespace() {
		return s.client
	}
	c := s.root.WithNamespace(namespace)
	c.SetToken(s.client.Token())
	return c
}

func (s *Store) name(ctx context.Context, org id.ID) (string, error) {
	name, err := s.orgName(ctx, org)
	if err != nil {
		return "", err
	}
	if name != "" {
		s.names.Store(org, name)
	} else if last, ok := s.names.Load(org); ok { // of an organisation whose end is under way
		name = last.(string)
	} else {
		return "", errNoName
	}
	if _, err := cleanPath(name, ""); err != nil || strings.ContainsAny(name, "/{}+*") || strings.TrimSpace(name) != name {
		return "", errs.New(errs.Invalid, "the organisation's secrets are kept under its name, and the name %q cannot be part of a path in the secret store; rename the organisation, or use {org} in --vault-path", name)
	}
	return name, nil
}

// errNoName is an organisation that is gone, and with it the path of its secrets.
var errNoName = errs.New(errs.NotFound, "organization not found")

// errReadOnly answers changes where others write.
var errReadOnly = errs.New(errs.Forbidden, "the organisation's secrets are managed in the secret store itself; this server only reads them")

func (s *Store) readOnly(org id.ID) bool {
	if p, ok := s.routes[org]; ok {
		return p.ReadOnly
	}
	return s.everywhere.ReadOnly
}

// allPlaces are the places of all organisations and of those with routes.
func (s *Store) allPlaces() []Place {
	all := []Place{s.everywhere}
	for _, org := range slices.Sorted(maps.Keys(s.routes)) {
		all = append(all, s.routes[org])
	}
	return all
}
