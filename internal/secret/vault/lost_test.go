package vault

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// TestDoneOnce loses the answers to what has no check-and-set. It is done once, also where the client would send it
// again: it is seen to be so, or another has done otherwise since, which stays.
func TestDoneOnce(t *testing.T) {
	v := vaulttest.Shared(t)
	for _, other := range []bool{false, true} {
		t.Run(fmt.Sprint("another ", other), func(t *testing.T) {
			f := newFront(t, v)
			p := Place{Mount: v.MountKV(t), Layout: kv2.LayoutSecret}
			s, _ := open(t, v, Config{Address: f.URL, Place: p})
			apply(t, s, set("k", "1"))
			apply(t, s, set("k", "2"))
			entry := org.String() + "/k"
			for name, tt := range map[string]struct {
				do   func() error
				undo func()
				kept func() bool // what another has done
			}{
				"description": {
					func() error { return s.Describe(t.Context(), org, "k", secret.Description{Text: "ours"}) },
					func() {
						theirs := map[string]any{"custom_metadata": map[string]string{"strongroom_description": "theirs"}}
						v.Do(t, "PUT", p.Mount+"/metadata/"+entry, theirs)
					},
					func() bool {
						i, err := s.Info(t.Context(), org, "k")
						return err == nil && i.Description.Text == "theirs"
					},
				},
				"deletion of a version": {
					func() error {
						return errOf(s.Mark(t.Context(), org, "k", marking(secret.DeleteVersion, 1)))
					},
					func() { v.Do(t, "PUT", p.Mount+"/undelete/"+entry, map[string]any{"versions": []int{1}}) },
					func() bool { _, err := s.ReadVersion(t.Context(), org, "k", 1); return err == nil },
				},
			} {
				var lost atomic.Bool
				f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
					if !isWrite(r) || !lost.CompareAndSwap(false, true) {
						vault.ServeHTTP(w, r)
						return
					}
					vault.ServeHTTP(httptest.NewRecorder(), r.Clone(context.WithoutCancel(r.Context())))
					if other {
						tt.undo()
					}
					panic(http.ErrAbortHandler)
				})
				err := tt.do()
				switch {
				case !other && err != nil:
					t.Errorf("%s: %v", name, err)
				case other && (!errs.Is(err, errs.Unavailable) || !tt.kept()):
					t.Errorf("%s: %v, and what another did since stays: %v", name, err, tt.kept())
				}
			}
		})
	}
}

// TestBegunTooLate has a change whose time is over while its write is under way, after it has waited for one before
// it: its caller hears that it may have been made.
func TestBegunTooLate(t *testing.T) { eachLayout(t, begunTooLate) }

func begunTooLate(t *testing.T, l kv2.Layout) {
	t.Parallel()
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	p := Place{Mount: v.MountKV(t), Layout: l}
	s, _ := open(t, v, Config{Address: f.URL, Place: p, ClientTimeout: new(3 * time.Second)})
	apply(t, s, set("first", "0", "second", "0"))
	var writes atomic.Int64
	begun, over := make(chan struct{}), make(chan struct{})
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if !isWrite(r) || strings.Contains(r.URL.Path, "%strongroom") {
			vault.ServeHTTP(w, r)
			return
		}
		switch writes.Add(1) {
		case 1:
			close(begun)
			time.Sleep(1500 * time.Millisecond)
			vault.ServeHTTP(w, r)
		case 2: // it arrives, and is not answered in time
			vault.ServeHTTP(httptest.NewRecorder(), r.Clone(context.WithoutCancel(r.Context())))
			<-over
			panic(http.ErrAbortHandler)
		default:
			vault.ServeHTTP(w, r)
		}
	})
	var wg sync.WaitGroup
	wg.Go(func() { apply(t, s, set("first", "1")) })
	<-begun
	_, err := s.Apply(t.Context(), org, set("second", "1"))
	close(over)
	wg.Wait()
	wantUnavailable(t, "Apply", err, "the change may have been made", v)
	if got, err := secret.Get(t.Context(), s, org, "second"); err != nil || string(got.Bytes()) != "1" {
		t.Errorf("it was made: %q, %v", got.Bytes(), err)
	}
}

// TestMarkedInPart has Vault refuse the second or the first of two versions. It is told whether the other one may be
// gone.
func TestMarkedInPart(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t), Layout: kv2.LayoutSecret}})
	for _, value := range []string{"1", "2", "3"} {
		apply(t, s, set("k", value))
	}
	for _, tt := range []struct {
		versions []int
		part     bool
	}{{[]int{2, 1}, false}, {[]int{1, 2}, true}} {
		f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
			if strings.Contains(r.URL.Path, "/destroy/") {
				b, err := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(b))
				if err != nil || bytes.Contains(b, []byte("2")) {
					http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
					return
				}
			}
			vault.ServeHTTP(w, r)
		})
		err := errOf(s.Mark(t.Context(), org, "k", marking(secret.DestroyVersion, tt.versions...)))
		if !errs.Is(err, errs.Unavailable) || strings.Contains(errs.Message(err), "changed already") != tt.part {
			t.Errorf("%v: %v", tt.versions, err)
		}
		if _, err := s.ReadVersion(t.Context(), org, "k", 1); (err != nil) != tt.part {
			t.Errorf("after %v, the first version: %v", tt.versions, err)
		}
	}
}
