package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

const otherOrg id.ID = 0x031c8cbefe101001

func apply(t *testing.T, s *Store, c secret.Change) {
	t.Helper()
	if _, err := s.Apply(t.Context(), org, c); err != nil {
		t.Fatalf("Apply: %v", err)
	}
}

// errOf is how a change ended.
func errOf(_ secret.Outcome, err error) error { return err }

// overwrite puts bytes into the data as somebody might who can write the file.
func overwrite(t *testing.T, db kv.Store, key string, value []byte) {
	t.Helper()
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(key, value)}); err != nil {
		t.Fatal(err)
	}
}

// TestRecordThatDoesNotOpen damages and swaps records. Get names what is wrong and holds no value; the list, the other
// secrets and a new value under the name go on.
func TestRecordThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	eachForm(t, testRecordThatDoesNotOpen)
}

func testRecordThatDoesNotOpen(t *testing.T, s *Store) {
	db := s.kv
	apply(t, s, secret.Change{Set: setOf("a", "value of a", "b", "value of b")})
	if _, err := s.Apply(t.Context(), otherOrg, secret.Change{Set: setOf("a", "value of the other a")}); err != nil {
		t.Fatal(err)
	}
	record := func(org id.ID, name string) []byte {
		rec, err := db.Get(t.Context(), keyOf(t, s, org, name, records.Value))
		if err != nil {
			t.Fatal(err)
		}
		return rec.Value
	}
	at, err := s.from.Places(org, "a", s.ring.Names())
	if err != nil {
		t.Fatal(err)
	}
	asA := at.Now.Slot(records.Value).As
	flipped := bytes.Clone(record(org, "a"))
	flipped[len(flipped)-20] ^= 1
	newer, err := s.ring.Seal(org, asA, []byte{content.ValueFormat + 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'x'})
	if err != nil {
		t.Fatal(err)
	}
	long, err := s.ring.Seal(org, asA, []byte{content.ValueFormat, 0, 0, 0, 0, 0, 0, 0, 0, 200, 1, 'x'})
	if err != nil {
		t.Fatal(err)
	}
	short, err := s.ring.Seal(org, asA, []byte{content.ValueFormat})
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"a flipped bit": flipped, "another name's": record(org, "b"), "another organisation's": record(otherOrg, "a"),
		"cut off": record(org, "a")[:10], "empty": {}, "a newer format": newer, "metadata that are not there": long,
		"too short": short,
	} {
		overwrite(t, db, keyOf(t, s, org, "a", records.Value), damaged)
		_, err := secret.Get(t.Context(), s, org, "a")
		if err == nil || errs.CodeOf(err) != errs.Internal || !strings.Contains(err.Error(), `"a"`) ||
			!strings.Contains(err.Error(), org.String()) ||
			strings.Contains(err.Error(), "value of") {
			t.Errorf("%s: %v", name, err)
		}
		if keys, err := s.Keys(t.Context(), org); err != nil || !slices.Equal(keys, []string{"a", "b"}) {
			t.Errorf("%s: Keys: %q, %v", name, keys, err)
		}
		if v, err := secret.Get(t.Context(), s, org, "b"); err != nil || string(v.Bytes()) != "value of b" {
			t.Errorf("%s: the other secret: %v", name, err)
		}
	}
	apply(t, s, secret.Change{Set: setOf("a", "again")})
	wantContent(t, s, setOf("a", "again", "b", "value of b"))
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	eachForm(t, testTooLarge)
}

func testTooLarge(t *testing.T, s *Store) {
	c := secret.Change{Set: setOf("a", "1", "big", strings.Repeat("x", commitlog.MaxBytes))}
	if _, err := s.Apply(t.Context(), org, c); !errs.Is(err, errs.RequestTooLarge) ||
		!strings.Contains(errs.Message(err), `"big"`) {
		t.Errorf("a value no transaction holds: %v", err)
	}
	wantContent(t, s, nil)
	// The largest that fits goes both ways, alone and among others.
	for _, n := range []int{0, 200} {
		c := secret.Change{Set: map[string]secret.Value{}}
		for i := range n {
			c.Set[fmt.Sprintf("small-%03d", i)] = secret.NewValue([]byte("x"))
		}
		big := commitlog.MaxBytes - len(keyOf(t, s, org, "big", records.Version(1))) - 44 // as an earlier version, too
		c.Set["big"] = secret.NewValue([]byte(strings.Repeat("x", big)))
		apply(t, s, c)
		wantContent(t, s, c.Set)
	}
}

// TestKeyTooLong uses names that the engine has no room for.
func TestKeyTooLong(t *testing.T) {
	t.Parallel()
	s := newStore(t, openKV(t), keyFile(t))
	long := strings.Repeat("k", kv.MaxKey)
	if _, err := s.Apply(t.Context(), org, secret.Change{Set: setOf("a", "1", long, "2")}); !errs.Is(err,
		errs.RequestTooLarge) {
		t.Errorf("setting one: %v", err)
	}
	wantContent(t, s, nil)
	apply(t, s, secret.Change{Delete: []string{long}})
	apply(t, s, secret.Change{Set: setOf("a", "1"), Delete: []string{long}})
	wantContent(t, s, setOf("a", "1"))
}

func TestEngineErrors(t *testing.T) {
	db := openKV(t)
	s := newStore(t, db, keyFile(t))
	apply(t, s, secret.Change{Set: setOf("a", "1")})
	fault := errors.New("input/output error")
	f := &failing{Store: db, err: fault, times: 1}
	onto(s, f)
	if _, err := s.Apply(t.Context(), org, secret.Change{Set: setOf("a", "2")}); !errors.Is(err, fault) ||
		errs.CodeOf(err) != errs.Internal {
		t.Errorf("a fault: %v", err)
	}
	wantContent(t, s, setOf("a", "1"))
	onto(s, db)
	db.Close()
	_, keysErr := s.Keys(t.Context(), org)
	_, getErr := secret.Get(t.Context(), s, org, "a")
	for name, err := range map[string]error{
		"Keys": keysErr, "Get": getErr, "Apply": errOf(s.Apply(t.Context(), org, secret.Change{Set: setOf("a", "2")})),
		"Purge": s.Purge(t.Context(), org), "Check": s.Check(t.Context()), "Recover": s.Recover(t.Context()),
	} {
		if !errs.Is(err, errs.Unavailable) {
			t.Errorf("%s after the engine was closed: %v, want code %q", name, err, errs.Unavailable)
		}
	}
}

// dropping is an engine beside which another server starts, and takes a batch that is being
// staged for an abandoned one.
type dropping struct {
	kv.Store
	at   atomic.Int32 // transactions until then
	drop func()
}

func (d *dropping) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if d.at.Add(-1) == 0 {
		d.drop()
	}
	return d.Store.Txn(ctx, conds, ops)
}

// TestRecoverOfAnotherServer runs Recover, and Purge, between any two transactions of a large change.
func TestRecoverOfAnotherServer(t *testing.T) {
	t.Parallel()
	key := keyFile(t)
	for n := int32(1); n < 8; n++ {
		before, change, after := largeChange()
		db := openKV(t)
		other := newStore(t, db, key)
		apply(t, other, secret.Change{Set: before})
		d := &dropping{Store: db, drop: func() {
			if err := other.Recover(t.Context()); err != nil {
				t.Errorf("Recover: %v", err)
			}
		}}
		s := newStore(t, d, key)
		d.at.Store(n)
		apply(t, s, change)
		wantContent(t, s, after)
		wantContent(t, other, after)

		d.drop = func() {
			if err := other.Purge(t.Context(), org); err != nil {
				t.Errorf("Purge: %v", err)
			}
		}
		d.at.Store(n)
		apply(t, s, change)
		keys, err := s.Keys(t.Context(), org)
		if err != nil || len(keys) != 0 && len(keys) != len(change.Set) {
			t.Errorf("purged before transaction %d: %d keys of %d, %v", n, len(keys), len(change.Set), err)
		}
		if err := other.Recover(t.Context()); err != nil {
			t.Errorf("Recover: %v", err)
		}
		wantNothingStaged(t, db)
	}
}

func TestRecoverRefusesStrangeRecords(t *testing.T) {
	db := openKV(t)
	s := newStore(t, db, keyFile(t))
	overwrite(t, db, commitlog.Root+"nonsense", nil)
	if err := s.Recover(t.Context()); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a record of no organisation: %v", err)
	}
	db = openKV(t)
	s = newStore(t, db, keyFile(t))
	apply(t, s, secret.Change{Set: setOf("a", "1")})
	overwrite(t, db, commitlog.Key(org), []byte("nonsense"))
	for name, err := range map[string]error{
		"Recover": s.Recover(t.Context()),
		"Apply":   errOf(s.Apply(t.Context(), org, secret.Change{Set: setOf("a", "2")})),
	} {
		if err == nil || !strings.Contains(err.Error(), org.String()) {
			t.Errorf("%s with a damaged journal: %v", name, err)
		}
	}
	if _, err := s.Apply(t.Context(), otherOrg, secret.Change{Set: setOf("a", "2")}); err != nil {
		t.Errorf("another organisation: %v", err)
	}
	if err := s.Purge(t.Context(), org); err != nil {
		t.Errorf("Purge: %v", err)
	}
	apply(t, s, secret.Change{Set: setOf("a", "3")})
}

// betweenPages is an engine that calls between after each of the first lists.
type betweenPages struct {
	kv.Store
	times   int
	between func()
}

func (b *betweenPages) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	recs, err := b.Store.List(ctx, prefix, after, limit)
	if b.times > 0 {
		b.times--
		b.between()
	}
	return recs, err
}

// TestChangeBetweenPages changes the names between the pages of a list, so that the pages together were never there.
func TestChangeBetweenPages(t *testing.T) {
	db, key := openKV(t), keyFile(t)
	writer := newStore(t, db, key)
	even, odd := setOf("a0", "", "b0", "", "c0", "", "d0", ""), setOf("a1", "", "b1", "", "c1", "", "d1", "")
	names := [][]string{{"a0", "b0", "c0", "d0"}, {"a1", "b1", "c1", "d1"}}
	apply(t, writer, secret.Change{Set: even})
	turn := 0
	b := &betweenPages{Store: db, between: func() {
		if turn++; turn%2 == 1 {
			apply(t, writer, secret.Change{Set: odd, Delete: names[0]})
		} else {
			apply(t, writer, secret.Change{Set: even, Delete: names[1]})
		}
	}}
	s := newStore(t, b, key)
	s.page = 3
	for b.times = range 9 {
		keys, err := s.Keys(t.Context(), org)
		if err != nil || !slices.Equal(keys, names[turn%2]) {
			t.Fatalf("after %d changes: %q, %v", turn, keys, err)
		}
	}
	s.lists.Drop(org)
	b.times = 1000
	if keys, err := s.Keys(t.Context(), org); !errs.Is(err, errs.Unavailable) {
		t.Errorf("a list that never comes to rest: %q, %v; want code %q", keys, err, errs.Unavailable)
	}
	// Purged between two pages: all of it, or nothing.
	b.times, b.between = 1, func() {
		if err := writer.Purge(t.Context(), org); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, writer, secret.Change{Set: even})
	if keys, err := s.Keys(t.Context(), org); err != nil || len(keys) != 0 {
		t.Errorf("purged between two pages: %q, %v", keys, err)
	}
}

// TestRotatedByAnotherServer reads what was sealed under a term that this server's keyring has not heard of.
func TestRotatedByAnotherServer(t *testing.T) {
	db, key := openKV(t), keyFile(t)
	s, other := newStore(t, db, key), newStore(t, db, key)
	apply(t, s, secret.Change{Set: setOf("old", "1")})
	if _, err := other.ring.Rotate(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	apply(t, other, secret.Change{Set: setOf("new", "2")})
	wantContent(t, s, setOf("old", "1", "new", "2"))
}

// TestNothingInTheClear looks for values in the file, which is full of them.
func TestNothingInTheClear(t *testing.T) {
	path := t.TempDir() + "/influxd.bolt"
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := newStore(t, db, keyFile(t))
	_, change, _ := largeChange()
	change.Set["marked"] = secret.NewValue([]byte("the-marked-value-0123456789"))
	apply(t, s, change)
	apply(t, s, secret.Change{Set: setOf("alone", "the-marked-value-0123456789")})
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte("/k/marked")) {
		t.Fatal("the file does not hold what the test is about")
	}
	if bytes.Contains(b, []byte("the-marked-value")) || bytes.Contains(b, bytes.Repeat([]byte("x"), 100)) {
		t.Error("a value is in the file")
	}
}

// slowCarry holds every read of a step until it is let go, so that many meet one pending change.
type slowCarry struct {
	kv.Store
	once    sync.Once
	entered chan struct{}
	leave   chan struct{}
}

func (s *slowCarry) Get(ctx context.Context, key string) (kv.Record, error) {
	if strings.HasPrefix(key, commitlog.Root) && strings.HasSuffix(key, "/000000") {
		s.once.Do(func() { close(s.entered) })
		<-s.leave
	}
	return s.Store.Get(ctx, key)
}

// TestCallerLeavesWhileCarrying lets the caller of a large change leave after its commit: it is told so at once, and
// the change is carried out all the same.
func TestCallerLeavesWhileCarrying(t *testing.T) {
	db := openKV(t)
	slow := &slowCarry{Store: db, entered: make(chan struct{}), leave: make(chan struct{})}
	s := newStore(t, slow, keyFile(t))
	_, change, _ := largeChange()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- errOf(s.Apply(ctx, org, change)) }()
	<-slow.entered
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that leaves: %v", err)
	}
	close(slow.leave)
	wantContent(t, s, change.Set)
}

func FuzzParseValue(f *testing.F) {
	f.Add([]byte{content.ValueFormat, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'x'})
	f.Add([]byte{content.ValueFormat, 0, 0, 0, 0, 0, 0, 0, 0, 2, '{', '}', 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := content.ParseValue(b); err == nil && !bytes.HasSuffix(b, v) {
			t.Errorf("%x has the value %x", b, v)
		}
	})
}

// TestListedWithoutAValue takes the record of a value away: whoever reads all, that one or some is told which is
// missing, and not given fewer.
func TestListedWithoutAValue(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, s *Store) {
		set := map[string]secret.Value{}
		for i := range 20 { // enough for them to be read as a range
			set[fmt.Sprintf("name-%02d", i)] = secret.NewValue([]byte("x"))
		}
		apply(t, s, secret.Change{Set: set})
		for _, q := range []secret.Query{{}, {Keys: []string{"name-07"}}, {Want: func(k string) bool {
			return k < "name-09"
		}}} {
			overwritten, err := s.kv.Get(t.Context(), keyOf(t, s, org, "name-07", records.Value))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.kv.Txn(t.Context(), nil, []kv.Op{kv.Delete(overwritten.Key)}); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Read(t.Context(), org, q); errs.CodeOf(err) != errs.Internal ||
				!strings.Contains(errs.Message(err), `"name-07"`) {
				t.Errorf("%+v: %d secrets, %v", q.Keys, len(got.Secrets), err)
			}
			if got, err := s.Read(t.Context(), org, secret.Query{Keys: []string{"name-08", "nobody"}}); err != nil ||
				len(got.Secrets) != 1 {
				t.Errorf("another: %d secrets, %v", len(got.Secrets), err)
			}
			overwrite(t, s.kv, overwritten.Key, overwritten.Value)
		}
	})
}
