package embedded

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/purge"
	"strongroom/internal/secret/embedded/records"
)

// TestEveryStagedRecordDamaged damages each record of a large change that is committed, at each point of its being
// carried out, and the mark of an organisation that is being purged. Whoever reads then has what was or what is to be,
// or an error, and never a part of each without one; other organisations are served; and check names the record.
func TestEveryStagedRecordDamaged(t *testing.T) {
	t.Parallel()
	for carried := range 3 {
		t.Run(fmt.Sprintf("%d steps carried out", carried), func(t *testing.T) {
			t.Parallel()
			testEveryStagedRecordDamaged(t, carried)
		})
	}
}

// stopping is an engine that carries out so many transactions once a journal has been put, and then no more.
type stopping struct {
	kv.Store
	mu        sync.Mutex
	left      int
	committed bool
}

func (s *stopping) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.committed {
		if s.left == 0 {
			return 0, errCrash
		}
		s.left--
	}
	s.committed = s.committed || strings.HasSuffix(ops[0].Key, "/journal")
	return s.Store.Txn(ctx, conds, ops)
}

const stagedNames = 200

func testEveryStagedRecordDamaged(t *testing.T, carried int) {
	const served, ended = id.ID(3), id.ID(4)
	w := &damagedWorld{db: openKV(t), key: keyFile(t)}
	s := w.open(t)
	for _, o := range []id.ID{org, otherOrg, served, ended} {
		change := secret.Change{Set: map[string]secret.Value{}}
		for n := range 20 {
			change.Set[fmt.Sprint("large", n)] = secret.NewValue(fmt.Appendf(nil, "%s before %d", o, n))
		}
		if _, err := s.Apply(t.Context(), o, change); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range []id.ID{org, otherOrg} {
		change := secret.Change{Set: map[string]secret.Value{}}
		for n := range stagedNames {
			change.Set[fmt.Sprint("large", n)] = secret.NewValue(fmt.Appendf(nil, "%s after %d", o, n))
		}
		if _, err := New(Config{KV: &stopping{Store: w.db, left: carried}, Keyring: s.ring, History: 10}).Apply(
			t.Context(), o, change); err != nil {
			t.Fatal(err)
		}
	}
	if err := purge.Begin(t.Context(), w.db, ended); err != nil {
		t.Fatal(err)
	}
	w.whole = w.all(t)
	if told := verified(t, w.open(t)); len(told) > 0 {
		t.Fatalf("whole data: %q", told)
	}
	kinds := map[string][]string{}
	for key := range w.whole {
		switch {
		case strings.HasSuffix(key, "/journal"):
			kinds["journal"] = append(kinds["journal"], key)
		case strings.HasPrefix(key, commitlog.Root):
			kinds["step"] = append(kinds["step"], key)
		case strings.HasPrefix(key, purge.Root):
			kinds["mark"] = append(kinds["mark"], key)
		case key == records.Head(org) || key == records.Head(otherOrg):
			kinds["head"] = append(kinds["head"], key)
		}
	}
	if len(kinds) != 4 {
		t.Fatalf("there are the kinds %q", kinds)
	}
	for kind, keys := range kinds {
		slices.Sort(keys)
		for _, key := range keys {
			if strings.Contains(key, otherOrg.String()) {
				continue
			}
			damages := w.damages(key, keys)
			if kind == "journal" || kind == "step" { // and the head does not know of the change
				unaware := kv.Put(records.Head(org), append([]byte{0}, w.whole[records.Head(org)][1:]...))
				for what, ops := range maps.Clone(damages) {
					if ops[0].Kind != kv.OpDelete || kind != "journal" { // or else it was never committed
						damages[what+", and the head"] = append(ops, unaware)
					}
				}
			}
			for what, ops := range damages {
				what = kind + " " + key + ": " + what
				w.to(t, ops)
				told := strings.Join(verified(t, w.open(t)), "\n")
				removed := ops[0].Kind == kv.OpDelete
				if kind == "journal" || kind == "step" {
					if !strings.Contains(told, key+": ") && !(removed && told != "") {
						t.Errorf("%s: check does not name it: %q", what, told)
					}
				}
				for _, recovered := range []bool{false, true} {
					w.to(t, ops)
					s := w.open(t)
					if recovered {
						_ = s.Recover(t.Context())
						s = w.open(t)
					}
					what := fmt.Sprintf("%s, recovered %v", what, recovered)
					if recovered { // as each server is that starts: then nobody need ask check
						told = ""
					}
					w.stagedState(t, s, what, org, told)
					if got := w.stagedState(t, s, what, served, told); got != "before" {
						t.Errorf("%s: another organisation is not served: %s", what, got)
					}
					if names, err := s.Keys(t.Context(), ended); kind != "mark" && (err != nil || len(names) > 0) {
						t.Errorf("%s: what has ended has the names %q, %v", what, names, err)
					}
				}
			}
		}
	}
}

// stagedState tells whether an organisation is as it was before the change, or after, or gives an error.
func (w *damagedWorld) stagedState(t *testing.T, s *Store, what string, o id.ID, told string) string {
	t.Helper()
	states, failed := map[string]int{}, error(nil)
	all, err := s.Read(t.Context(), o, secret.Query{Versions: true})
	if err != nil {
		failed = err
	}
	for n := range stagedNames {
		name := fmt.Sprint("large", n)
		got, ok := all.Secrets[name]
		if !ok {
			continue
		}
		switch value := string(got.Value.Bytes()); {
		case value == fmt.Sprintf("%s before %d", o, n):
			states["before"]++
		case value == fmt.Sprintf("%s after %d", o, n):
			states["after"]++
		default:
			t.Errorf("%s: %q is %q", what, name, value)
		}
	}
	if failed == nil && told == "" && !maps.Equal(states, map[string]int{"before": 20}) &&
		!maps.Equal(states, map[string]int{"after": stagedNames}) {
		t.Errorf("%s: nobody is told, and organisation %s is %v", what, o, states)
	}
	if len(states) == 1 && failed == nil {
		for state := range states {
			return state
		}
	}
	return fmt.Sprint(states, failed)
}
