package intent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/secret"
)

// A journal's parts hold all its steps in their order, each as few as the limits of a part ask for.
func TestCut(t *testing.T) {
	small := func(n int) (steps []Step) {
		for i := range n {
			steps = append(steps, Step{Op: Set, Path: fmt.Sprint("k", i), Value: "v"})
		}
		return steps
	}
	long := Step{Op: Set, Path: "long", Value: strings.Repeat("v", partBytes)}
	for _, tt := range []struct {
		name  string
		steps []Step
		most  int
		want  []int // steps in each part
	}{
		{"none", nil, partSteps, nil},
		{"one", small(1), partSteps, []int{1}},
		{"as many as a part takes", small(partSteps), partSteps, []int{partSteps}},
		{"one more", small(partSteps + 1), partSteps, []int{partSteps, 1}},
		{"one at a time", small(3), 1, []int{1, 1, 1}},
		{"a long one alone", slices.Concat(small(2), []Step{long}, small(1)), partSteps, []int{2, 1, 1}},
		{"that escapes make long", []Step{{Op: Set, Path: "a", Value: strings.Repeat("<", partBytes/6)},
			{Op: Delete, Path: "b"}}, partSteps, []int{1, 1}},
	} {
		parts := cut(tt.steps, tt.most)
		var got []int
		for _, part := range parts {
			got = append(got, len(part))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: the parts' lengths (-want +got):\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.steps, slices.Concat(parts...)); diff != "" {
			t.Errorf("%s: the steps (-want +got):\n%s", tt.name, diff)
		}
	}
}

// Deleted secrets go when their time is over, and before it the oldest of too many.
func TestDue(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	ago := func(d time.Duration, n int) []Deletion {
		return slices.Repeat([]Deletion{{Path: "k", At: now.Add(-d).Unix()}}, n)
	}
	for _, tt := range []struct {
		name    string
		deleted []Deletion
		want    int
	}{
		{"none", nil, 0},
		{"not yet", ago(secret.KeepDeleted-time.Second, keptDeleted), 0},
		{"in time", slices.Concat(ago(secret.KeepDeleted, 2), ago(time.Hour, 3)), 2},
		{"too many", ago(removable, keptDeleted+5), 5},
		{"too many, of a moment ago", ago(removable-time.Second, keptDeleted+5), 0},
	} {
		c := State{kept: control{Deleted: tt.deleted}}
		if got := c.due(now); len(got) != tt.want {
			t.Errorf("%s: %d are due, want %d", tt.name, len(got), tt.want)
		}
	}
}

// Who lost the answer to a commit finds his journal among the last that were carried out, and a state that
// was read stays as it was.
func TestRested(t *testing.T) {
	c := &State{}
	for n := range maxDone + 1 {
		before := c
		c = c.next()
		c.kept.Pending = &pending{ID: fmt.Sprint(n), Kind: changing}
		if c.Settled() || c.AtRest() || !c.Changing() {
			t.Fatal("a change is pending and not seen")
		}
		if c = c.rested(); !c.Settled() || !c.finished(fmt.Sprint(n)) || before.finished(fmt.Sprint(n)) {
			t.Fatalf("journal %d: settled %v, finished %v, before %v", n, c.Settled(), c.finished(fmt.Sprint(n)),
				before.finished(fmt.Sprint(n)))
		}
	}
	if c.finished("0") || !c.finished("1") {
		t.Errorf("it keeps other journals than the last %d: %q", maxDone, c.kept.Done)
	}
}
