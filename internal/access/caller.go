package access

import "strongroom/internal/id"

// Principal is who a token or a session stands for. It is shared between requests and never changed.
type Principal struct {
	UserID          id.ID
	User            string
	AuthorizationID id.ID // zero for a session
	MakerID         id.ID // the user who made the authorization; zero where that is not known
	Permissions     []Permission
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

// May reports whether the caller holds the permission.
func (c *Caller) May(need Permission) bool {
	for i := range c.Permissions {
		if c.Permissions[i].covers(need) {
			return true
		}
	}
	return false
}

// MaySome reports whether the caller may do the action on at least some of the organisation's secrets.
func (c *Caller) MaySome(a Action, org id.ID) bool {
	for i := range c.Permissions {
		p := c.Permissions[i]
		p.Resource.Name = ""
		if p.covers(To(a, Resource{Type: Secrets, OrgID: org})) {
			return true
		}
	}
	return false
}

// MaySee reports whether the caller may see that the organisation is there. Whoever may do anything with its secrets may:
// clients look an organisation up by its name before they use its secrets.
func (c *Caller) MaySee(org id.ID) bool {
	return c.May(To(Read, Resource{Type: Orgs, ID: org})) || c.MaySome(Read, org) || c.MaySome(Write, org)
}

// MayGrant reports whether the caller may make a token with the permission: one they hold, or the use of secrets that
// they may both read of and write. To write alone is not enough: who sets what they can never list would else read it.
func (c *Caller) MayGrant(p Permission) bool {
	if c.May(p) {
		return true
	}
	return p.Action == Use && c.May(To(Read, p.Resource)) && c.May(To(Write, p.Resource))
}
