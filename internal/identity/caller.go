package identity

import (
	"context"

	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// Principal is who a token or a session stands for. It is shared between requests and never changed.
type Principal struct {
	UserID          id.ID
	User            string
	AuthorizationID id.ID // zero for a session
	Permissions     []Permission

	used *lastUse // when the authorization was last used; nil for a session
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

// mayGrant reports whether the caller may make a token with the permission: one they hold, or the use of secrets that
// they may both read of and write. To write alone is not enough: who sets what they can never list would else read it.
func (c *Caller) mayGrant(p Permission) bool {
	if c.May(p) {
		return true
	}
	return p.Action == Use && c.May(To(Read, p.Resource)) && c.May(To(Write, p.Resource))
}

// Act is one thing a caller wants to do.
type Act struct {
	Action string // as the audit log names it, for example "secrets.apply"
	Org    id.ID
	Keys   []string
	Target string // what it is done to, where that is not a secret
}

// Guard is the one place where acts are allowed or refused and put on record.
type Guard struct{ log audit.Recorder }

// NewGuard makes a guard that records in log.
func NewGuard(log audit.Recorder) *Guard { return &Guard{log} }

// Allow records the act and lets it go on when the caller holds every permission needed. When one is missing, it
// records the refusal and gives errs.Unauthorized in InfluxDB's words. An act that cannot be recorded is refused.
func (g *Guard) Allow(ctx context.Context, c *Caller, act Act, need ...Permission) error {
	for _, p := range need {
		if !c.May(p) {
			return g.Deny(ctx, c, act, errs.New(errs.Unauthorized, "%s is unauthorized", p))
		}
	}
	return g.log.Record(ctx, c.entry(act, audit.Allowed, nil))
}

// Deny records that the act was refused and returns why.
func (g *Guard) Deny(ctx context.Context, c *Caller, act Act, why error) error {
	// A refusal stands also when it cannot be recorded; the log itself reports that it cannot write.
	_ = g.log.Record(ctx, c.entry(act, audit.Denied, why))
	return why
}

// Done closes an act that was allowed: it records a failure and passes err on. Success needs no second entry.
func (g *Guard) Done(ctx context.Context, c *Caller, act Act, err error) error {
	if err != nil {
		_ = g.log.Record(ctx, c.entry(act, audit.Failed, err))
	}
	return err
}

func (c *Caller) entry(act Act, outcome audit.Outcome, err error) audit.Entry {
	e := audit.Entry{
		RequestID: c.RequestID, Address: c.Address, User: c.User, Session: !c.AuthorizationID.Valid() && c.UserID.Valid(),
		Action: act.Action, Keys: act.Keys, Target: act.Target, Outcome: outcome,
	}
	if c.UserID.Valid() {
		e.UserID = c.UserID.String()
	}
	if c.AuthorizationID.Valid() {
		e.AuthorizationID = c.AuthorizationID.String()
	}
	if act.Org.Valid() {
		e.OrgID = act.Org.String()
	}
	if err != nil {
		e.Code = string(errs.CodeOf(err))
	}
	return e
}
