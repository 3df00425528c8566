package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/conn"
)

// history is what the clients have done and been told.
type history struct {
	org    id.ID
	stores []secret.Store
	hand   hand
	names  []string
	over   chan struct{} // what befalls them is
	steps  atomic.Int64
	clock  atomic.Int64
	late   atomic.Int64 // requests that arrive after their client has given up

	mu     sync.Mutex
	ops    []porcupine.Operation
	unsure int
	failed []string // what was told of changes that were not made
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

func describeOperation(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) }

// The least that a client does, and the most: what is longer cannot be judged.
const (
	leastSteps = 12
	mostSteps  = 60
)

// work does one thing after the other until the trouble is over.
func (h *history) work(t *testing.T, client int) {
	for n := 0; n < leastSteps || !h.isOver(); n++ {
		before := h.noted()
		if n < mostSteps {
			h.step(t, client)
			h.steps.Add(1)
		}
		if n >= mostSteps || h.noted() == before { // as where Vault is away
			time.Sleep(rand.N(20 * time.Millisecond))
		}
	}
}

func (h *history) isOver() bool {
	select {
	case <-h.over:
		return true
	default:
		return false
	}
}

func (h *history) noted() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
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
	switch rand.N(60) {
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
		h.late.Add(1)
		go func() {
			defer h.late.Add(-1)
			time.Sleep(rand.N(80 * time.Millisecond))
			vault.ServeHTTP(httptest.NewRecorder(), late)
		}()
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

// look reads and lists all names, and reports whether both were answered.
func (h *history) look(t *testing.T, client int, s secret.Store) bool {
	call := h.clock.Add(1)
	snap, err := s.Read(t.Context(), h.org, secret.Query{Keys: h.names})
	values := h.read(t, err)
	if values {
		for _, name := range h.names {
			v := snap.Secrets[name].Value
			h.note(client, call, act{name: name, reads: true}, outcome{value: string(v.Bytes())}, true)
		}
	}
	call = h.clock.Add(1)
	keys, err := s.Keys(t.Context(), h.org)
	list := h.read(t, err)
	if list {
		for _, name := range h.names {
			h.note(client, call, act{name: name, lists: true}, outcome{there: slices.Contains(keys, name)}, true)
		}
	}
	return values && list
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
	case errs.Is(err, errs.Conflict), errs.Is(err, errs.Unavailable) && !conn.IsUnsure(err): // it was not made
		h.mu.Lock()
		defer h.mu.Unlock()
		h.failed = append(h.failed, fmt.Sprintf("%d: client %d: %+v: %v", call, client, acts, err))
		return
	case !errs.Is(err, errs.Unavailable) && !errors.Is(err, ctx.Err()):
		t.Errorf("Apply: %v", err)
	}
	for _, a := range acts {
		a.judged = a.judged && known
		h.note(client, call, a, o, known)
	}
}

// hand is how somebody writes to Vault himself: put sets a name, or deletes it where the value is "". It reports
// whether it did so; sure is false where he does not know.
type hand interface {
	put(ctx context.Context, org id.ID, name, value string) (done, sure bool)
}

// byHand has him set one name after the other, and where deletions are his, delete.
func (h *history) byHand(t *testing.T, client int) {
	for n := 0; n < leastSteps/2 || !h.isOver() && n < mostSteps/2; n++ {
		a := act{name: h.names[rand.N(len(h.names))], value: fmt.Sprintf("%d-%d", client, h.clock.Load())}
		call := h.clock.Add(1)
		done, sure := h.hand.put(t.Context(), h.org, a.name, a.value)
		if done || !sure {
			h.note(client, call, a, outcome{}, sure)
		}
		time.Sleep(rand.N(30 * time.Millisecond))
	}
}

// byEntry writes an organisation's entry as InfluxDB does: it is read, merged and written by check-and-set.
type byEntry struct{ vaultAPI }

func (b byEntry) put(ctx context.Context, org id.ID, name, value string) (done, sure bool) {
	var got struct {
		Data struct {
			Data     map[string]string
			Metadata struct{ Version int }
		}
	}
	status, answer := b.do(ctx, "GET", "data/"+org.String(), nil)
	if status != http.StatusOK && status != http.StatusNotFound || json.Unmarshal(answer, &got) != nil {
		return false, true
	}
	data := maps.Clone(got.Data.Data)
	if data == nil {
		data = make(map[string]string)
	}
	data[name] = value
	status, answer = b.do(ctx, "PUT", "data/"+org.String(), map[string]any{"data": data,
		"options": map[string]int{"cas": got.Data.Metadata.Version}})
	return b.told(status, answer)
}

// bySecret writes a secret's entry as vault kv put does.
type bySecret struct{ vaultAPI }

func (b bySecret) put(ctx context.Context, org id.ID, name, value string) (done, sure bool) {
	return b.told(b.do(ctx, "PUT", "data/"+org.String()+"/"+name,
		map[string]any{"data": map[string]string{"value": value}}))
}

// vaultAPI is a client of Vault's that gives up at nothing.
type vaultAPI struct{ address, mount, token string }

// do gives the status 0 where there is no answer.
func (v vaultAPI) do(ctx context.Context, method, path string, body any) (int, []byte) {
	var sent bytes.Buffer
	if body != nil {
		_ = json.NewEncoder(&sent).Encode(body)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, v.address+"/v1/"+v.mount+"/"+path, &sent)
	if err != nil {
		return 0, nil
	}
	r.Header.Set("X-Vault-Token", v.token)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, answer
}

func (v vaultAPI) told(status int, answer []byte) (done, sure bool) {
	return status == http.StatusOK, status != 0 && status < 500 || strings.Contains(string(answer), "Vault is sealed")
}
