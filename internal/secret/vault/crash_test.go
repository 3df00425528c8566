package vault

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestCrash cuts a server off Vault for good between any two requests of an act, once before Vault has got the request
// and once before the answer comes back. Another server then finds all of the act or nothing of it, and goes on.
func TestCrash(t *testing.T) {
	v := vaulttest.Shared(t)
	acts := map[string]struct {
		run   func(ctx context.Context, s secret.Store) error
		after map[string]string // what is there then
	}{
		"change": {
			func(ctx context.Context, s secret.Store) error {
				c := set("a", "new", "d/e", "new", "f", "new")
				c.Delete = []string{"b", "c"}
				return errOf(s.Apply(ctx, org, c))
			},
			map[string]string{"a": "new", "d/e": "new", "f": "new"},
		},
		"deletion": {
			func(ctx context.Context, s secret.Store) error {
				return errOf(s.Apply(ctx, org, secret.Change{Delete: []string{"b"}}))
			},
			map[string]string{"a": "old", "c": "old", "d/e": "old"},
		},
		"set": {
			func(ctx context.Context, s secret.Store) error { return errOf(s.Apply(ctx, org, set("a", "new"))) },
			map[string]string{"a": "new", "b": "old", "c": "old", "d/e": "old"},
		},
		"restore": {
			func(ctx context.Context, s secret.Store) error {
				_, err := s.Restore(ctx, org, "gone", 0, "ann")
				return err
			},
			map[string]string{"a": "old", "b": "old", "c": "old", "d/e": "old", "gone": "old"},
		},
		"purge": {
			func(ctx context.Context, s secret.Store) error { return s.Purge(ctx, org) },
			map[string]string{},
		},
	}
	before := map[string]string{"a": "old", "b": "old", "c": "old", "d/e": "old"}
	eachLayout(t, func(t *testing.T, l kv2.Layout) {
		for name, act := range acts {
			if name == "restore" && l == LayoutOrg { // which keeps nothing that could be
				continue
			}
			for _, got := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/got=%v", name, got), func(t *testing.T) {
					for at := int64(1); ; at++ {
						f := newFront(t, v)
						p := Place{Mount: v.MountKV(t), Layout: l}
						a, _ := open(t, v, Config{Address: f.URL, Place: p, MaxRetries: new(0),
							ClientTimeout: new(2 * time.Second)})
						b, _ := open(t, v, Config{Place: p})
						apply(t, b, set("a", "old", "b", "old", "c", "old", "d/e", "old", "gone", "old"))
						apply(t, b, secret.Change{Delete: []string{"gone"}})
						var requests atomic.Int64
						f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
							switch n := requests.Add(1); {
							case n < at:
								vault.ServeHTTP(w, r)
								return
							case n == at && got:
								vault.ServeHTTP(httptest.NewRecorder(), r.Clone(context.WithoutCancel(r.Context())))
							}
							panic(http.ErrAbortHandler)
						})
						err := act.run(t.Context(), a)
						cut := requests.Load() >= at
						a.Close()
						found := contents(t, b)
						switch {
						case found == describe(act.after):
						case found != describe(before):
							t.Fatalf("cut off at request %d, answered %v: the other server finds %s", at, err, found)
						case err == nil:
							t.Fatalf("cut off at request %d, the act was answered nil and is not made", at)
						}
						if err != nil && !errs.Is(err, errs.Unavailable) {
							t.Fatalf("cut off at request %d: %v", at, err)
						}
						// The other goes on, and what it does stays.
						apply(t, b, set("a", "later", "z", "later"))
						apply(t, b, secret.Change{Delete: []string{"d/e", "f"}})
						if found := contents(t, b); !strings.Contains(found, "a=later") || !strings.Contains(found,
							"z=later") || strings.Contains(found, "d/e") {
							t.Fatalf("cut off at request %d, after changes of the other server: %s", at, found)
						}
						if !cut {
							if at < 2 {
								t.Error("the act made no request")
							}
							return
						}
					}
				})
			}
		}
	})
}

// contents is what a list and reads of all in it give.
func contents(t *testing.T, s secret.Store) string {
	t.Helper()
	keys, err := s.Keys(t.Context(), org)
	if err != nil {
		t.Fatalf("Keys: %v", err)
	}
	found := make(map[string]string)
	for _, key := range keys {
		v, err := secret.Get(t.Context(), s, org, key)
		if err != nil {
			t.Fatalf("Get(%q), which is listed: %v", key, err)
		}
		found[key] = string(v.Bytes())
	}
	return describe(found)
}

func describe(found map[string]string) string {
	text := ""
	for _, key := range []string{"a", "b", "c", "d/e", "f", "z"} {
		if v, ok := found[key]; ok {
			text += key + "=" + v + " "
		}
	}
	return fmt.Sprintf("%d: %s", len(found), text)
}
