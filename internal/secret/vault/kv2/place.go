// Package kv2 is what Vault keeps at a place: where an organisation's secrets are in a KV engine of version 2, and how
// an entry there is read and written.
package kv2

import (
	"cmp"
	"fmt"
	"path"
	"strings"
	"unicode"

	"strongroom/internal/id"
)

// Place says where in Vault an organisation's secrets are.
type Place struct {
	Mount string // of a KV engine, version 2; DefaultMount
	// Path is the entry's, below the mount. {org} in it is the organisation's ID and {orgName} its name, which is then
	// part of where its secrets are: a new name is another entry. DefaultPath.
	Path      string
	Namespace string // VAULT_NAMESPACE
	// ReadOnly is for trees that others write: changes are refused, and the end of an organisation leaves its secrets.
	ReadOnly bool
	// Layout is how the secrets lie there; LayoutOrg.
	Layout Layout
}

// Layout is how an organisation's secrets lie in Vault.
type Layout string

// The layouts, as --vault-layout names them.
const (
	LayoutOrg    Layout = "org"    // in one entry, as InfluxDB has it
	LayoutSecret Layout = "secret" // each in an entry of its own, below the organisation's path
)

// DefaultMount is where InfluxDB keeps its secrets.
const DefaultMount = "secret"

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
	if p.Layout = cmp.Or(p.Layout, or.Layout); p.Layout != LayoutOrg && p.Layout != LayoutSecret {
		return p, fmt.Errorf("--vault-layout: %q is neither org nor secret", p.Layout)
	}
	p.Namespace = cmp.Or(strings.Trim(p.Namespace, "/"), or.Namespace)
	return p, nil
}

var placeholders = strings.NewReplacer("{org}", "", "{orgName}", "")

// holds reports whether the path is another one for each organisation.
func (p Place) holds() bool { return placeholders.Replace(p.Path) != p.Path }

// named reports whether the organisation's name is part of where its secrets are.
func (p Place) named() bool { return strings.Contains(p.Path, "{orgName}") }

// entry is the path without placeholders.
func (p Place) entry(org id.ID, name string) string {
	return strings.NewReplacer("{org}", org.String(), "{orgName}", name).Replace(p.Path)
}

// ParseRoute reads a route as the configuration gives it: the organisation's ID and what is different for it, parted by
// spaces, as in "031c8cbefe101000 mount=team-a path=influxdb/{org} namespace=eu layout=secret read-only".
func ParseRoute(text string) (id.ID, Place, error) {
	var p Place
	words := strings.Fields(text)
	if len(words) < 2 {
		return 0, p, fmt.Errorf("the route %q is not an organisation's ID and mount=, path=, namespace=, layout= "+
			"or read-only", text)
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
		case name == "layout" && (value == string(LayoutOrg) || value == string(LayoutSecret)):
			p.Layout = Layout(value)
		case name == "namespace" && value != "":
			p.Namespace = value
		default:
			return 0, p, fmt.Errorf("the route %q has %q, which is none of mount=…, path=…, namespace=…, layout=org, "+
				"layout=secret and read-only", text, w)
		}
	}
	return org, p, nil
}

// cleanPath takes the slashes off the ends and refuses what would not be one path in Vault.
func cleanPath(p, flag string) (string, error) {
	p = strings.Trim(p, "/")
	for segment := range strings.SplitSeq(p, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.ContainsFunc(segment, unprintable) {
			return "", fmt.Errorf("%s: %q is not a path in Vault: write it as team/influxdb", flag, p)
		}
	}
	return p, nil
}

// unprintable reports whether Vault answers a request with 400 that has the character in its path
// (PrintablePathCheckHandler of go-cleanhttp).
func unprintable(c rune) bool { return !unicode.IsPrint(c) }

// Glob is the path in a policy that covers all organisations.
func (p Place) Glob() string {
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
