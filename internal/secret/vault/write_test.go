package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/perorg"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestTooLarge has a Vault whose storage takes entries of 64 KiB, as integrated storage takes them of 1 MiB. What does
// not fit is refused alone, though it waited together with what does.
func TestTooLarge(t *testing.T) {
	v := vaulttest.Start(t, vaulttest.WithValueLimit(64<<10))
	f := newFront(t, v)
	s, _ := open(t, v, Config{Address: f.URL, MaxRetries: new(0)})
	big := set("big", strings.Repeat("x", 100<<10))
	for range 2 {
		_, err := s.Apply(t.Context(), org, big)
		if !errs.Is(err, errs.RequestTooLarge) || !strings.Contains(errs.Message(err), "max_entry_size") {
			t.Fatalf("Apply of a large change: %v (%s)", err, errs.CodeOf(err))
		}
	}
	hold, release := holdWrites(t, f)
	var wg sync.WaitGroup
	wg.Go(func() { apply(t, s, set("first", "1")) })
	<-hold
	for i := range 7 {
		wg.Go(func() {
			c := set(fmt.Sprint("small-", i), "1")
			if i == 3 {
				c = big
			}
			if _, err := s.Apply(t.Context(), org, c); errs.Is(err, errs.RequestTooLarge) != (i == 3) {
				t.Errorf("change %d: %v", i, err)
			}
		})
	}
	waitFor(t, func() bool { return s.layout(org).Waiting(org) == 7 })
	release()
	wg.Wait()
	wantKeys(t, s, "first", "small-0", "small-1", "small-2", "small-4", "small-5", "small-6")
}

// holdWrites keeps the next write in the front until release is called. hold is closed when it is there.
func holdWrites(t *testing.T, f *front) (hold chan struct{}, release func()) {
	hold = make(chan struct{})
	released := make(chan struct{})
	var first sync.Once
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if isWrite(r) {
			first.Do(func() { close(hold) })
			<-released
		}
		vault.ServeHTTP(w, r)
	})
	release = sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	return hold, release
}

// TestRequestTooLarge is beyond what Vault takes in one request.
func TestRequestTooLarge(t *testing.T) {
	v := vaulttest.Shared(t)
	s, _ := open(t, v, Config{Place: Place{Mount: v.MountKV(t)}})
	_, err := s.Apply(t.Context(), org, set("a", strings.Repeat("x", 33<<20)))
	if !errs.Is(err, errs.RequestTooLarge) || !strings.Contains(errs.Message(err), "max_request_size") {
		t.Errorf("Apply: %v (%s)", err, errs.CodeOf(err))
	}
}

// TestNewerLimits has the words of Vault's releases after 1.14, read from the source of their listener.
func TestNewerLimits(t *testing.T) {
	v := vaulttest.Shared(t)
	for words, want := range map[string]string{
		"failed to parse JSON input: JSON string value exceeds allowed length":           "max_json_string_value_length",
		"failed to parse JSON input: JSON object exceeds allowed number of entries":      "max_json_object_entry_count",
		"put failed due to value being too large; got 1100000 bytes, max: 1048576 bytes": "max_entry_size",
		"error during raft operation: etcdserver: request is too large":                  "max_entry_size",
		"http: request body too large":                                                   "max_request_size",
	} {
		f := newFront(t, v)
		s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t)}, MaxRetries: new(0)})
		f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
			if !isWrite(r) {
				vault.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"errors":[%q]}`, words)
		})
		if _, err := s.Apply(t.Context(), org, set("a", "1")); !errs.Is(err, errs.RequestTooLarge) ||
			!strings.Contains(errs.Message(err), want) {
			t.Errorf("%s: %v (%s), want %s", words, err, errs.CodeOf(err), want)
		}
	}
}

// TestNeverTheSame has another writer who is always faster.
func TestNeverTheSame(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	mount := v.MountKV(t)
	s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: mount}})
	var written atomic.Int64
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if isWrite(r) {
			v.Write(t, mount, org.String(), fmt.Sprintf(`{"other":"%d"}`, written.Add(1)))
		}
		vault.ServeHTTP(w, r)
	})
	if _, err := s.Apply(t.Context(), org, set("a", "1")); !errs.Is(err, errs.Conflict) {
		t.Errorf("Apply: %v (%s), want a conflict", err, errs.CodeOf(err))
	}
	if got := written.Load(); got != perorg.MaxTries {
		t.Errorf("%d tries, want %d", got, perorg.MaxTries)
	}
	wantKeys(t, s, "other")
}

// TestLeaving has callers who leave while their changes wait: those are not made. The one that was sent is.
func TestLeaving(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t)}})
	hold, release := holdWrites(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	leaving := func(key string) {
		wg.Go(func() {
			if _, err := s.Apply(ctx, org, set(key, "1")); !errors.Is(err, context.Canceled) {
				t.Errorf("Apply(%s): %v, want %v", key, err, context.Canceled)
			}
		})
	}
	leaving("sent")
	<-hold
	leaving("waiting-1")
	leaving("waiting-2")
	wg.Go(func() { apply(t, s, set("stays", "1")) })
	waitFor(t, func() bool { return s.layout(org).Waiting(org) == 3 })
	cancel()
	release()
	wg.Wait()
	wantKeys(t, s, "sent", "stays")
}

// TestReadEndsWithItsCallers has a caller who leaves while the entry is being read for him: the next does not wait for
// an answer that nobody wants.
func TestReadEndsWithItsCallers(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t)}, ClientTimeout: new(time.Hour)})
	reading := make(chan struct{})
	var first atomic.Bool
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if first.CompareAndSwap(false, true) {
			close(reading)
			<-r.Context().Done()
			return
		}
		vault.ServeHTTP(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reading
		cancel()
	}()
	if _, err := s.Apply(ctx, org, set("a", "1")); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply: %v", err)
	}
	apply(t, s, set("b", "1"))
	wantKeys(t, s, "b")
}

// TestFewWrites has 64 callers at once, who need few writes, and a purge among them, which keeps its place.
func TestFewWrites(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	mount := v.MountKV(t)
	s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: mount}})
	hold, release := holdWrites(t, f)
	var wg sync.WaitGroup
	wg.Go(func() { apply(t, s, set("first", "1")) })
	<-hold
	for i := range 63 {
		wg.Go(func() { apply(t, s, set(fmt.Sprintf("key-%02d", i), "1")) })
	}
	waitFor(t, func() bool { return s.layout(org).Waiting(org) == 63 })
	release()
	wg.Wait()
	if got := v.Read(t, mount, org.String()); len(got.Data) != 64 || got.Metadata.Version != 2 {
		t.Errorf("%d keys in version %d, want 64 in version 2", len(got.Data), got.Metadata.Version)
	}

	hold, release = holdWrites(t, f)
	wg.Go(func() { apply(t, s, set("second", "1")) })
	<-hold
	for i, c := range []*secret.Change{{Set: set("before", "1").Set}, nil, {Set: set("after", "1").Set}} {
		wg.Go(func() {
			var err error
			if c == nil {
				err = s.Purge(t.Context(), org)
			} else {
				_, err = s.Apply(t.Context(), org, *c)
			}
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
		waitFor(t, func() bool { return s.layout(org).Waiting(org) == i+1 })
	}
	release()
	wg.Wait()
	wantKeys(t, s, "after")
}
