package access

import (
	"context"

	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// Act is one thing a caller wants to do.
type Act struct {
	Action string // as the audit log names it, for example "secrets.apply"
	Org    id.ID
	Keys   []string
	Target string // what it is done to, where that is not a secret
	Detail string // what a change is, without anything secret
}

// The Detail of a "secrets.apply" or "secrets.delete" that is a part of a "secrets.copy" of the same request. Its
// Target is the other place: an organisation's ID, a slash and a name; or the ID alone, where it was copied from
// another organisation, whose names the owners of this one do not read.
const (
	PartOfCopy = "part of a copy"
	PartOfMove = "part of a move"
)

// PartOf is the Detail of what is copied or moved.
func PartOf(move bool) string {
	if move {
		return PartOfMove
	}
	return PartOfCopy
}

// Guard is the one place where acts are allowed or refused and put on record.
type Guard struct {
	log       audit.Recorder
	strangers *strangers
}

// NewGuard makes a guard that records in log. Run its Maintain while it is used.
func NewGuard(log audit.Recorder) *Guard { return &Guard{log, newStrangers(log)} }

// Maintain writes, now and then until ctx ends, how often strangers were turned away.
func (g *Guard) Maintain(ctx context.Context) { g.strangers.run(ctx) }

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

// AllowOn is Allow for something that was found by its ID. To somebody who may neither do this nor read it,
// it is as if it were not there; the record has the refusal.
func (g *Guard) AllowOn(ctx context.Context, c *Caller, act Act, do Action, on Resource,
	notFound error) error {
	err := g.Allow(ctx, c, act, To(do, on))
	if errs.Is(err, errs.Unauthorized) && !c.May(To(Read, on)) {
		return notFound
	}
	return err
}

// Deny records that the act was refused and returns why.
func (g *Guard) Deny(ctx context.Context, c *Caller, act Act, why error) error {
	// A refusal stands also when it cannot be recorded; the log itself reports that it cannot write.
	_ = g.log.Record(ctx, c.entry(act, audit.Denied, why))
	return why
}

// TurnAway is Deny for a caller who has not shown who they are. What is repeated is counted, and not written each time.
func (g *Guard) TurnAway(ctx context.Context, c *Caller, act Act, why error) error {
	e := c.entry(act, audit.Denied, why)
	e.Reserve = audit.ReserveNone
	_ = g.strangers.refused(ctx, e) // as in Deny
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
		RequestID: c.RequestID, Address: c.Address, User: c.User, Session: !c.AuthorizationID.Valid() &&
			c.UserID.Valid(),
		Action: act.Action, Keys: act.Keys, Target: act.Target, Detail: act.Detail, Outcome: outcome,
	}
	if c.UserID.Valid() {
		e.UserID = c.UserID.String()
	}
	if c.AuthorizationID.Valid() {
		e.AuthorizationID = c.AuthorizationID.String()
	}
	if c.MakerID.Valid() && c.MakerID != c.UserID {
		e.MadeBy = c.MakerID.String()
	}
	if act.Org.Valid() {
		e.OrgID = act.Org.String()
	}
	if err != nil {
		e.Code = string(errs.CodeOf(err))
	}
	e.Reserve = c.reserve(act.Action)
	return e
}

// reserve is what of the audit log's reserve on a full disk the caller may use.
func (c *Caller) reserve(action string) audit.Reserve {
	switch {
	case c.operates():
		return audit.ReserveAll
	case c.UserID.Valid() && (audit.Looks(action) || action == "signin"):
		return audit.ReserveReads
	}
	return audit.ReserveNone
}
