// Package trail reads the audit log for the pages that show it: each reading is itself put on record, as the API's are.
package trail

import (
	"context"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// Log answers questions about what has been recorded.
type Log interface {
	Query(ctx context.Context, f audit.Filter, before audit.Before) (audit.Acts, error)
}

// Reader reads the audit log for operators, and for owners what was done in their organisation. Make it with New.
type Reader struct {
	guard *access.Guard
	log   Log
	names Names
}

// New makes a reader of the log, which is nil where there is none.
func New(guard *access.Guard, log Log, names Names) *Reader { return &Reader{guard, log, names} }

// Kept reports whether there is a log.
func (r *Reader) Kept() bool { return r.log != nil }

// May reports whether the caller may read of the acts in an organisation, or of all of them where it is "": operators
// may, and owners of the organisation.
func (r *Reader) May(c *access.Caller, org string) bool {
	if c.May(access.ReadServer) {
		return true
	}
	o, err := id.Parse(org)
	return err == nil && c.May(access.To(access.Write, access.Resource{Type: access.Orgs, ID: o}))
}

// Acts returns the acts that the filter chooses, the newest first, from where the page before ended. It returns
// errs.Unauthorized if the caller may not read of them, and errs.NotImplemented if there is no log that could be read.
func (r *Reader) Acts(ctx context.Context, c *access.Caller, f audit.Filter, before audit.Before) (audit.Acts, error) {
	act := access.Act{Action: "audit.read"}
	var needed []access.Permission
	if r.May(c, f.OrgID) {
		act.Org, _ = id.Parse(f.OrgID) // none is none
	} else {
		needed = append(needed, access.ReadServer)
	}
	if err := r.guard.Allow(ctx, c, act, needed...); err != nil {
		return audit.Acts{}, err
	}
	if r.log == nil {
		return audit.Acts{}, errs.New(errs.NotImplemented, "there is no audit log to read")
	}
	page, err := r.log.Query(ctx, f, before)
	return page, r.guard.Done(ctx, c, act, err)
}
