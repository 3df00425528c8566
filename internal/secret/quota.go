package secret

import (
	"context"

	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// Quota bounds what an organisation may have; 0 is without a bound.
type Quota struct {
	Secrets int64 // that are not deleted
	Bytes   int64 // what a store counts, it says itself
}

// Usage is what an organisation has of what it may have.
type Usage struct {
	Amount // Bytes is -1 where it is not counted: without a bound of them, and in a store that does not know it
	Quota  Quota
}

// Counted is a Store that tells how much an organisation has.
type Counted interface {
	Usage(ctx context.Context, org id.ID) (Usage, error)
}

// Amount is what an organisation has.
type Amount struct{ Secrets, Bytes int64 }

// OverQuota is why a change was refused: the amount that it would have led to, and the bound that is passed by it.
type OverQuota struct {
	Becomes Amount
	Quota   Quota

	told *errs.Error
}

func (o *OverQuota) Error() string { return o.told.Error() }

// Unwrap gives the error that callers of the API see.
func (o *OverQuota) Unwrap() error { return o.told }

// Allows says why a change may not be made that leads from one amount to another; nil where it may. Where there is too
// much already, since the quota was made smaller, what adds nothing is allowed.
func (q Quota) Allows(becomes, was Amount) error {
	switch {
	case q.Secrets > 0 && becomes.Secrets > q.Secrets && becomes.Secrets > was.Secrets:
		return &OverQuota{becomes, Quota{Secrets: q.Secrets}, errs.New(errs.Unprocessable, "the organization would "+
			"have %d secrets, at most %d are allowed (--max-org-secrets): delete some first, or have the operator "+
			"allow more; nothing was changed", becomes.Secrets, q.Secrets)}
	case q.Bytes > 0 && becomes.Bytes > q.Bytes && becomes.Bytes > was.Bytes:
		return &OverQuota{becomes, Quota{Bytes: q.Bytes}, errs.New(errs.Unprocessable, "the organization's secrets "+
			"would take %d bytes, at most %d are allowed (--max-org-bytes); earlier values, deleted secrets until "+
			"they are gone, and metadata count, too; delete some for good, or have the operator allow more; nothing "+
			"was changed", becomes.Bytes, q.Bytes)}
	}
	return nil
}
