package embedded

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

func versionOf(t *testing.T, s *Store, org id.ID) int64 {
	t.Helper()
	snap, err := s.Read(t.Context(), org, secret.Query{Keys: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	return snap.Version
}

// TestHeadsOfOlderServers reads what older servers have put as version 1, and goes on from there.
func TestHeadsOfOlderServers(t *testing.T) {
	t.Parallel()
	db := openKV(t)
	s := newStore(t, db, keyFile(t))
	apply(t, s, secret.Change{Set: setOf("a", "1")})
	apply(t, s, secret.Change{Set: setOf("a", "2")})
	overwrite(t, db, records.Head(org), []byte{0})
	if v := versionOf(t, s, org); v != 1 {
		t.Errorf("an older head is read as version %d", v)
	}
	one := int64(1)
	if out, err := s.Apply(t.Context(), org, secret.Change{Set: setOf("b", "1"), At: &one}); err != nil ||
		out.Version != 2 {
		t.Errorf("the next change: %+v, %v", out, err)
	}
	for _, malformed := range [][]byte{{}, {2}, {0, 0, 0}, {0, 1}, {0, 1, 1, 1}, {0, 0xff}, {1, 3, 0x80}} {
		overwrite(t, db, records.Head(org), malformed)
		if _, err := s.Read(t.Context(), org, secret.Query{}); err == nil {
			t.Errorf("a head of %v is read", malformed)
		}
	}
}

// TestRaiseVersions brings back an earlier state, as a backup does: what a client knows of the changes since is not
// taken for a version of other changes.
func TestRaiseVersions(t *testing.T) {
	t.Parallel()
	db := openKV(t)
	s := newStore(t, db, keyFile(t))
	apply(t, s, secret.Change{Set: setOf("a", "1")})
	if _, err := s.Apply(t.Context(), otherOrg, secret.Change{Set: setOf("a", "1")}); err != nil {
		t.Fatal(err)
	}
	_, large, _ := largeChange()
	apply(t, s, large)
	known := versionOf(t, s, org) + 3 // by a client, of changes after the backup

	now := time.Date(2026, 1, 1, 0, 16, 40, 0, time.UTC) // 1000 seconds of that year
	if err := commitlog.RaiseVersions(t.Context(), db, now); err != nil {
		t.Fatal(err)
	}
	for _, o := range []id.ID{org, otherOrg} {
		if v := versionOf(t, s, o); v != 1001 {
			t.Errorf("organisation %s is at version %d, want 1001", o, v)
		}
	}
	for range 5 {
		apply(t, s, secret.Change{Set: setOf("a", "other")})
	}
	if _, err := s.Apply(t.Context(), org, secret.Change{Set: setOf("a", "lost"), At: &known}); !errs.Is(err,
		errs.PreconditionFailed) {
		t.Errorf("a change on the condition of a version before: %v", err)
	}
	if err := commitlog.RaiseVersions(t.Context(), db, now); err != nil {
		t.Fatal(err)
	}
	if v := versionOf(t, s, org); v != 1007 {
		t.Errorf("restored again in the same second, it is at version %d, want 1007", v)
	}
	wantValueOf(t, s, "a", "other")
}

func wantValueOf(t *testing.T, s *Store, key, want string) {
	t.Helper()
	if v, err := secret.Get(t.Context(), s, org, key); err != nil || string(v.Bytes()) != want {
		t.Errorf("%s: %q, %v; want %q", key, v.Bytes(), err, want)
	}
}

// busy is an engine in which the organisation is changed at every look at its head, until it has been changed so often.
type busy struct {
	kv.Store
	change func()
	left   atomic.Int64
	inside atomic.Bool
}

func (b *busy) Get(ctx context.Context, key string) (kv.Record, error) {
	if key == records.Head(org) && !b.inside.Swap(true) {
		if b.left.Add(-1) >= 0 {
			b.change()
		}
		b.inside.Store(false)
	}
	return b.Store.Get(ctx, key)
}

// TestReadBesideFastWriters reads while there is a change at each look: in its turn among the
// writers it gets its moment.
func TestReadBesideFastWriters(t *testing.T) {
	t.Parallel()
	db := openKV(t)
	s := newStore(t, db, keyFile(t))
	apply(t, s, secret.Change{Set: setOf("a", "1")})
	b := &busy{Store: db}
	n := int64(0)
	b.change = func() {
		n++
		rec, err := db.Get(t.Context(), records.Head(org))
		if err == nil {
			_, err = db.Txn(t.Context(), []kv.Cond{kv.Unchanged(rec)},
				[]kv.Op{commitlog.Head{Version: n + 10}.Put(rec.Key)})
		}
		if err != nil {
			t.Error(err)
		}
	}
	onto(s, b)
	b.left.Store(3 * patience)
	if snap, err := s.Read(t.Context(), org, secret.Query{}); err != nil || len(snap.Secrets) != 1 || n < 2*patience {
		t.Errorf("read were %d secrets beside %d changes: %v", len(snap.Secrets), n, err)
	}
	b.left.Store(1 << 20)
	if _, err := s.Read(t.Context(), org, secret.Query{}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("with no moment at all: %v", err)
	}
}

// TestCommittedIsTold commits a large change whose commit fails for the store, or whose carrying out does: it is
// told as made, since it is.
func TestCommittedIsTold(t *testing.T) {
	t.Parallel()
	fault := errors.New("input/output error")
	made := 0
	for n := range 12 {
		db := openKV(t)
		s := newStore(t, db, keyFile(t))
		before, change, after := largeChange()
		apply(t, s, secret.Change{Set: before})
		onto(s, &failing{Store: db, err: fault, carriedOut: true, from: n, times: 1})
		_, err := s.Apply(t.Context(), org, change)
		onto(s, db)
		if v := versionOf(t, s, org); (err == nil) != (v == 2) {
			t.Errorf("transaction %d fails: told is %v, and the organisation is at version %d", n, err, v)
		}
		if err == nil {
			made++
			wantContent(t, s, after)
		} else {
			wantContent(t, s, before)
		}
	}
	if made == 0 || made == 12 {
		t.Errorf("%d of 12 changes were made: it is not the test it should be", made)
	}
}
