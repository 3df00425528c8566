// Package stack starts the server's real parts for tests: a bbolt file, a keyring with its key file, the sealed store,
// identity, the audit log and the HTTP API, on a port of the loopback address. Every request and answer is held against
// the OpenAPI document on the way, whoever sends it, and no value, token or password that a test names may show in the
// log or in the audit record.
package stack

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/audit/auditlog"
	"strongroom/internal/barrier"
	"strongroom/internal/errs"
	"strongroom/internal/httpapi"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/keyring"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/rotation"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/lastuse"
	"strongroom/internal/secret/service"
	"strongroom/internal/servers"
)

// Stack is a server under test.
type Stack struct {
	URL   string
	Store secret.Store // what is really kept
	Clock *Clock       // what identity takes for the time
	Seals *rotation.Service

	document *Document
	server   *httptest.Server
	log      lockedBuffer
	audit    string

	mu     sync.Mutex
	hidden []string
}

// Options are what a test may want otherwise.
type Options struct {
	NoAuditFile bool // the audit record goes where it cannot be read back
	Wrap        func(secret.Store) secret.Store
	Quota       secret.Quota
	// Document collects what was seen of the API over several stacks; nil makes one.
	Document *Document
}

// ownActs are those of the only server.
type ownActs struct {
	*servers.Acts
	log *auditlog.Log
}

// Health tells whether acts can be recorded.
func (o ownActs) Health(ctx context.Context) audit.Health { return o.log.Health(ctx) }

// Start starts a server that has not been set up.
func Start(t *testing.T, o Options) *Stack {
	t.Helper()
	dir := t.TempDir()
	s := &Stack{Clock: new(Clock), document: o.Document, audit: filepath.Join(dir, "audit.log")}
	if s.document == nil {
		s.document = ReadDocument(t)
	}
	log := slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))

	data, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, data.Close()) })
	keys, err := keyring.OpenOrInit(t.Context(), data,
		keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	must(t, err)
	t.Cleanup(keys.Close)
	sink := "file:" + s.audit
	if o.NoAuditFile {
		sink = "stdout"
	}
	trail, err := auditlog.Open(auditlog.Config{Sinks: []string{sink}, ChainKey: bytes.Repeat([]byte("k"), 32), Logger: log,
		Stdout: &s.log})
	must(t, err)
	t.Cleanup(func() { must(t, trail.Close()) })

	embedded := embedded.New(embedded.Config{KV: data, Keyring: keys, History: 10, Quota: o.Quota})
	s.Store = embedded
	if o.Wrap != nil {
		s.Store = o.Wrap(s.Store)
	}
	metrics := prometheus.NewRegistry()
	usesKey, err := keys.DeriveKey(lastuse.Label)
	must(t, err)
	uses := lastuse.New(data, usesKey)
	guard := access.NewGuard(trail)
	identities := barrier.New(data, keys, identity.Sealed)
	logins, err := authn.New(authn.Config{
		KV: identities, Guard: guard, Logger: log, Now: s.Clock.Now,
		BcryptCost: 4, // the lowest that bcrypt takes: tests sign in often
	})
	must(t, err)
	users, err := directory.New(directory.Config{
		KV: identities, Mark: keys, Guard: guard, Authn: logins, Secrets: service.Remembered{Store: s.Store, Uses: uses},
		Logger: log, Now: s.Clock.Now,
	})
	must(t, err)
	s.Seals = rotation.New(rotation.Config{
		Keyring: keys, Rewriter: parts.Rewriter{Identities: identities, Secrets: embedded, Log: log}, Guard: guard,
		Logger: log, Seal: func(ctx context.Context, to rotation.Target) (seal.Seal, error) {
			made, err := seal.KeyFile(to.KeyFile).Create(ctx)
			if err != nil {
				return nil, errs.Wrap(err, errs.Unprocessable, "no such key file")
			}
			return made, nil
		},
	})
	api, err := httpapi.New(httpapi.Config{
		Seals: s.Seals, Data: data,
		Guard: guard, Authn: logins, Directory: users, Secrets: service.New(s.Store, guard, users, uses,
			secret.Limits{}), Store: s.Store, Trail: ownActs{&servers.Acts{Own: trail}, trail},
		Version: "v0.0.0-test", Commit: "0123456789", Settings: func() map[string]any {
			return map[string]any{"secret-store": "bolt"}
		},
		Metrics: metrics, Gather: metrics, Logger: log,
	})
	must(t, err)
	s.server = httptest.NewServer(s.document.Watch(t, api))
	t.Cleanup(func() { s.checkHidden(t) }) // after the server has closed: clean-ups run in reverse
	t.Cleanup(s.server.Close)
	s.URL = s.server.URL
	return s
}

// Document is what the stack's requests and answers are held against.
func (s *Stack) Document() *Document { return s.document }

// Hide names a text that must show neither in the log nor in the audit record.
func (s *Stack) Hide(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hidden = append(s.hidden, text)
}

func (s *Stack) checkHidden(t *testing.T) {
	record, err := os.ReadFile(s.audit)
	if err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for place, text := range map[string]string{"log": s.log.String(), "audit record": string(record)} {
		for _, h := range s.hidden {
			if strings.Contains(text, h) {
				t.Errorf("the %s holds %q", place, h)
			}
		}
	}
}

// Clock is a clock that tests move.
type Clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

// Now is the wall clock's time plus what it was moved by.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
