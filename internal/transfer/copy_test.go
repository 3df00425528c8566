package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/transfer/report"
)

// memory is a secret.Store whose every step a test can watch and make fail.
type memory struct {
	secret.Store // none: what is not below is not asked for
	mu           sync.Mutex
	orgs         map[id.ID]map[string]string
	applied      int
	fail         func(op, key string) error
	forgets      string // a key whose value it does not keep as written
}

func newMemory(secrets map[string]string) *memory {
	return &memory{orgs: map[id.ID]map[string]string{1: maps.Clone(secrets)}}
}

func (m *memory) at(op, key string) error {
	if m.fail != nil {
		return m.fail(op, key)
	}
	return nil
}

func (m *memory) Keys(_ context.Context, org id.ID) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.orgs[org])), m.at("keys", "")
}

func (m *memory) Read(_ context.Context, org id.ID, q secret.Query) (secret.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	snap := secret.Snapshot{Secrets: make(map[string]secret.Secret)}
	for key, v := range m.orgs[org] {
		if q.Wants(key) {
			snap.Secrets[key] = secret.Secret{Value: secret.NewValue([]byte(v))}
		}
	}
	if q.Keys == nil {
		return snap, m.at("get", "")
	}
	for _, key := range q.Keys {
		if err := m.at("get", key); err != nil {
			return secret.Snapshot{}, err
		}
	}
	return snap, nil
}

func (m *memory) Apply(_ context.Context, org id.ID, c secret.Change) (secret.Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.at("apply", ""); err != nil {
		return secret.Outcome{}, err
	}
	for key := range c.Was {
		var now *secret.Value
		text, exists := m.orgs[org][key]
		if exists {
			v := secret.NewValue([]byte(text))
			now = &v
		}
		if err := c.Built(key, now, exists); err != nil {
			return secret.Outcome{}, err
		}
	}
	m.applied++
	if m.orgs[org] == nil {
		m.orgs[org] = make(map[string]string)
	}
	for k, v := range c.Set {
		if m.orgs[org][k] = string(v.Bytes()); k == m.forgets {
			m.orgs[org][k] = "other"
		}
	}
	for _, k := range c.Delete {
		delete(m.orgs[org], k)
	}
	return secret.Outcome{}, nil
}

func (m *memory) About(id.ID) secret.About           { return secret.About{} }
func (m *memory) Purge(context.Context, id.ID) error { return nil }
func (m *memory) Check(context.Context) error        { return nil }

func many(n int) map[string]string {
	all := make(map[string]string)
	for i := range n {
		all[fmt.Sprintf("key-%04d", i)] = fmt.Sprintf("value %d", i)
	}
	return all
}

// TestCopyFaults makes each step fail: nothing is deleted then, and the next run ends the copy.
func TestCopyFaults(t *testing.T) {
	down := errs.New(errs.Unavailable, "the store is away")
	for _, op := range []string{"keys", "get", "apply"} {
		for _, side := range []string{"from", "to"} {
			for after := range 3 {
				from, to := newMemory(many(600)), newMemory(nil)
				n := 0
				failing := func(o, _ string) error {
					if o == op {
						if n++; n > after*300 {
							return down
						}
					}
					return nil
				}
				if side == "from" {
					from.fail = failing
				} else {
					to.fail = failing
				}
				c := Copy{From: from, To: to, DeleteSource: true}
				if _, err := c.Run(t.Context(), []Pair{{1, 1}}); err == nil && after == 0 {
					t.Errorf("%s %s: no error", side, op)
				} else if err != nil && !errors.Is(err, down) {
					t.Errorf("%s %s: %v", side, op, err)
				}
				both := maps.Clone(to.orgs[1])
				if both == nil {
					both = make(map[string]string)
				}
				maps.Copy(both, from.orgs[1])
				if diff := cmp.Diff(many(600), both); diff != "" {
					t.Fatalf("%s %s: something is on neither side:\n%s", side, op, diff)
				}
				from.fail, to.fail = nil, nil
				if _, err := c.Run(t.Context(), []Pair{{1, 1}}); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(many(600), to.orgs[1]); diff != "" || len(from.orgs[1]) != 0 {
					t.Errorf("%s %s, run again: %d left\n%s", side, op, len(from.orgs[1]), diff)
				}
			}
		}
	}
}

// TestCopyReadsBack copies to a store that does not keep what it is given: nothing is deleted.
func TestCopyReadsBack(t *testing.T) {
	from, to := newMemory(many(3)), newMemory(nil)
	to.forgets = "key-0001"
	_, err := Copy{From: from, To: to, ToName: "vault", DeleteSource: true}.Run(t.Context(), []Pair{{1, 1}})
	if err == nil || !strings.Contains(err.Error(), `"key-0001" reads otherwise from vault`) ||
		strings.Contains(err.Error(), "value 1") {
		t.Errorf("error %v", err)
	}
	if len(from.orgs[1]) != 3 {
		t.Errorf("%d of 3 secrets are left in the source", len(from.orgs[1]))
	}
}

func TestCopyConflicts(t *testing.T) {
	from, to := newMemory(many(4)), newMemory(map[string]string{"key-0000": "value 0", "key-0001": "theirs",
		"other": "stays"})
	r, err := Copy{From: from, To: to, DeleteSource: true}.Run(t.Context(), []Pair{{1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]report.Total{{Kind: "secret", Brought: 2, Present: 1, Conflict: 1}}, r.Totals); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"key-0001": "value 1"}, from.orgs[1]); diff != "" {
		t.Errorf("left in the source:\n%s", diff)
	}
	if to.orgs[1]["key-0001"] != "theirs" || to.orgs[1]["other"] != "stays" {
		t.Errorf("the target has %v", to.orgs[1])
	}
	if _, err := (Copy{From: from, To: to, Overwrite: true}).Run(t.Context(), []Pair{{1, 1}}); err != nil ||
		to.orgs[1]["key-0001"] != "value 1" {
		t.Errorf("overwriting: %v, %v", to.orgs[1], err)
	}
}

func TestCopyDryRunAndAgain(t *testing.T) {
	from, to := newMemory(many(700)), newMemory(nil)
	r, err := Copy{From: from, To: to, DryRun: true, DeleteSource: true}.Run(t.Context(), []Pair{{1, 1}})
	if err != nil || r.Totals[0].Brought != 700 || to.applied != 0 || from.applied != 0 {
		t.Errorf("a dry run: %+v, %d and %d changes, %v", r.Totals, to.applied, from.applied, err)
	}
	steps := 0
	c := Copy{From: from, To: to, Progress: func(done, orgs, secrets int) { steps++ }}
	if _, err := c.Run(t.Context(), []Pair{{1, 1}, {2, 2}}); err != nil || steps != 2 || len(from.orgs[1]) != 700 {
		t.Errorf("%d steps, %d left, %v", steps, len(from.orgs[1]), err)
	}
	before := to.applied
	if r, err = c.Run(t.Context(), []Pair{{1, 1}, {2, 2}}); err != nil || to.applied != before ||
		r.Totals[0].Present != 700 {
		t.Errorf("again: %+v, %d more changes, %v", r.Totals, to.applied-before, err)
	}
}
