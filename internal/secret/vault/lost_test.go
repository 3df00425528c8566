package vault

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestLostToAnother loses a write's answer, or the write, and has another server write the same secret before anybody
// looks. What was made is not made again over it, and what was not is made on top of it.
func TestLostToAnother(t *testing.T) { eachLayout(t, lostToAnother) }

func lostToAnother(t *testing.T, l kv2.Layout) {
	v := vaulttest.Shared(t)
	const maybe = "the change may have been made"
	for name, tt := range map[string]struct {
		known   bool // the store has written the entry before
		made    bool // the write arrives
		remove  bool // the change is a deletion
		retries int
		after   string // what is done to the version that tells
		want    string // the value in the end
		unsure  bool
	}{
		"made":                    {made: true, want: "theirs"},
		"made, known":             {known: true, made: true, want: "theirs"},
		"made, sent again":        {made: true, retries: 2, want: "theirs"},
		"made, known, sent again": {known: true, made: true, retries: 2, want: "theirs"},
		"not made":                {want: "ours"},
		"not made, known":         {known: true, want: "ours"},
		"not made, sent again":    {retries: 2, want: "ours"},
		"removed":                 {made: true, remove: true, want: "theirs"},
		"removed, sent again":     {made: true, remove: true, retries: 2, want: "theirs"},
		"made, not to be seen":    {made: true, after: "destroy", want: "theirs", unsure: true},
		"made, deleted in Vault":  {known: true, made: true, after: "delete", want: "theirs", unsure: true},
		"made, not to be seen again": {known: true, made: true, retries: 2, after: "destroy", want: "theirs",
			unsure: true},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.remove && l == kv2.LayoutSecret {
				return // that goes by a journal, which others carry out: TestLinearizable
			}
			t.Parallel()
			f := newFront(t, v)
			p := Place{Mount: v.MountKV(t), Layout: l}
			s, _ := open(t, v, Config{Address: f.URL, Place: p, MaxRetries: &tt.retries})
			other, _ := open(t, v, Config{Place: p})
			path, first := p.Mount+"/data/"+org.String(), secret.Store(other)
			if l == kv2.LayoutSecret {
				path += "/k"
			}
			if tt.known {
				first = s
			}
			apply(t, first, set("k", "before"))
			var lost atomic.Bool
			f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
				if !isWrite(r) || r.URL.Path != "/v1/"+path || !lost.CompareAndSwap(false, true) {
					vault.ServeHTTP(w, r)
					return
				}
				if tt.made {
					vault.ServeHTTP(httptest.NewRecorder(), r.Clone(context.WithoutCancel(r.Context())))
				}
				apply(t, other, set("k", "theirs"))
				if tt.after != "" {
					v.Do(t, "PUT", strings.Replace(path, "/data/", "/"+tt.after+"/", 1),
						map[string]any{"versions": []int{2}})
				}
				panic(http.ErrAbortHandler)
			})
			c := set("k", "ours")
			if tt.remove {
				c = secret.Change{Delete: []string{"k"}}
			}
			_, err := s.Apply(t.Context(), org, c)
			if tt.unsure {
				wantUnavailable(t, "Apply", err, maybe, v)
			} else if err != nil {
				t.Errorf("Apply: %v", err)
			}
			if got, err := secret.Get(t.Context(), s, org, "k"); err != nil || string(got.Bytes()) != tt.want {
				t.Errorf("in the end it holds %q (%v), want %q", got.Bytes(), err, tt.want)
			}
		})
	}
	t.Run("never sent", func(t *testing.T) {
		f := newFront(t, v)
		s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t), Layout: l}})
		apply(t, s, set("k", "before"))
		f.Close()
		s.conn.CloseIdle() // a request on a connection that ends meanwhile is one that may have been sent
		_, err := s.Apply(t.Context(), org, set("k", "ours"))
		if wantUnavailable(t, "Apply", err, "", v); err != nil && strings.Contains(errs.Message(err), maybe) {
			t.Errorf("what was never sent: %v", err)
		}
	})
}
