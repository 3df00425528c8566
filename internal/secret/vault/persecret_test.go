package vault

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestMissingCapabilities takes each capability out of the policy in turn. What needs it is refused and nothing else
// is, the log names the path and the capability, and no change is made by half.
func TestMissingCapabilities(t *testing.T) {
	v := vaulttest.Shared(t)
	for _, tt := range []struct {
		kind, lacks string
		fails       []string
	}{
		{"data", "create", []string{"new", "two", "delete", "restore"}},
		{"data", "read", []string{"list", "get", "info", "new", "over", "two", "delete", "restore", "purge"}},
		{"data", "update", []string{"over", "two", "delete", "restore", "purge"}},
		{"metadata", "list", []string{"list", "purge"}},
		{"metadata", "read", []string{"list", "info", "restore"}}, // the list: whether what was deleted still is
		{"metadata", "delete", []string{"purge"}},
		{"delete", "update", []string{"delete"}},
		{"undelete", "update", []string{"restore"}},
	} {
		t.Run(tt.kind+"/"+tt.lacks, func(t *testing.T) {
			mount := v.MountKV(t)
			p := Place{Mount: mount, Layout: LayoutSecret}
			whole, _ := open(t, v, Config{Place: p})
			apply(t, whole, set("old", "1", "gone", "1", "more", "1"))
			apply(t, whole, secret.Change{Delete: []string{"gone"}})
			var policy strings.Builder
			for _, n := range rules(p, true) {
				has := slices.DeleteFunc(slices.Clone(n.capabilities), func(c string) bool {
					return n.kind == tt.kind && c == tt.lacks
				})
				if len(has) > 0 {
					fmt.Fprintf(&policy, "path %q { capabilities = [%s] }\n", n.path, quoted(has))
				}
			}
			s, log := open(t, v, Config{Place: p, Token: v.Token(t, policy.String(), time.Hour),
				ClientTimeout: new(5 * time.Second)})
			_, list := s.Keys(t.Context(), org)
			_, get := secret.Get(t.Context(), s, org, "old")
			_, info := s.Info(t.Context(), org, "old")
			for _, call := range []struct {
				name string
				err  error
			}{
				{"list", list}, {"get", get}, {"info", info},
				{"new", errOf(s.Apply(t.Context(), org, set("new", "1")))},
				{"over", errOf(s.Apply(t.Context(), org, set("old", "2")))},
				{"two", errOf(s.Apply(t.Context(), org, set("x", "1", "y", "1")))},
				{"delete", errOf(s.Apply(t.Context(), org, secret.Change{Delete: []string{"more"}}))},
				{"restore", errOf(s.Restore(t.Context(), org, "gone", 0, "ann"))},
				{"purge", s.Purge(t.Context(), org)},
			} {
				if !slices.Contains(tt.fails, call.name) {
					if call.err != nil {
						t.Errorf("%s: %v", call.name, call.err)
					}
					continue
				}
				if !errs.Is(call.err, errs.Unavailable) {
					t.Errorf("%s: %v, want it refused", call.name, call.err)
				}
				log.want(t, "the token's policies lack the capability")
			}
			keys, err := whole.Keys(t.Context(), org)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(keys, "x") != slices.Contains(keys, "y") {
				t.Errorf("half of a change is there: %q", keys)
			}
		})
	}
}

// TestOthersEntries has what other programs keep below the organisation's path, and what they do to our entries.
func TestOthersEntries(t *testing.T) {
	v := vaulttest.Shared(t)
	s, mount, _ := perSecret(t, v)
	at := mount + "/data/" + org.String() + "/"
	write := func(name, data string) {
		t.Helper()
		if status, b := v.Do(t, "PUT", at+name, []byte(`{"data":`+data+`}`)); status >= 300 {
			t.Fatalf("%s: %d %s", name, status, b)
		}
	}
	write("theirs", `{"user":"x","password":"y"}`)
	write("number", `{"value":12}`)
	write("b%2561d", `{"value":"not the path of its name"}`) // the entry b%61d
	write("%25strongroom/note", `{"value":"x"}`)
	write("db/plain", `{"value":"put by hand","note":"kept"}`)
	wantKeys(t, s, "db/plain", "number", "theirs")
	if got, err := secret.Get(t.Context(), s, org, "db/plain"); err != nil || string(got.Bytes()) != "put by hand" {
		t.Errorf("what vault kv put wrote: %q, %v", got.Bytes(), err)
	}
	for _, key := range []string{"theirs", "number", "bad", "b%61d"} {
		if _, err := secret.Get(t.Context(), s, org, key); !errs.Is(err, errs.NotFound) {
			t.Errorf("Get(%q): %v, want not found", key, err)
		}
	}
	apply(t, s, secret.Change{Delete: []string{"theirs", "number", "bad", "b%61d", "%strongroom/note"}})
	wantKeys(t, s, "db/plain", "number", "theirs")
	// What is for good looks first, too.
	for _, key := range []string{"theirs", "number"} {
		if err := s.Remove(t.Context(), org, key, false); !errs.Is(err, errs.Unprocessable) {
			t.Errorf("Remove(%q): %v", key, err)
		}
		if err := errOf(s.Mark(t.Context(), org, key, marking(secret.DestroyVersion, 1))); !errs.Is(err,
			errs.Unprocessable) {
			t.Errorf("the destruction of %q: %v", key, err)
		}
		if got := v.Read(t, mount, org.String()+"/"+key); len(got.Data) == 0 {
			t.Errorf("%s is gone", key)
		}
	}
	apply(t, s, set("number", "one"))
	if err := errOf(s.Mark(t.Context(), org, "number", marking(secret.DestroyVersion, 1))); !errs.Is(err,
		errs.Unprocessable) {
		t.Errorf("the destruction of an earlier version: %v", err)
	}
	if got := texts(v.Read(t, mount, org.String()+"/number").Data); cmp.Diff(map[string]string{"value": `"one"`},
		got) != "" {
		t.Errorf("a foreign entry that was set holds %v", got)
	}

	// Of several versions, none is destroyed where one is theirs.
	apply(t, s, set("both", "ours"))
	write("both", `{"user":"theirs"}`)
	apply(t, s, set("both", "ours again"))
	for range 2 {
		err := errOf(s.Mark(t.Context(), org, "both", marking(secret.DestroyVersion, 1, 2)))
		if !errs.Is(err, errs.Unprocessable) || strings.Contains(errs.Message(err), "already") {
			t.Errorf("the destruction of two versions: %v", err)
		}
		if got, err := s.ReadVersion(t.Context(), org, "both", 1); err != nil || string(got.Value.Bytes()) != "ours" {
			t.Fatalf("the first version: %q, %v", got.Value.Bytes(), err)
		}
	}

	// A version that is deleted or destroyed in Vault is gone, and a set goes on from it.
	for name, remove := range map[string]func(path string){
		"deleted":   func(path string) { v.Do(t, "DELETE", mount+"/data/"+path, nil) },
		"destroyed": func(path string) { v.Do(t, "PUT", mount+"/destroy/"+path, map[string]any{"versions": []int{1}}) },
		"removed":   func(path string) { v.Do(t, "DELETE", mount+"/metadata/"+path, nil) },
	} {
		apply(t, s, set(name, "1"))
		remove(path.Join(org.String(), name))
		if _, err := secret.Get(t.Context(), s, org, name); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s: %v, want not found", name, err)
		}
		apply(t, s, set(name, "2"))
		if got, err := secret.Get(t.Context(), s, org, name); err != nil || string(got.Bytes()) != "2" {
			t.Errorf("%s, and set anew: %q, %v", name, got.Bytes(), err)
		}
	}
	// Ours go for good, alive, deleted, and where nothing is there.
	v.Do(t, "DELETE", mount+"/data/"+path.Join(org.String(), "deleted"), nil)
	for _, key := range []string{"destroyed", "deleted", "never"} {
		if err := s.Remove(t.Context(), org, key, false); err != nil {
			t.Errorf("Remove(%q): %v", key, err)
		}
		if status, _ := v.Do(t, "GET", mount+"/metadata/"+path.Join(org.String(), key), nil); status != http.StatusNotFound {
			t.Errorf("%s is there still: %d", key, status)
		}
	}
	if err := s.Purge(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, s)
	if status, _ := v.Do(t, "GET", at+"b%2561d", nil); status != http.StatusOK {
		t.Errorf("an entry whose path is no name's was purged: %d", status)
	}
}

// TestVersionsOfSecrets wants no new version where nothing changes, on mounts that take no write
// without check-and-set too.
func TestVersionsOfSecrets(t *testing.T) {
	v := vaulttest.Shared(t)
	for _, required := range []bool{false, true} {
		s, mount, _ := perSecret(t, v)
		v.Do(t, "POST", mount+"/config", map[string]any{"cas_required": required})
		apply(t, s, set("a", "1"))
		apply(t, s, set("a", "1"))
		apply(t, s, set("a", "1", "b", "1"))
		apply(t, s, set("a", "2", "b", "1"))
		apply(t, s, secret.Change{Delete: []string{"nothing", "a/b", ""}})
		for name, want := range map[string]int{"a": 2, "b": 1} {
			if got := v.Read(t, mount, org.String()+"/"+name).Metadata.Version; got != want {
				t.Errorf("cas_required %v: version %d of %s, want %d", required, got, name, want)
			}
		}
		apply(t, s, secret.Change{Delete: []string{"a", "b"}})
		apply(t, s, set("b", "3"))
		wantKeys(t, s, "b")
	}
}

// TestSecretTooLarge has a Vault that takes entries of 64 KiB. What does not fit is refused with the limit, also in a
// change of several names, of which nothing is made; many secrets that fit do, where one entry would be too large.
func TestSecretTooLarge(t *testing.T) {
	v := vaulttest.Start(t, vaulttest.WithValueLimit(64<<10))
	s, _ := open(t, v, Config{Place: Place{Layout: LayoutSecret}, MaxRetries: new(0)})
	large, fits := strings.Repeat("x", 100<<10), strings.Repeat("x", 60<<10)
	for _, c := range []secret.Change{set("large", large), set("large", large, "small", "1")} {
		_, err := s.Apply(t.Context(), org, c)
		if !errs.Is(err, errs.RequestTooLarge) || !strings.Contains(errs.Message(err), "max_entry_size") ||
			strings.Contains(errs.Message(err), "vault-layout") {
			t.Errorf("%d names: %v (%s)", len(c.Set), err, errs.CodeOf(err))
		}
		wantKeys(t, s)
	}
	apply(t, s, set("a", fits, "b", fits, "c", fits))
	wantKeys(t, s, "a", "b", "c")
	// At the limit, to the byte: a change of several names that is taken is carried out.
	for n := 65<<10 - 300; n < 65<<10; n += 37 {
		value := strings.Repeat("x", n)
		if _, err := s.Apply(t.Context(), org, set("edge", value, "beside", fmt.Sprint(n))); errs.Is(err,
			errs.RequestTooLarge) {
			continue
		} else if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if got := v.Read(t, "secret", org.String()+"/edge"); len(got.Data["value"]) != n+2 {
			t.Fatalf("%d bytes were taken and are not in the entry", n)
		}
	}
	if status, body := v.Do(t, "LIST", "secret/metadata/"+org.String()+"/%25strongroom/journal",
		nil); status != http.StatusNotFound {
		t.Errorf("journals are left: %d %s", status, body)
	}
	one, _ := open(t, v, Config{MaxRetries: new(0)})
	if _, err := one.Apply(t.Context(), org, set("a", fits, "b", fits)); !errs.Is(err, errs.RequestTooLarge) ||
		!strings.Contains(errs.Message(err), "--vault-layout secret") {
		t.Errorf("in one entry: %v", err)
	}
}

// TestRequestsOfSecrets counts what the common calls cost.
func TestRequestsOfSecrets(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	var requests atomic.Int64
	s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t), Layout: LayoutSecret}})
	apply(t, s, set("a", "0"))
	wantKeys(t, s, "a")
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		requests.Add(1)
		vault.ServeHTTP(w, r)
	})
	for _, tt := range []struct {
		what string
		do   func()
		want int64
	}{
		{"a list", func() { wantKeys(t, s, "a") }, 2},
		{"a value", func() {
			if _, err := secret.Get(t.Context(), s, org, "a"); err != nil {
				t.Error(err)
			}
		}, 2},
		{"a set", func() { apply(t, s, set("a", "1")) }, 1},
		{"a set of what is not known", func() { apply(t, s, set("b", "1")) }, 2},
		{"a deletion", func() { apply(t, s, secret.Change{Delete: []string{"b"}}) }, 8},
	} {
		before := requests.Load()
		tt.do()
		if got := requests.Load() - before; got != tt.want {
			t.Errorf("%s: %d requests, want %d", tt.what, got, tt.want)
		}
	}
}

// TestSetsTogether has single sets that wait together: they go out at once, each with an outcome of its own, and of the
// same name the last one is there in the end.
func TestSetsTogether(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t), Layout: LayoutSecret}})
	hold, release := holdWrites(t, f)
	var wg sync.WaitGroup
	wg.Go(func() { apply(t, s, set("first", "1")) })
	<-hold
	for i, c := range []secret.Change{
		set("a", "1"), set("b", "1"), set("same", "1"), set("same", "2"), set("same", "3", "with", "3"),
		{Delete: []string{"b"}},
	} {
		wg.Go(func() { apply(t, s, c) })
		waitFor(t, func() bool { return s.layout(org).Waiting(org) == i+1 })
	}
	release()
	wg.Wait()
	wantKeys(t, s, "a", "first", "same", "with")
	if got, err := secret.Get(t.Context(), s, org, "same"); err != nil || string(got.Bytes()) != "3" {
		t.Errorf("same is %q, %v", got.Bytes(), err)
	}
}

// TestLargeChangeInTime has a change that is committed in its caller's time and takes longer to be carried out: he is
// told in time that it is made, and so it is, for everybody.
func TestLargeChangeInTime(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	p := Place{Mount: v.MountKV(t), Layout: LayoutSecret}
	s, _ := open(t, v, Config{Address: f.URL, Place: p, ClientTimeout: new(4 * time.Second), MaxRetries: new(0)})
	other, _ := open(t, v, Config{Place: p})
	held := make(chan struct{})
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if isWrite(r) && strings.Contains(r.URL.Path, "/key-0") {
			select {
			case <-held:
			case <-r.Context().Done():
				return
			}
		}
		vault.ServeHTTP(w, r)
	})
	apply(t, s, secret.Change{Set: values(50)})
	close(held)
	for _, store := range []*Store{s, other} {
		if keys, err := store.Keys(t.Context(), org); err != nil || len(keys) != 50 {
			t.Errorf("%d keys, %v", len(keys), err)
		}
		if got, err := secret.Get(t.Context(), store, org, "key-049"); err != nil || got.Len() == 0 {
			t.Errorf("Get: %v", err)
		}
	}
	waitFor(t, func() bool {
		status, _ := v.Do(t, "GET", p.Mount+"/data/"+org.String()+"/key-049", nil)
		return status == http.StatusOK
	})
}
