// Package access tells who may do what: permissions in the form of InfluxDB, the caller of a request who holds some,
// and the guard, which lets an act go on or refuses it, and puts either on record.
package access

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// Action is what a permission allows.
type Action string

// The two actions of InfluxDB, and one of ours.
const (
	Read  Action = "read"
	Write Action = "write"
	// Use, on secrets, gives their values out to be used; Read never shows one. Only tokens that were given it have it:
	// no role, no operator and no "all access" does (see Caller.MayGrant).
	Use Action = "use"
)

// ResourceType is what a permission is about.
type ResourceType string

// The resource types that mean something to this server. The others (see ResourceTypes) are kept and handed back, so
// that tokens made for an InfluxDB pass through.
const (
	Authorizations ResourceType = "authorizations"
	Buckets        ResourceType = "buckets"
	Orgs           ResourceType = "orgs"
	Secrets        ResourceType = "secrets"
	Users          ResourceType = "users"
	Instance       ResourceType = "instance"
)

// ResourceTypes are all types of InfluxDB 2.7's API, in its order (authz.go, AllResourceTypes).
var ResourceTypes = []ResourceType{
	Authorizations, Buckets, "dashboards", Orgs, "sources", "tasks", "telegrafs", Users, "variables", "scrapers",
	Secrets, "labels", "views", "documents", "notificationRules", "notificationEndpoints", "checks", "dbrp",
	"notebooks", "annotations", "remotes", "replications", Instance,
}

// alsoKnown are types that other versions and the cloud use; they are taken in a permission and not offered.
var alsoKnown = []ResourceType{"flows", "functions"}

// Resource says what a permission is about: one thing (ID), everything of the type in an organisation (OrgID), or
// everything of the type (neither).
type Resource struct {
	Type  ResourceType
	ID    id.ID
	OrgID id.ID
	// Name narrows a permission on secrets to one key, or, where it ends in "*", to the keys that begin with what comes
	// before. It is ours; InfluxDB has no such thing.
	Name string
}

// Permission allows one action on a resource.
type Permission struct {
	Action   Action
	Resource Resource
}

// To makes a permission.
func To(a Action, r Resource) Permission { return Permission{Action: a, Resource: r} }

// String writes the permission as InfluxDB does in its errors, for example read:orgs/031c8cbefe101000/secrets.
func (p Permission) String() string { return errs.Clip(string(p.Action)) + ":" + p.Resource.String() }

// Describe is a list of permissions for the record, with the secrets that they are narrowed to.
func Describe(list []Permission) string {
	var b strings.Builder
	for i, p := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.String())
		if p.Resource.Name != "" {
			fmt.Fprintf(&b, " %q", p.Resource.Name)
		}
	}
	return b.String()
}

func (r Resource) String() string {
	kind := errs.Clip(string(r.Type))
	switch {
	case r.OrgID.Valid() && r.ID.Valid():
		return "orgs/" + r.OrgID.String() + "/" + kind + "/" + r.ID.String()
	case r.OrgID.Valid():
		return "orgs/" + r.OrgID.String() + "/" + kind
	case r.ID.Valid():
		return kind + "/" + r.ID.String()
	}
	return kind
}

// covers reports whether holding p allows need. The rules are InfluxDB's (authz.go, Permission.Matches), with the
// narrowing of secrets by name added.
func (p Permission) covers(need Permission) bool {
	return p.concerns(need) && p.Resource.covers(need.Resource)
}

// concerns reports whether p is of the action and type that are needed.
func (p *Permission) concerns(need Permission) bool {
	return p.Action == need.Action && (p.Resource.Type == need.Resource.Type || p.Resource.Type == Instance)
}

// covers is about a resource of the same type, or a held one that is an instance.
func (r Resource) covers(n Resource) bool {
	r, n = r.plain(), n.plain()
	if r.Type == Instance {
		// One that names an organisation is for all that is in it, and one that names a thing is for no other. InfluxDB
		// lets either do everything; its own clients make neither.
		inIt := n.OrgID == r.OrgID || n.Type == Orgs && n.ID == r.OrgID
		return !r.ID.Valid() && (!r.OrgID.Valid() || inIt)
	}
	if r.OrgID.Valid() && r.OrgID != n.OrgID {
		return false
	}
	if r.ID.Valid() && r.ID != n.ID {
		return false
	}
	return r.Type != Secrets || r.Name == "" || nameCovers(r.Name, n.Name)
}

// plain names an organisation by its own ID: clients also send its ID as that of the organisation it would be in.
func (r Resource) plain() Resource {
	if r.Type == Orgs && r.OrgID.Valid() && (!r.ID.Valid() || r.ID == r.OrgID) {
		r.ID, r.OrgID = r.OrgID, 0
	}
	return r
}

// org is the organisation by which a permission on the resource is found; 0 where it is none. A permission on one
// organisation, or on something in it, covers nothing that does not name that one.
func (r Resource) org() id.ID {
	if r = r.plain(); r.Type == Orgs && !r.OrgID.Valid() {
		return r.ID
	}
	if r.Type == Instance {
		return 0 // which covers everything, whatever else it says
	}
	return r.OrgID
}

// nameCovers reports whether the pattern held covers the key or pattern needed. An empty need stands for all keys,
// which of all patterns only "*" covers.
func nameCovers(held, need string) bool {
	prefix, isPrefix := strings.CutSuffix(held, "*")
	if isPrefix {
		return strings.HasPrefix(need, prefix)
	}
	return held == need
}

// maxPermissionName bounds the name in one permission, in bytes: the key of a secret, or the name of a bucket, say.
const maxPermissionName = 8 << 10

// Valid checks a permission that came from outside.
func (p Permission) Valid() error {
	if p.Action != Read && p.Action != Write && p.Action != Use {
		return errs.New(errs.Invalid, "unknown action %q for permission; it must be read, write or use",
			errs.Clip(string(p.Action)))
	}
	if !slices.Contains(ResourceTypes, p.Resource.Type) && !slices.Contains(alsoKnown, p.Resource.Type) {
		return errs.New(errs.Invalid, "unknown resource type %q for permission", errs.Clip(string(p.Resource.Type)))
	}
	if n := len(p.Resource.Name); n > maxPermissionName {
		return errs.New(errs.Invalid, "the name in a permission is %d bytes long, at most %d are allowed", n,
			maxPermissionName)
	}
	if r := p.Resource; p.Action == Use && (r.Type != Secrets || r.ID.Valid()) {
		return errs.New(errs.Invalid, "the action use is for secrets: type secrets, without id; with orgID those of "+
			"one organization, without it, which only an operator may give, of all")
	}
	return nil
}

// The permissions on the server itself, which only operators have: to look at its settings and its audit log, and to
// change its keys and who else is an operator.
var (
	ReadServer  = To(Read, Resource{Type: Instance})
	WriteServer = To(Write, Resource{Type: Instance})
)

// Operator is every permission there is.
func Operator() []Permission {
	return each(func(t ResourceType) Resource { return Resource{Type: t} }, Read, Write)
}

// Owner is everything in one organisation.
func Owner(org id.ID) []Permission { return each(inOrg(org), Read, Write) }

// Member is reading everything in one organisation.
func Member(org id.ID) []Permission { return each(inOrg(org), Read) }

// Self is what every user may do: see and change themself.
func Self(user id.ID) []Permission {
	r := Resource{Type: Users, ID: user}
	return []Permission{To(Read, r), To(Write, r)}
}

func each(resource func(ResourceType) Resource, actions ...Action) []Permission {
	var ps []Permission
	for _, t := range ResourceTypes {
		r := resource(t)
		if r.Type == "" {
			continue
		}
		for _, a := range actions {
			ps = append(ps, To(a, r))
		}
	}
	return ps
}

func inOrg(org id.ID) func(ResourceType) Resource {
	return func(t ResourceType) Resource {
		switch t {
		case Instance:
			return Resource{}
		case Orgs:
			return Resource{Type: Orgs, ID: org}
		}
		return Resource{Type: t, OrgID: org}
	}
}

// permissionJSON is the form on the wire and in the store. Org and, for types other than secrets, Name are for readers
// only: what counts is the IDs.
type permissionJSON struct {
	Action   Action       `json:"action"`
	Resource resourceJSON `json:"resource"`
}

type resourceJSON struct {
	Type  ResourceType `json:"type"`
	ID    *id.ID       `json:"id,omitempty"`
	Name  string       `json:"name,omitempty"`
	OrgID *id.ID       `json:"orgID,omitempty"`
}

// MarshalJSON writes InfluxDB's form.
func (p Permission) MarshalJSON() ([]byte, error) {
	r := resourceJSON{Type: p.Resource.Type, Name: p.Resource.Name}
	if p.Resource.ID.Valid() {
		r.ID = &p.Resource.ID
	}
	if p.Resource.OrgID.Valid() {
		r.OrgID = &p.Resource.OrgID
	}
	return json.Marshal(permissionJSON{p.Action, r})
}

// UnmarshalJSON reads InfluxDB's form.
func (p *Permission) UnmarshalJSON(b []byte) error {
	var j permissionJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*p = Permission{Action: j.Action, Resource: Resource{Type: j.Resource.Type, Name: j.Resource.Name}}
	if j.Resource.ID != nil {
		p.Resource.ID = *j.Resource.ID
	}
	if j.Resource.OrgID != nil {
		p.Resource.OrgID = *j.Resource.OrgID
	}
	return nil
}
