package access

import (
	"sync/atomic"

	"strongroom/internal/id"
)

// Principal is who a token or a session stands for. It is shared between requests and never changed.
type Principal struct {
	UserID          id.ID
	User            string
	AuthorizationID id.ID // zero for a session
	MakerID         id.ID // the user who made the authorization; zero where that is not known
	Permissions     []Permission

	index atomic.Pointer[index]
	// operator is whether WriteServer is among the permissions, which every act on record asks: 0 before somebody has
	// looked, then no or yes.
	operator atomic.Int32
}

// The values of operator.
const (
	no  = 1
	yes = 2
)

// operates reports whether the principal holds WriteServer.
func (c *Caller) operates() bool {
	known := c.operator.Load()
	if known == 0 {
		known = no
		if c.May(WriteServer) {
			known = yes
		}
		c.operator.Store(known)
	}
	return known == yes
}

// Caller is a principal in one request. There is no way to read or change anything without naming one.
type Caller struct {
	*Principal
	Address   string // of the client, without its port
	RequestID string
}

// System is the server itself, at work on what a caller asked for earlier.
func System() *Caller {
	return &Caller{Principal: &Principal{User: "influxd", Permissions: Operator()}}
}

// index has permissions by the organisation that they are narrowed to, and those of every one under 0.
type index map[id.ID][]Permission

// manyPermissions is from how many on they are looked for by organisation. Somebody with many organisations has some
// dozens for each, and a list asks about each thing in it.
const manyPermissions = 128

// about gives the permissions that may cover the resource, in three parts.
func (p *Principal) about(r Resource) [3][]Permission {
	if len(p.Permissions) < manyPermissions {
		return [3][]Permission{p.Permissions}
	}
	in := p.index.Load()
	if in == nil { // several may make it at the same time, and the same
		made := make(index)
		for _, permission := range p.Permissions {
			of := permission.Resource.org()
			made[of] = append(made[of], permission)
		}
		in = &made
		p.index.Store(in)
	}
	all := [3][]Permission{(*in)[0]}
	if r = r.plain(); r.OrgID.Valid() {
		all[1] = (*in)[r.OrgID]
	}
	if r.Type == Orgs && r.ID.Valid() && r.ID != r.OrgID {
		all[2] = (*in)[r.ID]
	}
	return all
}

// May reports whether the caller holds the permission.
func (c *Caller) May(need Permission) bool {
	for _, all := range c.about(need.Resource) {
		for i := range all {
			p := &all[i] // which is not copied: most permissions are about something else
			if p.concerns(need) && p.Resource.covers(need.Resource) {
				return true
			}
		}
	}
	return false
}

// MaySome reports whether the caller may do the action on at least some of the organisation's secrets.
func (c *Caller) MaySome(a Action, org id.ID) bool {
	secrets := Resource{Type: Secrets, OrgID: org}
	for _, all := range c.about(secrets) {
		for _, p := range all {
			p.Resource.Name = ""
			if p.covers(To(a, secrets)) {
				return true
			}
		}
	}
	return false
}

// MaySee reports whether the caller may see that the organisation is there. Whoever may do anything with its secrets
// may: clients look an organisation up by its name before they use its secrets.
func (c *Caller) MaySee(org id.ID) bool {
	return c.May(To(Read, Resource{Type: Orgs, ID: org})) || c.MaySome(Read, org) || c.MaySome(Write, org) ||
		c.MaySome(Use, org)
}

// MayGrant reports whether the caller may make a token with the permission: one they hold, or the use of secrets that
// they may both read of and write. To write alone is not enough: who sets what they can never list would else read it.
func (c *Caller) MayGrant(p Permission) bool {
	if c.May(p) {
		return true
	}
	return p.Action == Use && c.May(To(Read, p.Resource)) && c.May(To(Write, p.Resource))
}
