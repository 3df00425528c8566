package commitlog

import (
	"context"
	"errors"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/records"
)

// versionEpoch is where RaiseVersions counts seconds from.
var versionEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// RaiseVersions raises the version of every organisation in data that have come back from a backup: changes that were
// made after the backup and are gone had versions, which clients may hold and name as a condition, and other changes
// must not come to the same. Each version becomes at least the number of seconds since 2026, which is more than any
// organisation has reached that was changed less than once a second on average, and fits a client's 32 bits.
func RaiseVersions(ctx context.Context, data kv.Store, now time.Time) error {
	least := int64(now.Sub(versionEpoch) / time.Second)
	var conds []kv.Cond
	var ops []kv.Op
	flush := func() error {
		if len(ops) == 0 {
			return nil
		}
		_, err := data.Txn(ctx, conds, ops)
		conds, ops = nil, nil
		return err
	}
	for after := ""; ; {
		recs, err := data.List(ctx, records.Root, after, 1)
		if err != nil {
			return err
		}
		if len(recs) == 0 {
			return flush()
		}
		org, _, err := records.OrgOf(records.Root, recs[0].Key)
		if err != nil {
			return err
		}
		after = records.Prefix(org) + records.BehindAll
		rec, err := data.Get(ctx, records.Head(org))
		if errors.Is(err, kv.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		h, err := ParseHead(rec)
		if err != nil {
			return err
		}
		h.Version = max(h.Version, least) + 1
		conds, ops = append(conds, kv.Unchanged(rec)), append(ops, h.Put(rec.Key))
		if len(ops) == kv.MaxOps {
			if err := flush(); err != nil {
				return err
			}
		}
	}
}
