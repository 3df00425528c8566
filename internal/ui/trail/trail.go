// Package trail reads the audit log for the pages that show it: each reading is itself put on record, as the API's are.
package trail

import (
	"context"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
)

// Log answers questions about what has been recorded.
type Log interface {
	Query(ctx context.Context, f audit.Filter) (audit.Page, error)
}

// Reader reads the audit log for operators. Make it with New.
type Reader struct {
	guard *access.Guard
	log   Log
}

// New makes a reader of the log, which is nil where there is none.
func New(guard *access.Guard, log Log) *Reader { return &Reader{guard, log} }

// Kept reports whether there is a log.
func (r *Reader) Kept() bool { return r.log != nil }

// Acts returns the acts that the filter chooses, the newest first, and where the next page of them begins. It returns
// errs.Unauthorized if the caller is no operator, and errs.NotImplemented if there is no log that could be read.
func (r *Reader) Acts(ctx context.Context, c *access.Caller, f audit.Filter) (audit.Page, error) {
	act := access.Act{Action: "audit.read"}
	operator := access.ReadServer
	if err := r.guard.Allow(ctx, c, act, operator); err != nil {
		return audit.Page{}, err
	}
	if r.log == nil {
		return audit.Page{}, errs.New(errs.NotImplemented, "there is no audit log to read")
	}
	page, err := r.log.Query(ctx, f)
	return page, r.guard.Done(ctx, c, act, err)
}
