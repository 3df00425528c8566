package clock

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
)

// run is one run of a server, whose two clocks the test moves.
type run struct {
	*Watch
	state state
	wall  time.Time
	ran   time.Duration
	log   strings.Builder
}

func begin(store kv.Store, wall time.Time) *run {
	r := &run{wall: wall}
	r.Watch = New(store, slog.New(slog.NewTextHandler(&r.log, nil)))
	r.now, r.since = func() time.Time { return r.wall }, func() time.Duration { return r.ran }
	return r
}

// passes lets time go by, looks, and reports whether the clock is believed.
func (r *run) passes(t *testing.T, d time.Duration) bool {
	t.Helper()
	r.wall, r.ran = r.wall.Add(d), r.ran+d
	if err := r.look(t.Context(), &r.state); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.trusted:
		return true
	default:
		return false
	}
}

func TestStartFarAhead(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	if first := begin(db, now); !first.passes(t, 0) {
		t.Error("a first start is not believed")
	}
	if next := begin(db, now.Add(time.Hour)); !next.passes(t, 0) || next.log.Len() > 0 {
		t.Errorf("a start soon after is not believed: %s", next.log.String())
	}
	// A year ahead: nothing is believed, by the next start neither, until a day has passed.
	for range 2 {
		ahead := begin(db, now.AddDate(1, 0, 0))
		if ahead.passes(t, 0) || ahead.passes(t, 23*time.Hour) {
			t.Error("a clock a year ahead is believed")
		}
		if !strings.Contains(ahead.log.String(), "far ahead") {
			t.Errorf("it is not told: %s", ahead.log.String())
		}
	}
	if right := begin(db, now.Add(2*time.Hour)); !right.passes(t, 0) {
		t.Error("a clock that was set right is not believed")
	}
	back := begin(db, now.AddDate(1, 0, 0))
	back.passes(t, 0)
	back.wall = now.Add(3 * time.Hour)
	if !back.passes(t, 0) || !strings.Contains(back.log.String(), "the clock was set") {
		t.Errorf("one that is set right while the server runs: %s", back.log.String())
	}
	long := begin(db, now.AddDate(1, 0, 0))
	long.passes(t, 0)
	if !long.passes(t, 25*time.Hour) {
		t.Error("a server that really was stopped for a year never removes anything")
	}
}

// TestRecordDamaged starts over a record of the time that is none. It is told once, a day is waited for, and the record
// is put right.
func TestRecordDamaged(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(Record, []byte("nonsense"))}); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	r := begin(db, now)
	if r.passes(t, 0) || r.passes(t, 23*time.Hour) {
		t.Error("it is believed")
	}
	if n := strings.Count(r.log.String(), "damaged"); n != 1 {
		t.Errorf("it is told %d times: %s", n, r.log.String())
	}
	if !r.passes(t, 2*time.Hour) {
		t.Error("nothing is ever removed again")
	}
	if next := begin(db, now.Add(26*time.Hour)); !next.passes(t, 0) || next.log.Len() > 0 {
		t.Errorf("a start after it: %s", next.log.String())
	}
}

// TestStartedEachDay is a server that was stopped for two days, and runs from then on for eight hours at a time, as on a
// machine that is switched off at night: once it has run for a day in all, the clock is believed.
func TestStartedEachDay(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	now := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	begin(db, now).passes(t, 0)
	day := func(n int) *run { return begin(db, now.AddDate(0, 0, n)) }
	for n := 2; n < 4; n++ {
		if r := day(n); r.passes(t, 0) || r.passes(t, 8*time.Hour-time.Minute) {
			t.Fatalf("on day %d it is believed", n)
		}
	}
	// Under another clock, nothing of that counts.
	if year := begin(db, now.AddDate(1, 0, 0)); year.passes(t, 0) || year.passes(t, 9*time.Hour) {
		t.Error("a clock that was set ahead meanwhile is believed")
	}
	for n := 4; n < 7; n++ {
		r := day(n)
		if believed := r.passes(t, 0) || r.passes(t, 8*time.Hour); believed != (n == 6) {
			t.Errorf("on day %d it is believed: %v", n, believed)
		}
	}
	if next := day(7); !next.passes(t, 0) || next.log.Len() > 0 {
		t.Errorf("the next start: %s", next.log.String())
	}
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(waited, []byte("nonsense"))}); err != nil {
		t.Fatal(err)
	}
	if r := day(10); r.passes(t, 0) || !r.passes(t, 25*time.Hour) {
		t.Error("where the record of it is damaged, a day is waited for")
	}
}
