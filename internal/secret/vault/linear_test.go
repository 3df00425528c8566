package vault

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
)

// TestLinearizable has clients of two servers, and one who writes to Vault himself, change and read the same few
// secrets while networks lose requests and answers and, in each round, something befalls Vault or its servers
// (troubles). It looks for an order, for each name, in which all that the clients were told is true: a change that may
// have been made may come at any time after its call, or never, and one that failed otherwise was not made. It has each
// trouble once, and goes on for STRONGROOM_SOAK on request.
func TestLinearizable(t *testing.T) { eachLayout(t, linearizable) }

func linearizable(t *testing.T, l kv2.Layout) {
	t.Parallel()
	var length time.Duration
	if text := os.Getenv("STRONGROOM_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("STRONGROOM_SOAK: %v", err)
		}
	}
	s := newScene(t, l)
	var told, unsure, undecided, undone int
	met := make(map[string]int)
	for began, round := time.Now(), 0; round < len(troubles) || time.Since(began) < length; round++ {
		tr := troubles[round%len(troubles)]
		if tr.only != "" && tr.only != l {
			continue
		}
		h := &history{org: org + id.ID(round), hand: s.hand, names: []string{"a", "b", "c/d"},
			over: make(chan struct{})}
		for _, srv := range s.servers {
			h.stores = append(h.stores, srv.store)
			srv.front.set(h.lossy)
		}
		before := s.undone()
		h.meet(t, s, tr)
		for _, srv := range s.servers {
			srv.front.set(nil)
			waitFor(t, func() bool { return srv.front.under.Load() == 0 })
		}
		waitFor(t, func() bool { return h.late.Load() == 0 })
		for i := range h.stores { // and what is so in the end
			waitFor(t, func() bool { return h.look(t, i, h.stores[i]) })
		}
		met[tr.name]++
		told, unsure = told+len(h.ops), unsure+h.unsure
		result, info := porcupine.CheckOperationsVerbose(oneSecret, h.ops, time.Minute)
		switch {
		case result == porcupine.Unknown:
			undecided++
		case result == porcupine.Illegal && s.undone() > before:
			undone++ // what others have seen of a change before it was refused
		case result == porcupine.Illegal:
			shown, err := os.CreateTemp("", "linear-*.html")
			if err == nil {
				err = errors.Join(porcupine.Visualize(oneSecret, info, shown), shown.Close())
			}
			t.Fatalf("round %d, %s: there is no order in which what was told is true; it is drawn in %s (%v); "+
				"these were to be not made:\n%s", round, tr.name, shown.Name(), err, strings.Join(h.failed, "\n"))
		}
	}
	if told == 0 || unsure == 0 {
		t.Errorf("%d operations and %d without an outcome: nothing was lost", told, unsure)
	}
	t.Logf("%d operations, %d of them without an outcome, in rounds with %v; the histories of %d were too long to be "+
		"judged, and those of %d show a change that was undone", told, unsure, met, undecided, undone)
}

// meet has the clients work until a trouble is over. None of them goes on after it, also where it ends the test.
func (h *history) meet(t *testing.T, s *scene, tr trouble) {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(h.over)
	for i := range 6 {
		wg.Go(func() { h.work(t, i) })
	}
	wg.Go(func() { h.byHand(t, 6) })
	waitFor(t, func() bool { return h.steps.Load() > 12 })
	tr.befall(t, s, h.org)
}

// undone counts the changes that were committed and had to be undone.
func (s *scene) undone() (n int) {
	for _, srv := range s.servers {
		n += strings.Count(srv.log.String(), "it is undone")
	}
	return n
}

// oneSecret is how one secret behaves. Its state is its value, "" where there is none.
var oneSecret = porcupine.Model{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		by := make(map[string][]porcupine.Operation)
		for _, op := range all {
			by[op.Input.(act).name] = append(by[op.Input.(act).name], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range by {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		now, a, o := state.(string), input.(act), output.(outcome)
		switch {
		case a.reads:
			return o.value == now, now
		case a.lists:
			return o.there == (now != ""), now
		}
		holds := (a.only != secret.IfNew || now == "") && (a.only != secret.IfExisting || now != "") &&
			(a.was == nil || *a.was == now)
		switch {
		case o.refused:
			return !holds, now
		case !holds: // it was not made, and nobody told that it was
			return !a.judged, now
		}
		return true, a.value
	},
	DescribeOperation: describeOperation,
}
