package identity

import (
	"context"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// maxLost bounds how many records that lead to one whose own does not open are removed at a time: there are fewer,
// unless somebody has made some up.
const maxLost = 8

// LostDeletion is Deletion for an authorization whose record does not open, and so does not tell where it is listed:
// all lists are looked through. What is more than a few is left out, and refers to nothing then.
func LostDeletion(ctx context.Context, s kv.Store, auth string) ([]kv.Op, error) {
	ops := []kv.Op{kv.Delete(record.Key("auth", auth)), kv.Delete(record.Key("authused", auth))}
	for _, folder := range []string{"authorg/", "authuser/", "authlease/", "authhash/"} {
		err := record.ScanFound(ctx, s, folder, func(r kv.Record) (bool, error) {
			mine := strings.HasSuffix(r.Key, "/"+auth)
			if folder == "authhash/" {
				of, err := record.Decode[id.ID](r)
				mine = err == nil && of.String() == auth
			}
			if mine {
				ops = append(ops, kv.Delete(r.Key))
			}
			return len(ops) < maxLost, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return ops, nil
}

// LostNames are the names of an organisation or a user whose record does not open, and so does not tell them: those of
// the folder, of an index by name, that lead to it.
func LostNames(ctx context.Context, s kv.Store, folder string, of id.ID) ([]string, error) {
	var names []string
	err := record.ScanFound(ctx, s, folder, func(r kv.Record) (bool, error) {
		which, err := record.Decode[id.ID](r)
		if err == nil && which == of {
			names = append(names, r.Key[len(folder):])
		}
		return len(names) < maxLost, err
	})
	return names, err
}

// DeleteBuckets removes the buckets of an organisation by what they say themselves: an index that does not open leads
// to none.
func DeleteBuckets(ctx context.Context, s kv.Store, org id.ID) error {
	return record.ScanFound(ctx, s, "bucket/", func(r kv.Record) (bool, error) {
		b, err := record.Decode[Bucket](r)
		if err == nil && b.OrgID == org {
			_, err = s.Txn(ctx, nil, []kv.Op{kv.Delete(r.Key)})
		}
		return err == nil, err
	})
}
