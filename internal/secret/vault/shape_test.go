package vault

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/vaulttest"
)

// full is a policy for every call that the store knows.
func full(mount string) string {
	return vaulttest.PolicyOf(mount, "create", "read", "update", "delete", "patch") + `
path "` + mount + `/metadata/*" { capabilities = ["read", "delete"] }
path "` + mount + `/subkeys/*" { capabilities = ["read"] }`
}

// recorded is a front that notes the requests for entries.
func recorded(t *testing.T, v *vaulttest.Server) (f *front, calls func() string) {
	t.Helper()
	f = newFront(t, v)
	var mu sync.Mutex
	var all []string
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		for _, kind := range []string{"data", "subkeys", "metadata"} {
			if strings.HasSuffix(r.URL.Path, "/"+kind+"/"+org.String()) {
				mu.Lock()
				all = append(all, r.Method+" "+kind)
				mu.Unlock()
			}
		}
		vault.ServeHTTP(w, r)
	})
	return f, func() string {
		mu.Lock()
		defer mu.Unlock()
		got := strings.Join(all, ", ")
		all = nil
		return got
	}
}

func wantCalls(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: requests %q, want %q", what, got, want)
	}
}

func TestWithoutReading(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	for look, policy := range map[string]string{
		"metadata": full(mount),
		"subkeys":  strings.ReplaceAll(full(mount), `["read", "delete"]`, `["delete"]`),
	} {
		t.Run(look, func(t *testing.T) {
			defer v.Do(t, "DELETE", mount+"/metadata/"+org.String(), nil)
			f, calls := recorded(t, v)
			s, log := open(t, v, Config{Address: f.URL, Place: Place{Mount: mount},
				Token: v.Token(t, policy, time.Hour)})
			calls()
			look := "GET " + look
			patched := look // what a list asks for after a patch of ours
			if look == "GET subkeys" {
				patched = "GET data"
			}
			foreign := `{"theirs":"x","n":12345678901234567890123,"o":{"a":"b"},"l":["x"],"t":true,"z":null}`
			v.Write(t, mount, org.String(), foreign)

			wantKeys(t, s, "theirs")
			wantCalls(t, "the first list", calls(), "GET data")
			wantKeys(t, s, "theirs")
			if look == "GET subkeys" {
				wantCalls(t, "the second list", calls(), "GET metadata, GET subkeys") // and the former not again
			} else {
				wantCalls(t, "the second list", calls(), look)
			}
			apply(t, s, set("ours", "1"))
			wantCalls(t, "a change", calls(), "PATCH data")
			wantKeys(t, s, "ours", "theirs")
			wantCalls(t, "a list after a change of ours", calls(), patched)
			if _, err := s.Apply(t.Context(), org, set("n", "ours now")); !errs.Is(err,
				errs.Unprocessable) {
				t.Errorf("a foreign key is set: %v", err)
			}
			wantCalls(t, "a foreign key that is set", calls(), "GET data")
			apply(t, s, secret.Change{Delete: []string{"ours", "o"}})
			wantKeys(t, s, "theirs")
			wantCalls(t, "a deletion", calls(), "GET data, PUT data, "+look)
			if got := v.Read(t, mount, org.String()); string(got.Data["o"]) != `{"a":"b"}` ||
				string(got.Data["z"]) != "null" || len(got.Data) != 6 {
				t.Errorf("the entry holds %s", got.Data)
			}

			// Others write: what was learned does not hold.
			v.Write(t, mount, org.String(), `{"theirs":12,"new":"x"}`)
			wantKeys(t, s, "new")
			wantCalls(t, "after another's write", calls(), look+", GET data")
			v.Write(t, mount, org.String(), `{"theirs":12,"new":13}`)
			apply(t, s, set("a", "1"))
			wantCalls(t, "a change after another's write", calls(), "PATCH data, GET data, PUT data")
			wantKeys(t, s, "a")

			// The entry goes, and comes again with the same version.
			for range 2 {
				v.Do(t, "DELETE", mount+"/metadata/"+org.String(), nil)
				wantKeys(t, s)
				apply(t, s, set("a", "1"))
				wantKeys(t, s, "a")
			}
			v.Do(t, "DELETE", mount+"/metadata/"+org.String(), nil)
			v.Write(t, mount, org.String(), `{"a":1}`)
			wantKeys(t, s)

			// The same, and is patched before it is looked at.
			v.Write(t, mount, org.String(), `{"a":"1"}`)
			wantKeys(t, s, "a")
			v.Do(t, "DELETE", mount+"/metadata/"+org.String(), nil)
			v.Write(t, mount, org.String(), `{"b":1}`)
			v.Write(t, mount, org.String(), `{"b":"1","a":1}`)
			apply(t, s, set("c", "1"))
			apply(t, s, set("d", "1"))
			wantKeys(t, s, "b", "c", "d")
			wantKeys(t, s, "b", "c", "d")

			// The latest version is deleted, and comes back: a version that says no more than
			// before, and holds other keys.
			v.Write(t, mount, org.String(), `{"b":"1","theirs":{"x":1}}`)
			wantKeys(t, s, "b")
			undelete := map[string]any{"versions": []int{v.Read(t, mount, org.String()).Metadata.Version}}
			for range 2 {
				v.Do(t, "DELETE", mount+"/data/"+org.String(), nil)
				wantKeys(t, s)
				wantKeys(t, s)
				v.Do(t, "POST", mount+"/undelete/"+org.String(), undelete)
				wantKeys(t, s, "b")
				wantKeys(t, s, "b")
			}
			v.Do(t, "DELETE", mount+"/data/"+org.String(), nil)
			wantKeys(t, s)
			apply(t, s, set("c", "1"))
			wantKeys(t, s, "c")
			if strings.Contains(log.String(), "does not serve") {
				t.Errorf("the log speaks of failures:\n%s", log)
			}
		})
	}
}

// Each of the calls that a policy does not allow is tried once.
func TestAlwaysReading(t *testing.T) {
	v := vaulttest.Shared(t)
	f, calls := recorded(t, v)
	mount := v.MountKV(t)
	s, log := open(t, v, Config{Address: f.URL, Place: Place{Mount: mount}, Token: v.Token(t, vaulttest.Policy(mount),
		time.Hour)})
	calls()
	apply(t, s, set("a", "1"))
	for range 3 {
		wantKeys(t, s, "a")
	}
	wantCalls(t, "lists", calls(), "GET data, PUT data, GET metadata, GET subkeys, GET data, GET data, GET data")
	for _, value := range []string{"2", "3", "4"} {
		apply(t, s, set("a", value))
	}
	wantCalls(t, "changes", calls(), "PATCH data, GET data, PUT data, GET data, PUT data, GET data, PUT data")
	if strings.Contains(log.String(), "does not serve") {
		t.Errorf("the log speaks of failures:\n%s", log)
	}
}

// Patches of one organisation by two servers, and a third writer: nothing is lost.
func TestPatchesMeet(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	a, _ := open(t, v, Config{Place: Place{Mount: mount}})
	b, _ := open(t, v, Config{Place: Place{Mount: mount}})
	var wg sync.WaitGroup
	var want []string
	for i, s := range []*Store{a, b} {
		for _, key := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
			key = string(rune('0'+i)) + key
			want = append(want, key)
			wg.Go(func() { apply(t, s, set(key, "1")) })
		}
	}
	wg.Wait()
	slices.Sort(want)
	wantKeys(t, a, want...)
	wantKeys(t, b, want...)
}
