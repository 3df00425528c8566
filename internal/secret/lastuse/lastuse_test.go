package lastuse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
)

const org, other id.ID = 0x0a, 0x0b

// engine is a real engine that counts transactions and can be told to fail them.
type engine struct {
	kv.Store
	path string
	txns atomic.Int32
	err  error
}

func (e *engine) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if e.txns.Add(1); e.err != nil {
		return 0, e.err
	}
	return e.Store.Txn(ctx, conds, ops)
}

func open(t *testing.T) *engine {
	t.Helper()
	path := filepath.Join(t.TempDir(), "influxd.bolt")
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &engine{Store: db, path: path}
}

func newBook(e *engine) (*Book, *time.Time) {
	b, now := New(e, bytes.Repeat([]byte{7}, 32)), time.Unix(1_800_000_000, 0).UTC()
	b.now = func() time.Time { return now }
	return b, &now
}

func last(t *testing.T, b *Book, org id.ID, key string) time.Time {
	t.Helper()
	at, err := b.Last(t.Context(), org, key)
	if err != nil {
		t.Fatal(err)
	}
	all, err := b.All(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	if other := all(key); !other.Equal(at) {
		t.Errorf("%s was last used %v alone, and %v among all", key, at, other)
	}
	return at
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWriteFails(t *testing.T) {
	e := open(t)
	b, now := newBook(e)
	b.Mark(org, "k")
	first := *now
	e.err = errors.New("no disk")
	if err := b.Write(t.Context()); !errors.Is(err, e.err) {
		t.Fatalf("writing gave %v", err)
	}
	if at := last(t, b, org, "k"); !at.Equal(first) {
		t.Errorf("after a write that failed the last use is %v", at)
	}
	e.err = nil
	must(t, b.Write(t.Context()))
	again, _ := newBook(e)
	if at := last(t, again, org, "k"); !at.Equal(first) {
		t.Errorf("the write that succeeded kept %v, want %v", at, first)
	}
}

func TestReadsAreNoWrites(t *testing.T) {
	e := open(t)
	b, now := newBook(e)
	if at := last(t, b, org, "k"); !at.IsZero() {
		t.Errorf("never used, and last used %v", at)
	}
	for range 1000 {
		*now = now.Add(time.Millisecond)
		b.Mark(org, "a", "b", "c")
	}
	if e.txns.Load() != 0 {
		t.Errorf("marking wrote %d times", e.txns.Load())
	}
	must(t, b.Write(t.Context()))
	must(t, b.Write(t.Context()))
	if e.txns.Load() != 1 {
		t.Errorf("a thousand uses of three secrets took %d transactions", e.txns.Load())
	}
	if at := last(t, b, org, "b"); at.Sub(*now).Abs() > time.Second {
		t.Errorf("used %v, known as %v", *now, at)
	}
	if at := last(t, b, other, "b"); !at.IsZero() {
		t.Errorf("another organisation's secret of that name was used %v", at)
	}
}

func TestManyAreWritten(t *testing.T) {
	e := open(t)
	b, _ := newBook(e)
	for i := range 3*kv.MaxOps + 1 {
		b.Mark(org, string(rune('a'+i)))
	}
	must(t, b.Write(t.Context()))
	rs, err := e.List(t.Context(), Prefix, "", 10*kv.MaxOps)
	if must(t, err); len(rs) != 3*kv.MaxOps+1 {
		t.Errorf("there are %d records", len(rs))
	}
}

// TestManyAreMarkedAgain marks one list of many again: in the same second, which takes nothing, later, and after the
// organisation's end.
func TestManyAreMarkedAgain(t *testing.T) {
	e := open(t)
	b, now := newBook(e)
	names := make([]string, manyKeys)
	for i := range names {
		names[i] = fmt.Sprintf("name %d", i)
	}
	want := func(what string, of id.ID, key string, at time.Time) {
		t.Helper()
		if got := last(t, b, of, key); !got.Equal(at) {
			t.Errorf("%s: it was last used %v, want %v", what, got, at)
		}
	}
	b.Mark(org, names...)
	b.Mark(org, names...)
	want("marked", org, names[9], *now)
	b.Mark(other, names...)
	want("another organisation's", other, names[9], *now)
	b.Mark(org, names...)
	*now = now.Add(time.Second)
	b.Mark(org, names...)
	want("a second later", org, names[9], *now)
	e.err = errors.New("no disk")
	if err := b.Write(t.Context()); err == nil {
		t.Error("it was written to no disk")
	}
	e.err = nil
	b.Mark(org, names...)
	want("after a write that failed", org, names[9], *now)
	must(t, b.Write(t.Context()))
	must(t, b.Purge(t.Context(), org))
	want("ended", org, names[9], time.Time{})
	b.Mark(org, names...)
	want("marked after that", org, names[9], *now)
}

func TestNamesAreNotInTheFile(t *testing.T) {
	e := open(t)
	b, _ := newBook(e)
	b.Mark(org, "a-name-to-be-found")
	must(t, b.Write(t.Context()))
	file, err := os.ReadFile(e.path)
	must(t, err)
	if bytes.Contains(file, []byte("a-name-to-be-found")) || !bytes.Contains(file, []byte(folder(org))) {
		t.Error("the file holds the name, or no record")
	}
	// Nor is a guess of the name enough.
	stranger := New(e, bytes.Repeat([]byte{8}, 32))
	if at := last(t, stranger, org, "a-name-to-be-found"); !at.IsZero() {
		t.Error("another key finds the record")
	}
}

func TestPurge(t *testing.T) {
	e := open(t)
	b, _ := newBook(e)
	b.Mark(org, "written")
	b.Mark(other, "stays")
	must(t, b.Write(t.Context()))
	b.Mark(org, "noted")
	must(t, b.Purge(t.Context(), org))
	must(t, b.Purge(t.Context(), org))
	must(t, b.Write(t.Context()))
	for _, k := range []string{"written", "noted"} {
		if at := last(t, b, org, k); !at.IsZero() {
			t.Errorf("purged, and %s was last used %v", k, at)
		}
	}
	if at := last(t, b, other, "stays"); at.IsZero() {
		t.Error("another organisation's record is gone")
	}
}

func TestSweep(t *testing.T) {
	e := open(t)
	b, _ := newBook(e)
	const gone, away id.ID = 0x0c, 0x0d
	for _, o := range []id.ID{org, other, gone, away} {
		b.Mark(o, "stays", "goes")
	}
	must(t, b.Write(t.Context()))
	_, err := e.Txn(t.Context(), nil, []kv.Op{kv.Put(Prefix+"nonsense", nil)})
	must(t, err)
	down := errs.New(errs.Unavailable, "the store is away")
	err = b.Sweep(t.Context(), func(_ context.Context, o id.ID) ([]string, error) {
		switch o {
		case gone:
			return nil, errs.New(errs.NotFound, "no such organisation")
		case away:
			return nil, down
		}
		return []string{"more", "stays"}, nil
	})
	if !errors.Is(err, down) {
		t.Errorf("the store that is away is not told of: %v", err)
	}
	for _, tc := range []struct {
		org  id.ID
		key  string
		want bool
	}{
		{org, "stays", true}, {org, "goes", false}, {other, "stays", true}, {other, "goes", false},
		{gone, "stays", false}, {gone, "goes", false}, {away, "stays", true}, {away, "goes", true},
	} {
		if at := last(t, b, tc.org, tc.key); at.IsZero() == tc.want {
			t.Errorf("%s of %s: last used %v, want it kept: %v", tc.key, tc.org, at, tc.want)
		}
	}
	var wrong []string
	must(t, Check(t.Context(), e, func(key, _ string) { wrong = append(wrong, key) }))
	if !slices.Equal(wrong, []string{Prefix + "nonsense"}) {
		t.Errorf("found wrong: %q", wrong)
	}
}

func TestCheckFindsWhatIsNoTime(t *testing.T) {
	e := open(t)
	b, _ := newBook(e)
	for _, v := range []string{"", "soon", "-1", "0", "253402300800", "99999999999999999999"} {
		_, err := e.Txn(t.Context(), nil, []kv.Op{kv.Put(b.record(org, "k"), []byte(v))})
		must(t, err)
		n := 0
		must(t, Check(t.Context(), e, func(string, string) { n++ }))
		if at := last(t, b, org, "k"); !at.IsZero() || n != 1 {
			t.Errorf("%q is taken for a time (%v), %d problems found", v, at, n)
		}
		b.Mark(org, "k")
		must(t, b.Write(t.Context()))
		if again, _ := newBook(e); last(t, again, org, "k").IsZero() {
			t.Errorf("%q keeps the next use from being written", v)
		}
		must(t, b.Sweep(t.Context(), func(context.Context, id.ID) ([]string, error) { return nil, nil }))
		b, _ = newBook(e)
	}
}

// Maintain writes after a minute, sweeps after an hour, and writes once more at its end.
func TestMaintain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t) // in the bubble, with all that works for it
		b := New(e, bytes.Repeat([]byte{7}, 32))
		ctx, stop := context.WithCancel(t.Context())
		var swept atomic.Int32
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.Maintain(ctx, func(context.Context, id.ID) ([]string, error) {
				swept.Add(1)
				return []string{"k", "l"}, nil
			},
				func(err error) { t.Error(err) })
		}()
		b.Mark(org, "k")
		time.Sleep(time.Minute)
		synctest.Wait()
		if e.txns.Load() != 1 || swept.Load() != 0 {
			t.Errorf("after a minute: %d transactions, swept %d times", e.txns.Load(), swept.Load())
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if swept.Load() != 1 {
			t.Errorf("after an hour: swept %d times", swept.Load())
		}
		b.Mark(org, "l")
		stop()
		<-done
		fresh := New(e, bytes.Repeat([]byte{7}, 32))
		if at := last(t, fresh, org, "l"); at.IsZero() {
			t.Error("what was noted at the end is lost")
		}
	})
}

// TestLastUseStays uses a secret, and once more under a clock that was set back, also by another process.
func TestLastUseStays(t *testing.T) {
	e := open(t)
	b, now := newBook(e)
	b.Mark(1, "a")
	want := *now
	for range 2 {
		must(t, b.Write(t.Context()))
		*now = now.Add(-time.Hour)
		b.Mark(1, "a")
		if got := last(t, b, 1, "a"); !got.Equal(want) {
			t.Errorf("last used %v, want %v", got, want)
		}
		earlier := *now
		b, now = newBook(e)
		*now = earlier
		b.Mark(1, "a")
	}
}
