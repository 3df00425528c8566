package vault

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestOneNameRefused has a token that may not ask what it may do, and may not write one name. A change of that
// and others is refused before anything is done of it, and where the policy becomes so in the middle of it, it
// is undone. Others go on.
func TestOneNameRefused(t *testing.T) {
	v := vaulttest.Shared(t)
	for name, tt := range map[string]struct {
		late   bool // the policy changes when the change is being committed
		change secret.Change
		gone   bool // "gone" is deleted before
	}{
		"new":         {change: set("a", "1", "locked", "1", "z", "1")},
		"over":        {change: set("old", "2", "locked", "1")},
		"deleted":     {change: secret.Change{Delete: []string{"old", "locked"}}},
		"new, later":  {late: true, change: set("a", "1", "locked", "1", "z", "1")},
		"over, later": {late: true, change: set("old", "2", "locked", "1", "z", "1")},
		"deleted, later": {late: true, change: secret.Change{Set: set("z", "1").Set,
			Delete: []string{"old", "locked"}}},
		"what was deleted, later": {late: true, gone: true, change: set("gone", "2", "locked", "1")},
		"on a condition, later": {late: true, change: secret.Change{Set: set("locked", "2", "old", "2").Set,
			Only: secret.IfExisting}},
		"deleted and others, later": {late: true, change: secret.Change{Set: set("a", "1", "old", "3").Set,
			Delete: []string{"locked"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFront(t, v)
			p := Place{Mount: v.MountKV(t), Layout: kv2.LayoutSecret}
			whole, _ := open(t, v, Config{Place: p})
			apply(t, whole, set("old", "1", "locked", "0", "gone", "1"))
			if tt.gone {
				apply(t, whole, secret.Change{Delete: []string{"gone"}})
			}
			before := everything(t, whole)
			token, lock, _ := lockable(t, v, p)
			if !tt.late {
				lock()
			}
			s, log := open(t, v, Config{Address: f.URL, Place: p, Token: token})
			var committed atomic.Bool
			f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
				if tt.late && isWrite(r) && strings.HasSuffix(r.URL.Path, "/%strongroom/state") &&
					committed.CompareAndSwap(false, true) {
					lock()
				}
				vault.ServeHTTP(w, r)
			})
			_, err := s.Apply(t.Context(), org, tt.change)
			wantUnavailable(t, "Apply", err, "permission denied", v)
			if strings.Contains(errs.Message(err), "may have been made") {
				t.Errorf("it is known that it was not made: %v", err)
			}
			log.want(t, "permission denied", "/locked")
			if diff := cmp.Diff(before, everything(t, whole)); diff != "" {
				t.Errorf("the secrets after a change that was refused (-before +after):\n%s", diff)
			}
			apply(t, s, set("b", "1", "c", "1")) // others go on
			apply(t, s, secret.Change{Delete: []string{"b", "old"}})
			if tt.late != committed.Load() || tt.late != strings.Contains(log.String(), "it is undone") {
				t.Errorf("committed: %v, want %v\n%s", committed.Load(), tt.late, log)
			}
			if status, answer := v.Do(t, "LIST", p.Mount+"/metadata/"+org.String()+"/%25strongroom/journal",
				nil); status != http.StatusNotFound {
				t.Errorf("journals are left: %d %s", status, answer)
			}
		})
	}
}

// TestRefusedToAnother has a server end after its commit, and the one that finds the change refused a part of it.
func TestRefusedToAnother(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	p := Place{Mount: v.MountKV(t), Layout: kv2.LayoutSecret}
	ended, _ := open(t, v, Config{Address: f.URL, Place: p, MaxRetries: new(0)})
	apply(t, ended, set("old", "1", "locked", "0"))
	var committed atomic.Bool
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if committed.Load() {
			panic(http.ErrAbortHandler)
		}
		vault.ServeHTTP(w, r)
		committed.Store(strings.HasSuffix(r.URL.Path, "/%strongroom/state") && isWrite(r))
	})
	apply(t, ended, set("old", "2", "locked", "1")) // committed: everybody sees it
	token, lock, _ := lockable(t, v, p)
	lock()
	s, log := open(t, v, Config{Place: p, Token: token})
	apply(t, s, set("b", "1", "c", "1"))
	log.want(t, "it is undone", "permission denied")
	if diff := cmp.Diff(map[string]string{"old": "1", "locked": "0", "b": "1", "c": "1"},
		everything(t, s)); diff != "" {
		t.Errorf("the secrets (-want +got):\n%s", diff)
	}
}

// TestRefusedForAMoment has the policy taken away just after a change was committed, and given back when Vault has
// refused a part of it. Others may have seen the change by then: it is made.
func TestRefusedForAMoment(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	p := Place{Mount: v.MountKV(t), Layout: kv2.LayoutSecret}
	token, lock, unlock := lockable(t, v, p)
	s, log := open(t, v, Config{Address: f.URL, Place: p, Token: token})
	other, _ := open(t, v, Config{Place: p})
	apply(t, s, set("old", "1", "locked", "0"))
	var committed, refused atomic.Bool
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		state := strings.HasSuffix(r.URL.Path, "/%strongroom/state")
		if isWrite(r) && state && committed.CompareAndSwap(false, true) {
			lock()
		}
		answer := httptest.NewRecorder()
		vault.ServeHTTP(answer, r)
		if committed.Load() && isWrite(r) && answer.Code == http.StatusForbidden &&
			refused.CompareAndSwap(false, true) {
			unlock()
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
	apply(t, s, set("old", "2", "locked", "1"))
	if !refused.Load() || strings.Contains(log.String(), "it is undone") {
		t.Errorf("refused: %v\n%s", refused.Load(), log)
	}
	if diff := cmp.Diff(map[string]string{"old": "2", "locked": "1"}, everything(t, other)); diff != "" {
		t.Errorf("the secrets (-want +got):\n%s", diff)
	}
}

// lockable makes a token that serves the place and may not ask for its capabilities; lock takes from it one name, and
// unlock gives that back.
func lockable(t *testing.T, v *vaulttest.Server, p Place) (token string, lock, unlock func()) {
	name := "lockable-" + p.Mount
	write := func(more string) {
		if status, answer := v.Do(t, "PUT", "sys/policies/acl/"+name,
			map[string]string{"policy": hcl(p) + more}); status >= 300 {
			t.Errorf("the policy: %d %s", status, answer)
		}
	}
	write("")
	token = v.NewToken(t, map[string]any{"policies": []string{name}, "no_default_policy": true,
		"ttl": time.Hour.String()})
	at := org.String() + "/locked"
	return token, func() {
		write(`path "` + p.Mount + `/data/` + at + `" { capabilities = ["read"] } path "` + p.Mount + `/delete/` + at +
			`" { capabilities = ["deny"] }`)
	}, func() { write("") }
}

// everything are the values of all secrets that are listed.
func everything(t *testing.T, s secret.Store) map[string]string {
	t.Helper()
	snap, err := s.Read(t.Context(), org, secret.Query{})
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for key, got := range snap.Secrets {
		all[key] = string(got.Value.Bytes())
	}
	keys, err := s.Keys(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if _, has := all[key]; !has {
			all[key] = "listed and not there"
		}
	}
	return all
}
