package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

func TestMissingCapability(t *testing.T) {
	v := vaulttest.Shared(t)
	for _, tt := range []struct {
		lacks string
		has   []string
		// fails tells whether the call must, by its name.
		fails func(call string) bool
		log   string
	}{
		{"read", []string{"create", "update", "delete"}, func(c string) bool { return c != "Purge" }, `\"read\" on`},
		{"update", []string{"create", "read", "delete"}, func(c string) bool { return c == "Apply" }, `\"update\" on`},
		{"everything", []string{"deny"}, func(c string) bool { return c != "Purge" }, `\"read\" on`},
	} {
		t.Run(tt.lacks, func(t *testing.T) {
			mount := v.MountKV(t)
			v.Write(t, mount, org.String(), `{"a":"old"}`)
			metadata := fmt.Sprintf("\npath %q { capabilities = [\"delete\"] }", mount+"/metadata/*")
			s, log := open(t, v, Config{Place: Place{Mount: mount},
				Token: v.Token(t, vaulttest.PolicyOf(mount, tt.has...)+metadata, time.Hour)})
			log.want(t, "may not suffice", "lacks=", mount+"/data/*")
			for call, err := range everyCall(t.Context(), s) {
				if tt.fails(call) {
					wantUnavailable(t, call, err, "refused the server's token (permission denied)", v)
				} else if err != nil {
					t.Errorf("%s: %v", call, err)
				}
			}
			log.want(t, "the token's policies lack the capability", tt.log, mount+"/data/"+org.String())
		})
	}
	t.Run("create", func(t *testing.T) {
		mount := v.MountKV(t)
		s, log := open(t, v, Config{Place: Place{Mount: mount},
			Token: v.Token(t, vaulttest.PolicyOf(mount, "read", "update"), time.Hour)})
		wantUnavailable(t, "Apply", errOf(s.Apply(t.Context(), org, set("a", "1"))), "permission denied", v)
		log.want(t, `\"create\" on`)
	})
	t.Run("delete of metadata", func(t *testing.T) {
		mount := v.MountKV(t)
		s, log := open(t, v, Config{Place: Place{Mount: mount},
			Token: v.Token(t, vaulttest.PolicyOf(mount, "create", "read", "update", "delete"), time.Hour)})
		apply(t, s, set("a", "1"))
		wantUnavailable(t, "Purge", s.Purge(t.Context(), org), "refused to remove their earlier versions", v)
		wantKeys(t, s) // what could be deleted, was
		log.want(t, `\"delete\" on`, mount+"/metadata/"+org.String())
	})
	t.Run("delete of all", func(t *testing.T) {
		mount := v.MountKV(t)
		s, _ := open(t, v, Config{Place: Place{Mount: mount},
			Token: v.Token(t, vaulttest.PolicyOf(mount, "create", "read", "update"), time.Hour)})
		apply(t, s, set("a", "1"))
		wantUnavailable(t, "Purge", s.Purge(t.Context(), org), "permission denied", v)
		wantKeys(t, s, "a")
	})
}

func TestRevokedToken(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	token := v.Token(t, vaulttest.Policy(mount), time.Hour)
	s, log := open(t, v, Config{Place: Place{Mount: mount}, Token: token})
	v.Revoke(t, token)
	for call, err := range everyCall(t.Context(), s) {
		wantUnavailable(t, call, err, "refused the server's token", v)
	}
	log.want(t, "the token has expired or was revoked: give another with --vault-token or VAULT_TOKEN")
}

func TestNothingMounted(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	s, log := open(t, v, Config{Place: Place{Mount: mount}})
	v.Unmount(t, mount)
	for call, err := range everyCall(t.Context(), s) {
		wantUnavailable(t, call, err, "nothing is mounted", v)
	}
	log.want(t, "no handler for route", mount)
}

// TestSealed seals Vault under load, unseals it, and wants every change that was answered nil.
func TestSealed(t *testing.T) { eachLayout(t, sealedInMidLoad) }

func sealedInMidLoad(t *testing.T, l kv2.Layout) {
	v := vaulttest.Start(t)
	s, log := open(t, v, Config{ClientTimeout: new(5 * time.Second), Place: Place{Layout: l}})
	const writers = 4
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var (
		mu                 sync.Mutex
		done               []string
		sealedSeen, served atomic.Int64
	)
	for w := range writers {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := fmt.Sprintf("%d-%04d", w, i)
				c := set(key, "v")
				if i%2 == 1 {
					c = set(key, "v", key+"/twin", "v")
				}
				switch _, err := s.Apply(t.Context(), org, c); {
				case err == nil:
					mu.Lock()
					done = append(done, key)
					mu.Unlock()
					served.Add(1)
				case errs.Is(err, errs.Unavailable):
					sealedSeen.Add(1)
				default:
					t.Errorf("Apply: %v", err)
					return
				}
			}
		})
	}
	waitFor(t, func() bool { return served.Load() > 20 })
	v.Seal(t)
	waitFor(t, func() bool { return sealedSeen.Load() > 0 })
	for call, err := range everyCall(t.Context(), s) {
		wantUnavailable(t, call, err, "the secret store is sealed", v)
	}
	v.Unseal(t)
	at := served.Load()
	waitFor(t, func() bool { return served.Load() > at+20 })
	stop()
	wg.Wait()
	for _, key := range done {
		if _, err := secret.Get(t.Context(), s, org, key); err != nil {
			t.Errorf("a change that was answered nil is lost: %v", err)
		}
	}
	keys, err := s.Keys(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if first, is := strings.CutSuffix(key, "/twin"); is && !slices.Contains(keys, first) {
			t.Errorf("half of a change is there: %s", key)
		}
	}
	log.want(t, "Vault does not serve", "the secret store is sealed", "Vault serves again")
	if n := strings.Count(log.String(), "Vault does not serve"); n > int(conn.Kinds) {
		t.Errorf("an outage of one minute is %d lines in the log:\n%s", n, log)
	}
}

// waitFor waits for what other goroutines do. The bound is for a test that has failed.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) || t.Failed() {
			t.Fatal("what the test waits for does not happen")
		}
	}
}

// TestKilled kills Vault, and starts it again with its data.
func TestKilled(t *testing.T) {
	v := vaulttest.Start(t, vaulttest.Persistent(t))
	s, log := open(t, v, Config{})
	apply(t, s, set("a", "1"))
	v.Kill()
	for call, err := range everyCall(t.Context(), s) {
		wantUnavailable(t, call, err, "the secret store cannot be reached", v)
	}
	log.want(t, "connection refused", strings.TrimPrefix(v.Address, "http://"))
	v.Restart(t)
	waitFor(t, func() bool { return s.Check(t.Context()) == nil })
	wantKeys(t, s, "a")
	apply(t, s, set("b", "2"))
	wantKeys(t, s, "a", "b")
}

// front stands before Vault and lets a test decide what becomes of a request.
type front struct {
	*httptest.Server
	mu    sync.Mutex
	fate  fate
	under atomic.Int64 // requests whose fate is known and not over
}

// fate is what becomes of a request; nil is that it reaches Vault.
type fate func(w http.ResponseWriter, r *http.Request, vault http.Handler)

func newFront(t testing.TB, v *vaulttest.Server) *front {
	t.Helper()
	u, err := url.Parse(v.Address)
	if err != nil {
		t.Fatal(err)
	}
	p := httputil.NewSingleHostReverseProxy(u)
	p.Transport = &http.Transport{DisableKeepAlives: true}
	p.ErrorLog = log.New(io.Discard, "", 0) // of a Vault that is not there, which a test wants
	f := new(front)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		fate := f.fate
		f.under.Add(1)
		f.mu.Unlock()
		defer f.under.Add(-1)
		if fate == nil {
			fate = func(w http.ResponseWriter, r *http.Request, vault http.Handler) { vault.ServeHTTP(w, r) }
		}
		fate(w, r, p)
	}))
	t.Cleanup(f.Close)
	return f
}

// set gives back what was set before.
func (f *front) set(fate fate) (before fate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, f.fate = f.fate, fate
	return before
}

// TestSilent has a Vault that takes requests and never answers: the caller's own context ends the call, and else the
// store's timeout does.
func TestSilent(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	s, log := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t)},
		ClientTimeout: new(500 * time.Millisecond)})
	silent := func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		select {
		case <-r.Context().Done():
		case <-released:
		}
	}
	f.set(silent)
	for call, err := range everyCall(t.Context(), s) {
		wantUnavailable(t, call, err, "the secret store did not answer in time", v)
	}
	log.want(t, "no answer within")

	// With more time than the test has, the caller's context alone ends a call.
	f.set(nil)
	s, _ = open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t)}, ClientTimeout: new(time.Hour)})
	f.set(silent)
	for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if want == context.Canceled {
			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
		}
		for call, err := range everyCall(ctx, s) {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", call, err, want)
			}
		}
		cancel()
	}
}

// TestListenerNeverAnswers is the same below HTTP.
func TestListenerNeverAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = New(t.Context(), Config{Address: "http://" + l.Addr().String(),
		ClientTimeout: new(100 * time.Millisecond)})
	if err == nil || !strings.Contains(err.Error(), "did not answer within 100ms (--vault-client-timeout)") {
		t.Errorf("New: %v", err)
	}
}

// TestLostAnswer breaks the connection after Vault has taken a write: the store looks, finds its own change and answers
// nil, and there is one version more and not two. So it is where the client sends the write again by itself.
func TestLostAnswer(t *testing.T) {
	v := vaulttest.Shared(t)
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, lose := range map[string]func(w http.ResponseWriter, r *http.Request){
		"connection": cut,
		"gateway": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
		},
		"silence":                  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a new secret":             cut,
		"a new secret, sent again": cut,
		"sent again":               cut,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, v)
			mount := v.MountKV(t)
			retries := 0
			if strings.HasSuffix(name, "sent again") {
				retries = 2
			}
			s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: mount}, ClientTimeout: new(4 * time.Second),
				MaxRetries: &retries})
			apply(t, s, set("a", "1"))
			c := set("b", "2")
			if strings.HasPrefix(name, "a new secret") {
				c.Only = secret.IfNew
			}
			var writes atomic.Int64
			f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
				if isWrite(r) && writes.Add(1) == 1 {
					vault.ServeHTTP(httptest.NewRecorder(), r.Clone(context.WithoutCancel(r.Context())))
					lose(w, r)
					return
				}
				vault.ServeHTTP(w, r)
			})
			apply(t, s, c)
			wantKeys(t, s, "a", "b")
			if got := v.Read(t, mount, org.String()).Metadata.Version; got != 2 {
				t.Errorf("version %d, want 2", got)
			}
			if want := int64(1 + min(retries, 1)); writes.Load() != want {
				t.Errorf("%d writes, want %d: the one whose answer was lost, and the client's own repetition",
					writes.Load(), want)
			}
		})
	}
}

// TestStrangeAnswers has answers that no Vault gives. None is taken for an empty organisation.
func TestStrangeAnswers(t *testing.T) {
	v := vaulttest.Shared(t)
	for name, a := range map[string]struct {
		status int
		body   string
	}{
		"page":           {200, "<html>sign in to the network</html>"},
		"empty":          {200, ""},
		"cut off":        {200, `{"data":{"data":{"a":"sesame`},
		"other object":   {200, `{"status":"ok"}`},
		"no metadata":    {200, `{"data":{"a":"sesame"}}`},
		"not found page": {404, "<html>not found</html>"},
		"teapot":         {418, `{"errors":["sesame"]}`},
		"quoting":        {500, `{"errors":["json: cannot unmarshal number 5e5a3e into float64"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, v)
			s, log := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t)}, MaxRetries: new(0)})
			f.set(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				w.WriteHeader(a.status)
				fmt.Fprint(w, a.body)
			})
			_, err := s.Keys(t.Context(), org)
			wantUnavailable(t, "Keys", err, "the secret store", v)
			wantUnavailable(t, "Apply", errOf(s.Apply(t.Context(), org, set("a", "1"))), "the secret store", v)
			if a.status == 200 && strings.Contains(log.String(), "sesame") || strings.Contains(log.String(), "5e5a3e") {
				t.Errorf("the log quotes data:\n%s", log)
			}
		})
	}
}

func TestBusy(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t)}, MaxRetries: new(2)})
	var asked atomic.Int64
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if asked.Add(1) == 3 {
			vault.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Retry-After", "3600") // more than we have
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"errors":["rate limit exceeded"]}`)
	})
	wantKeys(t, s) // the third try
	_, err := s.Keys(t.Context(), org)
	wantUnavailable(t, "Keys", err, "the secret store is busy", v)
}

func TestClosed(t *testing.T) {
	v := vaulttest.Shared(t)
	s, _ := open(t, v, Config{Place: Place{Mount: v.MountKV(t)}})
	apply(t, s, set("a", "1"))
	s.Close()
	wantUnavailable(t, "Apply", errOf(s.Apply(t.Context(), org, set("b", "1"))), "shutting down", v)
	s.Close()
	var _ secret.Store = s
}
