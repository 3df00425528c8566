package buckets_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/buckets"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/kv"
)

// countingBuckets counts the bucket records that are read.
type countingBuckets struct {
	kv.Store
	read atomic.Int64
}

func (s *countingBuckets) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	rs, err := s.Store.List(ctx, prefix, after, limit)
	if prefix == "bucket/" {
		s.read.Add(int64(len(rs)))
	}
	return rs, err
}

// Whoever asks gets the buckets that they may see in the same order and pages, whichever index they come from, and a
// page of one organisation's does not read all others'.
func TestBucketsByIndex(t *testing.T) {
	engine := new(countingBuckets)
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
	ctx := t.Context()
	acme := f.First.Org.ID
	other, err := f.NewOrg(ctx, f.Root, "other", "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		if _, err := f.NewBucket(ctx, f.Root, identity.Bucket{OrgID: []id.ID{acme, other.ID}[i%2],
			Name: fmt.Sprintf("b%d", 8-i)}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := f.Buckets(ctx, f.Root, buckets.Filter{}, identity.Page{Limit: 100})
	if err != nil || len(all) != 13 { // two of the system in each organisation, and the first one
		t.Fatal(len(all), err)
	}
	in := func(org id.ID) access.Permission {
		return access.To(access.Read, access.Resource{Type: access.Buckets, OrgID: org})
	}
	for who, c := range map[string]*access.Caller{
		"operator":   f.Root,
		"of secrets": identitytest.Holder(access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: acme})),
		"of one org": identitytest.Holder(in(acme), in(acme)),
		"of both":    identitytest.Holder(in(other.ID), in(acme)),
		"of one": identitytest.Holder(access.To(access.Read, access.Resource{Type: access.Buckets, ID: all[7].ID}),
			access.To(access.Read, access.Resource{Type: access.Buckets, ID: 99})),
		"who writes": identitytest.Holder(access.To(access.Write, access.Resource{Type: access.Buckets})),
	} {
		for _, filter := range []buckets.Filter{{}, {Org: acme}, {Org: other.ID}, {ID: all[7].ID},
			{ID: all[7].ID, Org: acme}, {Name: "b3"}, {Name: "_tasks", Org: other.ID}, {ID: 99}} {
			for _, page := range []identity.Page{{}, {Limit: 2}, {Limit: 2, Offset: 1}, {Descending: true, Limit: 3},
				{After: all[5].ID}, {After: all[5].ID, Descending: true}} {
				var want []id.ID
				for i := range all {
					b := all[i]
					if page.Descending {
						b = all[len(all)-1-i]
					}
					if c.May(access.To(access.Read, access.Resource{Type: access.Buckets, OrgID: b.OrgID, ID: b.ID})) &&
						page.Reaches(b.ID) &&
						(filter.Org == 0 || b.OrgID == filter.Org) && (filter.ID == 0 || b.ID == filter.ID) &&
						(filter.Name == "" || b.Name == filter.Name) {
						want = append(want, b.ID)
					}
				}
				want = want[min(page.Offset, len(want)):]
				if page.Limit > 0 {
					want = want[:min(page.Limit, len(want))]
				}
				engine.read.Store(0)
				bs, err := f.Buckets(ctx, c, filter, page)
				if err != nil {
					t.Fatal(err)
				}
				var got []id.ID
				for _, b := range bs {
					got = append(got, b.ID)
				}
				name := fmt.Sprintf("%s, %+v, %+v", who, filter, page)
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s:\n%s", name, diff)
				}
				if (who != "operator" || filter.Org.Valid() || filter.ID.Valid()) && engine.read.Load() > 0 {
					t.Errorf("%s: %d buckets were read from the list of all", name, engine.read.Load())
				}
			}
		}
	}
}
