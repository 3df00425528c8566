// Package buckets keeps the records of buckets, which clients of InfluxDB ask for. Nothing is ever in one.
package buckets

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

var errBucketNotFound = errs.New(errs.NotFound, "bucket not found")

// Service is the records of buckets over one KV engine. Make it with New.
type Service struct {
	kv    kv.Store
	guard *access.Guard
	now   func() time.Time
	ids   *id.Generator
}

// New makes the service.
func New(store kv.Store, guard *access.Guard, now func() time.Time, ids *id.Generator) *Service {
	return &Service{kv: store, guard: guard, now: now, ids: ids}
}

// Check tells what is wrong with a bucket that a client wants.
func Check(b identity.Bucket) error {
	if err := errors.Join(identity.ValidName("bucket", b.Name), identity.ValidDescription(b.Description)); err != nil {
		return err
	}
	if strings.HasPrefix(b.Name, "_") {
		return errs.New(errs.Invalid, "bucket name %s is invalid. Buckets may not start with underscore",
			errs.Clip(b.Name))
	}
	if strings.Contains(b.Name, `"`) {
		return errs.New(errs.Invalid, "bucket name %s is invalid. Bucket names may not include quotation marks",
			errs.Clip(b.Name))
	}
	if b.Retention < 0 || b.Retention != 0 && b.Retention < time.Hour {
		return errs.New(errs.Unprocessable, "retention policy duration must be at least 1h0m0s, or 0 to keep for ever")
	}
	return nil
}

// NewBucket makes a bucket record from the organisation, name, description and retention of b.
func (s *Service) NewBucket(ctx context.Context, c *access.Caller, b identity.Bucket) (identity.Bucket, error) {
	act := access.Act{Action: "buckets.create", Org: b.OrgID, Target: errs.Clip(b.Name),
		Detail: identity.Changed("description", identity.Given(b.Description), "retention", &b.Retention)}
	if err := s.guard.Allow(ctx, c, act,
		access.To(access.Write, access.Resource{Type: access.Buckets, OrgID: b.OrgID})); err != nil {
		return identity.Bucket{}, err
	}
	err := Check(b)
	if err == nil {
		err = record.Update(ctx, func() error {
			_, or, err := record.Load[identity.Org](ctx, s.kv, record.Key("org", b.OrgID), identity.ErrOrgNotFound)
			if err != nil {
				return err
			}
			b.ID, b.Type, b.CreatedAt = s.ids.Next(), "user", s.now().UTC()
			b.UpdatedAt = b.CreatedAt
			conds, ops := b.Creation()
			_, err = s.kv.Txn(ctx, append(conds, kv.Unchanged(or)), ops)
			if errors.Is(err, kv.ErrConflict) {
				return record.Taken(ctx, s.kv, record.Key("bucketname", b.OrgID, b.Name), b.ID,
					"bucket with name %s already exists", b.Name)
			}
			return err
		})
	}
	return b, s.guard.Done(ctx, c, act, err)
}

// bucket loads a bucket for the caller, who needs the permission on it.
func (s *Service) bucket(ctx context.Context, c *access.Caller, bucket id.ID, a access.Action,
	action, detail string) (identity.Bucket, kv.Record, access.Act, error) {
	act := access.Act{Action: action, Target: bucket.String(), Detail: detail}
	b, r, err := record.Load[identity.Bucket](ctx, s.kv, record.Key("bucket", bucket), errBucketNotFound)
	if err != nil {
		return b, r, act, s.guard.Deny(ctx, c, act, err)
	}
	act.Org = b.OrgID
	return b, r, act, s.guard.AllowOn(ctx, c, act, a, access.Resource{Type: access.Buckets, OrgID: b.OrgID, ID: b.ID},
		errBucketNotFound)
}

// BucketByID returns one bucket.
func (s *Service) BucketByID(ctx context.Context, c *access.Caller, bucket id.ID) (identity.Bucket, error) {
	b, _, _, err := s.bucket(ctx, c, bucket, access.Read, "buckets.read", "")
	return b, err
}

// Filter narrows a list of buckets; zero fields do not.
type Filter struct {
	ID      id.ID
	Name    string
	Org     id.ID
	OrgName string
}

// Buckets lists the buckets that the caller may see, by ID.
func (s *Service) Buckets(ctx context.Context, c *access.Caller, f Filter,
	page identity.Page) ([]identity.Bucket, error) {
	if err := s.guard.Allow(ctx, c, access.Act{Action: "buckets.list", Org: f.Org,
		Target: errs.Clip(f.Name)}); err != nil {
		return nil, err
	}
	if f.OrgName != "" {
		named, err := identity.OrgNamed(ctx, s.kv, f.OrgName)
		if err != nil {
			return nil, err
		}
		if f.Org.Valid() && f.Org != named {
			return nil, identity.ErrOrgNotFound
		}
		f.Org = named
	}
	keep := func(b identity.Bucket) (id.ID, bool) {
		ok := (!f.ID.Valid() || b.ID == f.ID) && (f.Name == "" || b.Name == f.Name) &&
			(!f.Org.Valid() || b.OrgID == f.Org)
		return b.ID, ok && c.May(access.To(access.Read, access.Resource{Type: access.Buckets,
			OrgID: b.OrgID, ID: b.ID}))
	}
	ids, some, err := s.bucketCandidates(ctx, c, f)
	if err != nil {
		return nil, err
	}
	var bs []identity.Bucket
	if some {
		bs, err = identity.Paged(page, keep, func(yield func(identity.Bucket) bool) error {
			if page.Descending {
				slices.Reverse(ids)
			}
			return record.Each(ctx, s.kv, "bucket", slices.Values(ids), record.AtATime(page.Limit), yield)
		})
	} else {
		bs, err = identity.List(ctx, s.kv, identity.Source{Folder: "bucket/", Whole: f == Filter{}}, page, keep)
	}
	if err == nil && len(bs) == 0 && f.OrgName != "" && !c.MaySee(f.Org) { // names cannot be tried out here either
		return nil, identity.NoOrgNamed(f.OrgName)
	}
	return bs, err
}

// bucketCandidates gives the IDs that the filter and the caller's permissions leave, in order: a page must not cost the
// reading of every bucket there is. It is not ok where all of them are left.
func (s *Service) bucketCandidates(ctx context.Context, c *access.Caller,
	f Filter) (ids []id.ID, ok bool, err error) {
	var folders []string
	switch {
	case f.ID.Valid():
		return []id.ID{f.ID}, true, nil
	case f.Org.Valid():
		folders = []string{record.Folder("bucketname", f.Org)}
	case c.May(access.To(access.Read, access.Resource{Type: access.Buckets})):
		return nil, false, nil
	default:
		var orgs []id.ID
		ids, orgs = identity.Readable(c, access.Buckets)
		for _, org := range orgs {
			folders = append(folders, record.Folder("bucketname", org))
		}
	}
	ids, err = identity.Collect(ctx, s.kv, ids, folders, record.Decode[id.ID])
	return ids, err == nil, err
}

// UpdateBucket changes the fields that are not nil.
func (s *Service) UpdateBucket(ctx context.Context, c *access.Caller, bucket id.ID, name, description *string,
	retention *time.Duration) (identity.Bucket, error) {
	b, r, act, err := s.bucket(ctx, c, bucket, access.Write, "buckets.update",
		identity.Changed("name", name, "description", description, "retention", retention))
	if err != nil {
		return b, err
	}
	err = record.Update(ctx, func() error {
		if b, r, err = record.Load[identity.Bucket](ctx, s.kv, record.Key("bucket", bucket),
			errBucketNotFound); err != nil {
			return err
		}
		if b.Type == "system" && name != nil && *name != b.Name {
			return errs.New(errs.Invalid, "system buckets cannot be renamed")
		}
		conds, ops := []kv.Cond{kv.Unchanged(r)}, []kv.Op{}
		if name != nil && *name != b.Name {
			conds = append(conds, kv.Missing(record.Key("bucketname", b.OrgID, *name)))
			ops = append(ops, kv.Delete(record.Key("bucketname", b.OrgID, b.Name)),
				record.Put(record.Key("bucketname", b.OrgID, *name), b.ID))
			b.Name = *name
		}
		if description != nil {
			b.Description = *description
		}
		if retention != nil {
			b.Retention = *retention
		}
		if b.Type != "system" {
			if err := Check(b); err != nil {
				return err
			}
		}
		b.UpdatedAt = s.now().UTC()
		_, err := s.kv.Txn(ctx, conds, append(ops, record.Put(r.Key, b)))
		if errors.Is(err, kv.ErrConflict) && len(ops) > 0 {
			return record.Taken(ctx, s.kv, record.Key("bucketname", b.OrgID, b.Name), b.ID,
				"bucket with name %s already exists", b.Name)
		}
		return err
	})
	return b, s.guard.Done(ctx, c, act, err)
}

// DeleteBucket removes a bucket record. System buckets stay.
func (s *Service) DeleteBucket(ctx context.Context, c *access.Caller, bucket id.ID) error {
	_, _, act, err := s.bucket(ctx, c, bucket, access.Write, "buckets.delete", "")
	if err != nil {
		return err
	}
	err = record.Update(ctx, func() error {
		b, r, err := record.Load[identity.Bucket](ctx, s.kv, record.Key("bucket", bucket), errBucketNotFound)
		if err != nil {
			return err
		}
		if b.Type == "system" {
			return errs.New(errs.Invalid, "system buckets cannot be deleted")
		}
		_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)},
			[]kv.Op{kv.Delete(r.Key), kv.Delete(record.Key("bucketname", b.OrgID, b.Name))})
		return err
	})
	return s.guard.Done(ctx, c, act, err)
}
