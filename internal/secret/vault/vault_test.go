package vault

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/secrettest"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "VAULT_") || strings.HasPrefix(name, "BAO_") {
			os.Unsetenv(name) // the tests set what they mean
		}
	}
	code := m.Run()
	vaulttest.StopShared()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "left over after the tests:", err)
		code = 1
	}
	os.Exit(code)
}

const org id.ID = 0x031c8cbefe101000

// layouts are run through by the tests of what holds for all.
var layouts = []kv2.Layout{kv2.LayoutOrg, kv2.LayoutSecret}

// eachLayout runs a test in each layout.
func eachLayout(t *testing.T, run func(t *testing.T, l kv2.Layout)) {
	for _, l := range layouts {
		t.Run(string(l), func(t *testing.T) { run(t, l) })
	}
}

func TestStore(t *testing.T) {
	v := vaulttest.Shared(t)
	eachLayout(t, func(t *testing.T, l kv2.Layout) {
		secrettest.Test(t, func(t *testing.T) secret.Store {
			p := Place{Mount: v.MountKV(t), Layout: l, Path: "team/{org}"}
			s, _ := open(t, v, Config{Place: p, Token: v.Token(t, hcl(p), time.Hour),
				ClientTimeout: new(3 * time.Minute)})
			return s
		})
	})
}

func TestFromMemory(t *testing.T) {
	v := vaulttest.Shared(t)
	eachLayout(t, func(t *testing.T, l kv2.Layout) {
		secrettest.TestFromMemory(t, func(t *testing.T) secret.Store {
			s, _ := open(t, v, Config{Place: Place{Mount: v.MountKV(t), Layout: l}, CacheTTL: time.Hour})
			return s
		})
	})
}

func TestShared(t *testing.T) {
	v := vaulttest.Shared(t)
	eachLayout(t, func(t *testing.T, l kv2.Layout) {
		secrettest.TestShared(t, func(t *testing.T) (secret.Store, secret.Store) {
			mount := v.MountKV(t)
			a, _ := open(t, v, Config{Place: Place{Mount: mount, Layout: l}})
			b, _ := open(t, v, Config{Place: Place{Mount: mount, Layout: l, Path: "/{org}/"}})
			return a, b
		})
	})
}

// open makes a store on the server with the root token, a timeout that fits a slow machine, and a log that is kept.
func open(t *testing.T, v *vaulttest.Server, c Config) (*Store, *logs) {
	t.Helper()
	if c.Address == "" {
		c.Address = v.Address
	}
	if c.Token == "" {
		c.Token = v.RootToken
	}
	if c.ClientTimeout == nil {
		c.ClientTimeout = new(30 * time.Second)
	}
	l := new(logs)
	c.Logger = l.logger()
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	t.Cleanup(func() {
		if strings.Contains(l.String(), v.RootToken) || strings.Contains(l.String(), c.Token) {
			t.Error("a token is in the log")
		}
	})
	return s, l
}

// logs keeps what was logged.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// want fails the test unless every part was logged.
func (l *logs) want(t *testing.T, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(l.String(), p) {
			t.Errorf("the log has no %q:\n%s", p, l)
		}
	}
}

func set(pairs ...string) secret.Change {
	c := secret.Change{Set: map[string]secret.Value{}}
	for i := 0; i < len(pairs); i += 2 {
		c.Set[pairs[i]] = secret.NewValue([]byte(pairs[i+1]))
	}
	return c
}

// marking is what is done to versions, by somebody.
func marking(m secret.Mark, versions ...int) secret.Marking {
	return secret.Marking{Mark: m, Versions: versions, By: "ann"}
}

func apply(t *testing.T, s secret.Store, c secret.Change) {
	t.Helper()
	if _, err := s.Apply(t.Context(), org, c); err != nil {
		t.Fatalf("Apply: %v", err)
	}
}

func wantKeys(t *testing.T, s secret.Store, want ...string) {
	t.Helper()
	got, err := s.Keys(t.Context(), org)
	if err != nil {
		t.Fatalf("Keys: %v", err)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("Keys = %q, want %q", got, want)
	}
}

// everyCall makes each of the store's calls.
func everyCall(ctx context.Context, s secret.Store) map[string]error {
	_, keys := s.Keys(ctx, org)
	_, get := secret.Get(ctx, s, org, "a")
	return map[string]error{
		"Keys": keys, "Get": get,
		"Apply": errOf(s.Apply(ctx, org, set("a", "new value"))),
		"Purge": s.Purge(ctx, org),
		"Check": s.Check(ctx),
	}
}

// wantUnavailable fails the test unless the error is Unavailable with the message, and says nothing of the server.
func wantUnavailable(t *testing.T, call string, err error, message string, v *vaulttest.Server) {
	t.Helper()
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(errs.Message(err), message) {
		t.Errorf("%s: %v (%s), want %q with %q", call, err, errs.CodeOf(err), errs.Unavailable, message)
	}
	if err != nil {
		for _, hidden := range []string{strings.TrimPrefix(v.Address, "http://"), "127.0.0.1", v.RootToken, "/v1/",
			"secret/data"} {
			if strings.Contains(err.Error(), hidden) {
				t.Errorf("%s: the error says %q: %v", call, hidden, err)
			}
		}
	}
}

// isWrite reports whether a request writes an entry.
func isWrite(r *http.Request) bool { return r.Method == http.MethodPut || r.Method == http.MethodPatch }
