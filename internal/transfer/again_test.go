package transfer

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/transfer/lastcopy"
	"strongroom/internal/transfer/report"
)

// remembering gives a copy a memory in a file.
func remembering(t *testing.T, c Copy) Copy {
	t.Helper()
	data, err := bolt.Open(filepath.Join(t.TempDir(), "copied"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	if c.Book, err = lastcopy.New(data, make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	c.FromPlace = func(id.ID) string { return "here" }
	c.ToPlace = func(id.ID) string { return "there" }
	return c
}

// ran copies the organisation 1, and gives the totals.
func ran(t *testing.T, c Copy) report.Total {
	t.Helper()
	r, err := c.Run(t.Context(), []Pair{{1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Totals) == 0 {
		return report.Total{}
	}
	got := r.Totals[0]
	got.Kind = ""
	return got
}

func wantTotal(t *testing.T, what string, want, got report.Total) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// A source that is lost, or another one, does not empty the target.
func TestCopyOfALostSource(t *testing.T) {
	from, to := newMemory(many(3)), newMemory(nil)
	c := remembering(t, Copy{From: from, To: to,
		Emptied: func(context.Context, id.ID) (bool, error) { return false, nil }})
	wantTotal(t, "first", report.Total{Brought: 3}, ran(t, c))
	from.orgs[1] = nil
	wantTotal(t, "lost", report.Total{Conflict: 3}, ran(t, c))
	c.Emptied = func(context.Context, id.ID) (bool, error) { return false, errs.New(errs.Unavailable, "away") }
	if _, err := c.Run(t.Context(), []Pair{{1, 1}}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("away: %v", err)
	}
	c.Emptied = func(context.Context, id.ID) (bool, error) { return true, nil }
	wantTotal(t, "emptied", report.Total{Deleted: 3}, ran(t, c))
	if len(to.orgs[1]) != 0 {
		t.Errorf("left in the target: %v", to.orgs[1])
	}
	wantTotal(t, "again", report.Total{}, ran(t, c))
}

// What is the same on both sides is remembered for both directions.
func TestCopyThereAndBack(t *testing.T) {
	from, to := newMemory(many(4)), newMemory(map[string]string{"own": "1"})
	c := remembering(t, Copy{From: from, To: to})
	wantTotal(t, "there", report.Total{Brought: 4}, ran(t, c))
	to.orgs[1]["key-0000"] = "2"
	delete(to.orgs[1], "key-0001")
	from.orgs[1]["key-0002"] = "2"
	back := c
	back.From, back.To, back.FromPlace, back.ToPlace = c.To, c.From, c.ToPlace, c.FromPlace
	wantTotal(t, "back", report.Total{Brought: 1, Replaced: 1, Deleted: 1, Present: 1, Conflict: 1}, ran(t, back))
	if diff := cmp.Diff(map[string]string{"key-0000": "2", "key-0002": "2", "key-0003": "value 3", "own": "1"},
		from.orgs[1]); diff != "" {
		t.Error(diff)
	}
	// A name that neither has any more is forgotten: whoever sets it anew does so for the first time.
	delete(from.orgs[1], "own")
	delete(to.orgs[1], "own")
	ran(t, c)
	from.orgs[1]["own"] = "3"
	if got := ran(t, c); got.Brought != 1 {
		t.Errorf("set anew: %+v", got)
	}
}

// An organisation that has ended since takes its secrets in the target with it, and no others.
func TestCopyOfAnEndedOrganisation(t *testing.T) {
	from, to := newMemory(many(2)), newMemory(map[string]string{"own": "1"})
	c := remembering(t, Copy{From: from, To: to, Ended: true})
	wantTotal(t, "first", report.Total{Brought: 2}, ran(t, c))
	to.orgs[1]["key-0001"] = "changed"
	delete(from.orgs, 1)
	for _, want := range []report.Total{{Kind: "secret", Deleted: 1, Conflict: 1}, {Kind: "secret", Conflict: 1}} {
		r, err := c.Run(t.Context(), []Pair{{2, 2}})
		if err != nil || len(r.Totals) != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		wantTotal(t, "ended", want, r.Totals[0])
	}
	if diff := cmp.Diff(map[string]string{"key-0001": "changed", "own": "1"}, to.orgs[1]); diff != "" {
		t.Error(diff)
	}
}

// Somebody changes the target while a copy is at work: his change stays, and the others are made.
func TestCopyIntoATargetThatChanges(t *testing.T) {
	from := newMemory(many(10))
	to := newMemory(nil)
	first := true
	to.fail = func(op, _ string) error {
		if op == "apply" && first {
			first = false
			to.orgs[1] = map[string]string{"key-0004": "theirs"}
		}
		return nil
	}
	got := ran(t, remembering(t, Copy{From: from, To: to}))
	wantTotal(t, "copied", report.Total{Brought: 9, Conflict: 1}, got)
	if to.orgs[1]["key-0004"] != "theirs" || len(to.orgs[1]) != 10 {
		t.Errorf("the target has %v", to.orgs[1])
	}
}
