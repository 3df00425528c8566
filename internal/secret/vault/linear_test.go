package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestLinearizable has clients of two servers change and read the same few secrets, each server over a network that
// loses requests and answers, and looks for an order, for each name, in which all that they were told is true: a change
// whose outcome was not told may come at any time after its call, or never. It does so for a few seconds, and for
// STRONGROOM_SOAK on request.
func TestLinearizable(t *testing.T) { eachLayout(t, linearizable) }

func linearizable(t *testing.T, l kv2.Layout) {
	length := 4 * time.Second
	if text := os.Getenv("STRONGROOM_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("STRONGROOM_SOAK: %v", err)
		}
	}
	v := vaulttest.Shared(t)
	p := Place{Mount: v.MountKV(t), Layout: l}
	var stores []secret.Store
	var fronts []*front
	for retries := range 2 {
		f := newFront(t, v)
		conf := Config{Address: f.URL, Place: p, MaxRetries: new(2 * retries), ClientTimeout: new(5 * time.Second)}
		s, _ := open(t, v, conf)
		stores, fronts = append(stores, s), append(fronts, f)
	}
	var told, unsure, undecided int
	for began, round := time.Now(), 0; round == 0 || time.Since(began) < length; round++ {
		h := &history{org: org + id.ID(round), stores: stores, names: []string{"a", "b", "c/d"}}
		for _, f := range fronts {
			f.set(h.lossy)
		}
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				for range 15 {
					h.step(t, i)
				}
			})
		}
		wg.Wait()
		for _, f := range fronts {
			f.set(nil)
		}
		h.late.Wait()
		for i := range stores { // and what is so in the end
			h.look(t, i, stores[i])
		}
		told, unsure = told+len(h.ops), unsure+h.unsure
		switch result, info := porcupine.CheckOperationsVerbose(oneSecret, h.ops, time.Minute); result {
		case porcupine.Unknown:
			undecided++
		case porcupine.Illegal:
			shown, err := os.CreateTemp("", "linear-*.html")
			if err == nil {
				err = errors.Join(porcupine.Visualize(oneSecret, info, shown), shown.Close())
			}
			t.Fatalf("round %d: there is no order in which what was told is true; it is drawn in %s (%v)",
				round, shown.Name(), err)
		}
	}
	if told == 0 || unsure == 0 {
		t.Errorf("%d operations and %d without an outcome: nothing was lost", told, unsure)
	}
	t.Logf("%d operations, %d without an outcome; of their histories %d were too long to be judged",
		told, unsure, undecided)
}

// history is what the clients have done and been told.
type history struct {
	org    id.ID
	stores []secret.Store
	names  []string
	clock  atomic.Int64
	late   sync.WaitGroup // requests that arrive after their client has given up

	mu     sync.Mutex
	ops    []porcupine.Operation
	unsure int
}

// act is what was done to one name.
type act struct {
	name   string
	reads  bool // the value
	lists  bool // whether it is there
	value  string
	only   secret.Condition
	was    *string // that it must hold
	judged bool    // the outcome says whether its condition holds
}

// outcome is what was told of it.
type outcome struct {
	value   string // that was read; "" is none
	there   bool
	refused bool // since the condition did not hold
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
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// lossy is a network that loses some of the requests and answers.
func (h *history) lossy(w http.ResponseWriter, r *http.Request, vault http.Handler) {
	lose := func() {
		if rand.N(2) == 0 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		panic(http.ErrAbortHandler)
	}
	arrives := func() { vault.ServeHTTP(httptest.NewRecorder(), r.Clone(context.WithoutCancel(r.Context()))) }
	switch rand.N(40) {
	case 0: // the request
		lose()
	case 1: // the answer
		arrives()
		lose()
	case 2: // the answer, a while after
		arrives()
		time.Sleep(rand.N(40 * time.Millisecond))
		lose()
	case 3: // the request, which arrives all the same, later
		body, err := io.ReadAll(r.Body)
		if err != nil {
			lose()
		}
		late := r.Clone(context.Background())
		late.Body = io.NopCloser(bytes.NewReader(body))
		h.late.Go(func() {
			time.Sleep(rand.N(80 * time.Millisecond))
			vault.ServeHTTP(httptest.NewRecorder(), late)
		})
		lose()
	case 4:
		time.Sleep(rand.N(20 * time.Millisecond))
		vault.ServeHTTP(w, r)
	default:
		vault.ServeHTTP(w, r)
	}
}

func (h *history) note(client int, call int64, a act, o outcome, known bool) {
	op := porcupine.Operation{ClientId: client, Input: a, Output: o, Call: call, Return: h.clock.Add(1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !known {
		op.Return = math.MaxInt64
		h.unsure++
	}
	h.ops = append(h.ops, op)
}

// look reads and lists all names.
func (h *history) look(t *testing.T, client int, s secret.Store) {
	call := h.clock.Add(1)
	snap, err := s.Read(t.Context(), h.org, secret.Query{Keys: h.names})
	if h.read(t, err) {
		for _, name := range h.names {
			v := snap.Secrets[name].Value
			h.note(client, call, act{name: name, reads: true}, outcome{value: string(v.Bytes())}, true)
		}
	}
	call = h.clock.Add(1)
	keys, err := s.Keys(t.Context(), h.org)
	if h.read(t, err) {
		for _, name := range h.names {
			h.note(client, call, act{name: name, lists: true}, outcome{there: slices.Contains(keys, name)}, true)
		}
	}
}

// read reports whether a read was answered.
func (h *history) read(t *testing.T, err error) bool {
	if err != nil && !errs.Is(err, errs.Unavailable) {
		t.Errorf("reading: %v", err)
	}
	return err == nil
}

// step does something.
func (h *history) step(t *testing.T, client int) {
	s, name := h.stores[client%len(h.stores)], h.names[rand.N(len(h.names))]
	value := fmt.Sprintf("%d-%d", client, h.clock.Load())
	a := act{name: name, value: value, judged: true}
	c := set(name, value)
	switch rand.N(10) {
	case 0, 1: // a value
		call := h.clock.Add(1)
		v, err := secret.Get(t.Context(), s, h.org, name)
		if errs.Is(err, errs.NotFound) || h.read(t, err) {
			h.note(client, call, act{name: name, reads: true}, outcome{value: string(v.Bytes())}, true)
		}
		return
	case 2:
		h.look(t, client, s)
		return
	case 3, 4:
		a.value, c = "", secret.Change{Delete: []string{name}}
	case 5:
		a.only, c.Only = secret.IfNew, secret.IfNew
	case 6:
		a.only, c.Only = secret.IfExisting, secret.IfExisting
	case 7: // of what was read
		v, err := secret.Get(t.Context(), s, h.org, name)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return
		}
		was := string(v.Bytes())
		a.was, c.Was = &was, map[string]*secret.Value{name: &v}
		if was == "" {
			c.Was[name] = nil
		}
	case 8: // two at once
		other := h.names[rand.N(len(h.names))]
		if other != name {
			c.Delete = []string{other}
			h.apply(t, client, s, c, a, act{name: other, judged: true})
			return
		}
	}
	h.apply(t, client, s, c, a)
}

// apply has a change made, and notes what was told of each of its names.
func (h *history) apply(t *testing.T, client int, s secret.Store, c secret.Change, acts ...act) {
	ctx := t.Context()
	if rand.N(20) == 0 { // who leaves
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, rand.N(30*time.Millisecond))
		defer cancel()
	}
	call := h.clock.Add(1)
	_, err := s.Apply(ctx, h.org, c)
	known := false
	var o outcome
	switch {
	case err == nil:
		known = true
	case errs.Is(err, errs.PreconditionFailed):
		known, o.refused = true, true
	case errs.Is(err, errs.Conflict): // nothing was changed
		return
	case !errs.Is(err, errs.Unavailable) && !errors.Is(err, ctx.Err()):
		t.Errorf("Apply: %v", err)
	}
	for _, a := range acts {
		a.judged = a.judged && known
		h.note(client, call, a, o, known)
	}
}
