package vault

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestSweptAndSetAnew has a secret set anew that has just been removed for good, where the answer to the removal is
// lost: it is not removed once more.
func TestSweptAndSetAnew(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	p := Place{Mount: v.MountKV(t), Layout: LayoutSecret}
	s, _ := open(t, v, Config{Address: f.URL, Place: p})
	other, _ := open(t, v, Config{Place: p})
	apply(t, s, set("a", "old"))
	apply(t, s, secret.Change{Delete: []string{"a"}})
	var lost atomic.Bool
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if r.Method != http.MethodDelete || !strings.HasSuffix(r.URL.Path, "/a") || lost.Swap(true) {
			vault.ServeHTTP(w, r)
			return
		}
		vault.ServeHTTP(httptest.NewRecorder(), r)
		if _, err := other.Apply(r.Context(), org, set("a", "anew")); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	})
	if err := s.secret.Sweep(t.Context(), org, time.Now().Add(8*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, err := secret.Get(t.Context(), other, org, "a"); err != nil || string(got.Bytes()) != "anew" {
		t.Errorf("what was set anew is %q, %v", got.Bytes(), err)
	}
}

// TestSweepInTime has more to be removed than an operation has time for: what it has not come to is left to the next
// sweep, and the organisation's other changes do not wait for it.
func TestSweepInTime(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	p := Place{Mount: v.MountKV(t), Layout: LayoutSecret}
	s, _ := open(t, v, Config{Address: f.URL, Place: p, ClientTimeout: new(4 * time.Second)})
	other, _ := open(t, v, Config{Place: p})
	c := secret.Change{Set: values(250)}
	apply(t, other, c)
	for key := range c.Set {
		c.Delete = append(c.Delete, key)
	}
	c.Set = nil
	apply(t, other, c)
	apply(t, other, set("more", "1"))
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if strings.Contains(r.URL.Path, "/metadata/") && strings.Contains(r.URL.Path, "/key-") {
			time.Sleep(300 * time.Millisecond)
		}
		vault.ServeHTTP(w, r)
	})
	if err := s.secret.Sweep(t.Context(), org, time.Now().Add(8*24*time.Hour)); err != nil {
		t.Errorf("a sweep that is not done: %v", err)
	}
	apply(t, other, secret.Change{Delete: []string{"more"}})
	left, err := other.Deleted(t.Context(), org, secret.Page{})
	if err != nil || len(left) == 0 || len(left) > 250 {
		t.Errorf("%d are left, %v; want some of 251", len(left), err)
	}
}

// TestDeletedTwice has a server that stands still in a deletion, which another one finishes. When it goes on, what has
// been brought back since stays.
func TestDeletedTwice(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	p := Place{Mount: v.MountKV(t), Layout: LayoutSecret}
	s, _ := open(t, v, Config{Address: f.URL, Place: p})
	other, _ := open(t, v, Config{Place: p})
	apply(t, s, set("a", "1"))
	held, release := make(chan struct{}), make(chan struct{})
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if isWrite(r) && strings.Contains(r.URL.Path, "/delete/") {
			close(held)
			<-release
			vault.ServeHTTP(httptest.NewRecorder(), r.Clone(context.WithoutCancel(r.Context())))
			panic(http.ErrAbortHandler)
		}
		vault.ServeHTTP(w, r)
	})
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = s.Apply(t.Context(), org, secret.Change{Delete: []string{"a"}}) })
	<-held
	f.set(nil)
	wantKeys(t, other)
	_, err := other.Restore(t.Context(), org, "a", 0, "ann")
	close(release)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	wantKeys(t, other, "a")
	if got, err := secret.Get(t.Context(), other, org, "a"); err != nil || string(got.Bytes()) != "1" {
		t.Errorf("what was brought back is %q, %v", got.Bytes(), err)
	}
}

// TestReadsInOrder has a value read while a change that others have seen is being carried out: the reader
// never gets what was before.
func TestReadsInOrder(t *testing.T) {
	v := vaulttest.Shared(t)
	writes, reads := newFront(t, v), newFront(t, v)
	p := Place{Mount: v.MountKV(t), Layout: LayoutSecret}
	writer, _ := open(t, v, Config{Address: writes.URL, Place: p})
	reader, _ := open(t, v, Config{Address: reads.URL, Place: p})
	apply(t, writer, set("a", "old", "b", "old"))
	if _, err := secret.Get(t.Context(), reader, org, "a"); err != nil {
		t.Fatal(err)
	}
	committed, carryOut := make(chan struct{}, 2), make(chan struct{})
	writes.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if isWrite(r) && (strings.HasSuffix(r.URL.Path, "/a") || strings.HasSuffix(r.URL.Path, "/b")) {
			committed <- struct{}{}
			<-carryOut
		}
		vault.ServeHTTP(w, r)
	})
	var wg sync.WaitGroup
	wg.Go(func() { apply(t, writer, set("a", "new", "b", "new")) })
	<-committed
	read, done := make(chan struct{}), make(chan struct{})
	var once sync.Once
	reads.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/state") {
			<-done
		}
		vault.ServeHTTP(w, r)
		if strings.HasSuffix(r.URL.Path, "/a") {
			once.Do(func() { close(read) })
		}
	})
	wg.Go(func() {
		if got, err := secret.Get(t.Context(), reader, org, "a"); err != nil || string(got.Bytes()) != "new" {
			t.Errorf("read after the commit: %q, %v", got.Bytes(), err)
		}
	})
	select { // a reader may ask for the entry only when it knows what is under way
	case <-read:
	case <-time.After(time.Second):
	}
	close(carryOut)
	waitFor(t, func() bool {
		return string(v.Read(t, p.Mount, org.String()+"/b").Data["value"]) == `"new"` &&
			string(v.Read(t, p.Mount, org.String()+"/a").Data["value"]) == `"new"` &&
			!strings.Contains(string(v.Read(t, p.Mount, org.String()+"/%25strongroom/state").Data["state"]), "pending")
	})
	close(done)
	wg.Wait()
}

// TestSweptByAnother has what a server deleted, and a journal that it left behind, when it has ended: another one that
// comes to know of the organisation removes both in their time.
func TestSweptByAnother(t *testing.T) {
	v := vaulttest.Shared(t)
	p := Place{Mount: v.MountKV(t), Layout: LayoutSecret}
	s, _ := open(t, v, Config{Place: p})
	apply(t, s, set("a", "1", "b", "1"))
	apply(t, s, secret.Change{Delete: []string{"a"}})
	s.Close()
	const part = "/%25strongroom/journal/X-0"
	v.Write(t, p.Mount, org.String()+part, `{"steps":[]}`)
	other, _ := open(t, v, Config{Place: p})
	other.secret.SweepKnown(t.Context(), time.Now().Add(8*24*time.Hour)) // it knows of none yet
	wantKeys(t, other, "b")
	for _, tt := range []struct {
		after time.Duration
		want  map[string]int
	}{
		{2 * time.Minute, map[string]int{"/a": http.StatusOK, part: http.StatusOK}},
		{15 * time.Minute, map[string]int{"/a": http.StatusOK, part: http.StatusNotFound}},
		{8 * 24 * time.Hour, map[string]int{"/a": http.StatusNotFound, "/b": http.StatusOK}},
	} {
		other.secret.SweepKnown(t.Context(), time.Now().Add(tt.after))
		for path, want := range tt.want {
			if status, _ := v.Do(t, "GET", p.Mount+"/metadata/"+org.String()+path, nil); status != want {
				t.Errorf("after %s, %s: %d, want %d", tt.after, path, status, want)
			}
		}
	}
}

// TestFinishedOnce has many reads meet a change that is not finished: it is finished once, and changes do not queue
// behind as many looks whether it is.
func TestFinishedOnce(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	p := Place{Mount: v.MountKV(t), Layout: LayoutSecret}
	writer, _ := open(t, v, Config{Address: f.URL, Place: p})
	reader, _ := open(t, v, Config{Address: f.URL, Place: p})
	committed, carryOut := make(chan struct{}, 100), make(chan struct{})
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if isWrite(r) && (strings.HasSuffix(r.URL.Path, "/a") || strings.HasSuffix(r.URL.Path, "/b")) {
			committed <- struct{}{}
			<-carryOut
		}
		vault.ServeHTTP(w, r)
	})
	var wg sync.WaitGroup
	wg.Go(func() { apply(t, writer, set("a", "1", "b", "1")) })
	<-committed
	for range 50 {
		if got, err := secret.Get(t.Context(), reader, org, "a"); err != nil || string(got.Bytes()) != "1" {
			t.Errorf("%q, %v", got.Bytes(), err)
		}
	}
	if n := reader.layout(org).Waiting(org); n > 1 {
		t.Errorf("%d wait to finish one change", n)
	}
	close(carryOut)
	wg.Wait()
	wantKeys(t, reader, "a", "b")
}

// TestListsTogether has many ask for a list while Vault does not answer: they get one that was begun after they asked,
// and so shows what somebody had set by then, for a few requests altogether.
func TestListsTogether(t *testing.T) {
	v := vaulttest.Shared(t)
	eachLayout(t, func(t *testing.T, l kv2.Layout) {
		f := newFront(t, v)
		p := Place{Mount: v.MountKV(t), Layout: l}
		s, _ := open(t, v, Config{Address: f.URL, Place: p})
		other, _ := open(t, v, Config{Place: p})
		apply(t, s, set("a", "1"))
		wantKeys(t, s, "a")
		var requests atomic.Int64
		held := make(chan struct{})
		f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
			requests.Add(1)
			<-held
			vault.ServeHTTP(w, r)
		})
		release := sync.OnceFunc(func() { close(held) })
		defer release()
		var wg sync.WaitGroup
		ask := func(n int, want ...string) {
			asking := make(chan struct{}, n)
			for range n {
				wg.Go(func() {
					asking <- struct{}{}
					if keys, err := s.Keys(t.Context(), org); err != nil || !slices.Equal(keys, want) && want != nil {
						t.Errorf("Keys: %v, %v; want %v", keys, err, want)
					}
				})
			}
			for range n {
				<-asking
			}
		}
		ask(50)
		waitFor(t, func() bool { return requests.Load() >= 2 })
		apply(t, other, set("b", "1"))
		ask(50, "a", "b")
		release()
		wg.Wait()
		if got := requests.Load(); got > 50 {
			t.Errorf("%d requests for 100 lists", got)
		}
	})
}
