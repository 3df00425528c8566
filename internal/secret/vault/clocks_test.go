package vault

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestSweptTooEarly has a server that stands still before it commits a change, whose journal another one takes for one
// that was left behind: the commit is refused, and the change made anew.
func TestSweptTooEarly(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	p := Place{Mount: v.MountKV(t), Layout: LayoutSecret}
	s, _ := open(t, v, Config{Address: f.URL, Place: p})
	other, _ := open(t, v, Config{Place: p})
	apply(t, s, set("a", "1", "b", "1"))
	held, release := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	var commits []int
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if !isWrite(r) || !strings.HasSuffix(r.URL.Path, "/state") {
			vault.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		first := commits == nil
		mu.Unlock()
		if first {
			close(held)
			<-release
		}
		answer := httptest.NewRecorder()
		vault.ServeHTTP(answer, r)
		mu.Lock()
		commits = append(commits, answer.Code)
		mu.Unlock()
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
	var wg sync.WaitGroup
	wg.Go(func() { apply(t, s, secret.Change{Set: set("b", "2", "c", "2").Set, Delete: []string{"a"}}) })
	<-held
	err := other.secret.Sweep(t.Context(), org, time.Now().Add(2*time.Hour))
	close(release)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if len(commits) < 2 || commits[0] != http.StatusBadRequest || commits[1] != http.StatusOK {
		t.Errorf("the commits were answered %v; the first was of a journal that is gone", commits)
	}
	wantKeys(t, other, "b", "c")
	if status, answer := v.Do(t, "LIST", p.Mount+"/metadata/"+org.String()+"/%25strongroom/journal",
		nil); status != http.StatusNotFound {
		t.Errorf("journals are left: %d, %s", status, answer)
	}
}

// TestClocksApart has more secrets deleted than are kept, by a server whose clock is slow by hours: they stay for ten
// minutes of Vault's clock all the same, since a set that knows of no deletion may be on its way.
func TestClocksApart(t *testing.T) {
	v := vaulttest.Shared(t)
	p := Place{Mount: v.MountKV(t), Layout: LayoutSecret}
	s, _ := open(t, v, Config{Place: p})
	c := secret.Change{Set: values(260)}
	apply(t, s, c)
	c.Delete = slices.Sorted(maps.Keys(c.Set))
	c.Set = nil
	apply(t, s, c)
	state := org.String() + "/%25strongroom/state"
	var entry struct {
		Format json.RawMessage `json:"format"`
		State  map[string]any  `json:"state"`
	}
	for name, raw := range v.Read(t, p.Mount, state).Data {
		if name == "format" {
			entry.Format = raw
		} else if err := json.Unmarshal(raw, &entry.State); err != nil {
			t.Fatal(err)
		}
	}
	deleted := entry.State["deleted"].([]any)
	if len(deleted) != 260 {
		t.Fatalf("%d names are deleted", len(deleted))
	}
	for _, d := range deleted {
		d := d.(map[string]any)
		d["at"] = int64(d["at"].(float64)) - 3*3600
	}
	slow, err := json.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	v.Write(t, p.Mount, state, string(slow))
	for _, tt := range []struct {
		after time.Duration
		want  int
	}{{0, 260}, {9 * time.Minute, 260}, {11 * time.Minute, 256}} {
		if err := s.secret.Sweep(t.Context(), org, time.Now().Add(tt.after)); err != nil {
			t.Fatal(err)
		}
		if left, err := s.Deleted(t.Context(), org, secret.Page{}); err != nil || len(left) != tt.want {
			t.Errorf("after %v %d are left, %v; want %d", tt.after, len(left), err, tt.want)
		}
	}
}

// TestVaultAhead has a Vault whose clock is fast by an hour: what was deleted there is deleted, though by the server's
// own clock that is still to come.
func TestVaultAhead(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	p := Place{Mount: v.MountKV(t), Layout: LayoutSecret}
	s, _ := open(t, v, Config{Address: f.URL, Place: p})
	apply(t, s, set("a", "1", "b", "1"))
	deletion := regexp.MustCompile(`"deletion_time":"[^"]+"`)
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		answer := httptest.NewRecorder()
		vault.ServeHTTP(answer, r)
		fast := time.Now().Add(time.Hour).UTC()
		w.Header().Set("Date", fast.Format(http.TimeFormat))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(deletion.ReplaceAll(answer.Body.Bytes(),
			[]byte(`"deletion_time":"`+fast.Format(time.RFC3339Nano)+`"`)))
	})
	apply(t, s, secret.Change{Delete: []string{"a"}})
	wantKeys(t, s, "b")
	if deleted, err := s.Deleted(t.Context(), org, secret.Page{}); err != nil || len(deleted) != 1 || deleted[0].Key != "a" {
		t.Errorf("deleted are %v, %v", deleted, err)
	}
}
