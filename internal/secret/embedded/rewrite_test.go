package embedded

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/records"
	"strongroom/internal/secret/embedded/rewrite"
)

// rotated gives a store with secrets of two organisations, some large, sealed under term 1, and a keyring at term 2.
func rotated(t *testing.T) (*Store, map[id.ID]map[string]secret.Value) {
	t.Helper()
	s := newStore(t, openKV(t), keyFile(t))
	want := map[id.ID]map[string]secret.Value{}
	for _, o := range []id.ID{org, otherOrg} {
		want[o] = setOf("", "") // replaced
		delete(want[o], "")
		for i := range 75 {
			want[o][fmt.Sprintf("key-%02d", i)] = secret.NewValue(fmt.Append(nil, "value ", i, " of ", o))
		}
		for i := range 2 * (o & 1) { // of the other organisation alone
			want[o][fmt.Sprintf("large-%d", i)] = secret.NewValue([]byte(strings.Repeat("x", 700_000+int(i))))
		}
		if _, err := s.Apply(t.Context(), o, secret.Change{Set: want[o]}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.ring.Rotate(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	return s, want
}

// wantAllOf opens every record with the keys that are left after the older terms have gone.
func wantAllOf(t *testing.T, s *Store, term uint32, want map[id.ID]map[string]secret.Value) {
	t.Helper()
	for after := ""; ; {
		recs, err := s.kv.List(t.Context(), records.Root, after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(recs) == 0 {
			break
		}
		for _, rec := range recs {
			after = rec.Key
			place, kind, err := records.Parse(rec.Key)
			if err != nil || kind == records.Listed && !place.Form.Sealed() {
				continue
			}
			if of, err := keyring.TermOf(rec.Value); err != nil || of < term {
				t.Errorf("%s is of term %d, %v", rec.Key, of, err)
			}
		}
	}
	if err := s.ring.Retire(t.Context(), term); err != nil {
		t.Fatal(err)
	}
	for o, values := range want {
		for name, v := range values {
			if got, err := secret.Get(t.Context(), s, o, name); err != nil || string(got.Bytes()) != string(v.Bytes()) {
				t.Errorf("organisation %s, %q: %v", o, name, err)
			}
		}
	}
	if _, err := s.kv.Get(t.Context(), rewrite.Record); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("the note of how far it has come is still there: %v", err)
	}
}

func ignore(rewrite.Progress) {}

// TestRewriteCrash ends the process at every transaction of a rewriting, in turn. Everything can be read all the while,
// and the next process goes on where it was.
func TestRewriteCrash(t *testing.T) {
	t.Parallel()
	for n := 0; ; n += everyPoint {
		s, want := rotated(t)
		db := s.kv
		onto(s, &crashing{Store: db, left: n / 2, carriedOut: n%2 == 1})
		done := 0
		_, err := s.Rewrite(t.Context(), func(r rewrite.Progress) { done = r.Records })
		if err == nil {
			if n < 12 {
				t.Errorf("a rewriting takes %d transactions: it is not the test it should be", n/2)
			}
			return
		}
		if !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		onto(s, db)
		for o, values := range want {
			if _, err := secret.Get(t.Context(), s, o, "key-42"); err != nil || len(values) == 0 {
				t.Fatalf("crash %d: %v", n, err)
			}
		}
		if _, err := db.Get(t.Context(), rewrite.Record); errors.Is(err, kv.ErrNotFound) {
			done = 0 // before its first note, or behind its end
		}
		var last rewrite.Progress
		term, err := s.Rewrite(t.Context(), func(r rewrite.Progress) {
			if r.Records < done {
				t.Errorf("crash %d: it began anew: %d records, %d were done", n, r.Records, done)
			}
			last = r
		})
		if err != nil || term != 2 {
			t.Fatalf("crash %d: term %d, %v", n, term, err)
		}
		if last.Orgs != 2 || last.AllOrgs != 2 || done > 0 && last.Records != 304 {
			t.Errorf("crash %d: in the end %+v", n, last)
		}
		wantAllOf(t, s, term, want)
	}
}

func TestRewriteDamaged(t *testing.T) {
	t.Parallel()
	s, _ := rotated(t)
	rec, err := s.kv.Get(t.Context(), keyOf(t, s, org, "key-42", records.Value))
	if err != nil {
		t.Fatal(err)
	}
	rec.Value[len(rec.Value)-1] ^= 1
	if _, err := s.kv.Txn(t.Context(), nil, []kv.Op{kv.Put(rec.Key, rec.Value)}); err != nil {
		t.Fatal(err)
	}
	var last rewrite.Progress
	term, err := s.Rewrite(t.Context(), func(r rewrite.Progress) { last = r })
	if err == nil || !strings.Contains(errs.Message(err), "key-42") || !strings.Contains(errs.Message(err),
		"restore a backup") || last.Damaged != 1 {
		t.Errorf("a record that does not open: %+v, %v", last, err)
	}
	// All the rest is of the new term.
	for after := ""; ; {
		recs, err := s.kv.List(t.Context(), records.Root, after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(recs) == 0 {
			break
		}
		for _, r := range recs {
			after = r.Key
			_, kind, err := records.Parse(r.Key)
			if err != nil || kind.HoldsName() || r.Key == rec.Key {
				continue
			}
			if of, err := keyring.TermOf(r.Value); err != nil || of != term {
				t.Fatalf("%s is of term %d, %v", r.Key, of, err)
			}
		}
	}
	if _, err := s.Apply(t.Context(), org, secret.Change{Delete: []string{"key-42"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rewrite(t.Context(), ignore); err != nil {
		t.Errorf("when it has gone: %v", err)
	}
}

// TestRewriteBesideWriters rotates twice while secrets are set, deleted and read, large changes among them.
func TestRewriteBesideWriters(t *testing.T) {
	t.Parallel()
	s, want := rotated(t)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				c := secret.Change{Set: setOf(fmt.Sprintf("writer-%d", w), fmt.Sprint(i)),
					Delete: []string{fmt.Sprintf("key-%02d", w)}}
				if i%8 == 0 {
					for j := range 68 {
						c.Set[fmt.Sprintf("many-%d-%d", w, j)] = secret.NewValue([]byte("x"))
					}
				}
				if _, err := s.Apply(t.Context(), org, c); err != nil {
					t.Errorf("Apply: %v", err)
					return
				}
				if _, err := secret.Get(t.Context(), s, org, "key-42"); err != nil {
					t.Errorf("Get: %v", err)
				}
				if _, err := secret.Get(t.Context(), s, otherOrg, "key-07"); err != nil && !errs.Is(err,
					errs.NotFound) {
					t.Errorf("Get: %v", err)
				}
			}
		})
	}
	for range 3 {
		term, err := s.Rewrite(t.Context(), ignore)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ring.Retire(t.Context(), term); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ring.Rotate(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	wg.Wait()
	for i := range 4 {
		delete(want[org], fmt.Sprintf("key-%02d", i))
	}
	term, err := s.Rewrite(t.Context(), ignore)
	if err != nil {
		t.Fatal(err)
	}
	wantAllOf(t, s, term, want)
}

// gated is a store of which the first list of secrets and the first read of one record, once it has been read, wait.
type gated struct {
	kv.Store
	record                     string
	list, read                 sync.Once
	listing, listed, got, give chan struct{}
}

func (g *gated) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	if prefix == records.Root {
		g.list.Do(func() { close(g.listing); <-g.listed })
	}
	return g.Store.List(ctx, prefix, after, limit)
}

func (g *gated) Get(ctx context.Context, key string) (kv.Record, error) {
	rec, err := g.Store.Get(ctx, key)
	if key == g.record {
		g.read.Do(func() { close(g.got); <-g.give })
	}
	return rec, err
}

// TestRewriteAwaitsReaders has a change that has read a record of the old term when that is sealed anew: the term is
// not over before the change has opened it, or the secret would begin anew, without its history.
func TestRewriteAwaitsReaders(t *testing.T) {
	t.Parallel()
	s, _ := rotated(t)
	g := &gated{Store: s.kv, record: records.Place{Org: org, Name: "key-00"}.Slot(records.Meta).Key,
		listing: make(chan struct{}), listed: make(chan struct{}), got: make(chan struct{}), give: make(chan struct{})}
	onto(s, g)
	rewritten := make(chan error, 1)
	go func() {
		term, err := s.Rewrite(t.Context(), ignore)
		if err == nil {
			err = s.ring.Retire(t.Context(), term)
		}
		rewritten <- err
	}()
	<-g.listing
	applied := make(chan error, 1)
	go func() { applied <- errOf(s.Apply(t.Context(), org, secret.Change{Set: setOf("key-00", "new")})) }()
	<-g.got
	close(g.listed)
	var err error
	ended := false
	select {
	case err = <-rewritten:
		ended = true
	case <-time.After(300 * time.Millisecond): // it waits for the change
	}
	close(g.give)
	if err := <-applied; err != nil {
		t.Error(err)
	}
	if !ended {
		err = <-rewritten
	}
	if err != nil {
		t.Error(err)
	}
	if info, err := s.Info(t.Context(), org, "key-00"); err != nil || len(info.Versions) != 2 ||
		!info.Versions[0].Restorable {
		t.Errorf("the secret's versions: %+v, %v; want two that can be restored", info.Versions, err)
	}
}
