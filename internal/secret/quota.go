package secret

import "strongroom/internal/errs"

// Quota bounds what an organisation may have; 0 is without a bound.
type Quota struct {
	Secrets int64 // that are not deleted
	Bytes   int64 // what a store counts, it says itself
}

// Amount is what an organisation has.
type Amount struct{ Secrets, Bytes int64 }

// Allows says why a change may not be made that leads from one amount to another; nil where it may. Where there is too
// much already, since the quota was made smaller, what adds nothing is allowed.
func (q Quota) Allows(becomes, was Amount) error {
	switch {
	case q.Secrets > 0 && becomes.Secrets > q.Secrets && becomes.Secrets > was.Secrets:
		return errs.New(errs.Unprocessable, "the organization would have %d secrets, at most %d are allowed "+
			"(--max-org-secrets): delete some first; nothing was changed", becomes.Secrets, q.Secrets)
	case q.Bytes > 0 && becomes.Bytes > q.Bytes && becomes.Bytes > was.Bytes:
		return errs.New(errs.Unprocessable, "the organization's secrets would take %d bytes, at most %d are allowed "+
			"(--max-org-bytes); earlier values and deleted secrets count, too, until they are gone; nothing was "+
			"changed", becomes.Bytes, q.Bytes)
	}
	return nil
}
