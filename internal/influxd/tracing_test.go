package influxd

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"strongroom/internal/secret/vault/vaulttest"
)

// collected is what a collector was sent.
type collected struct {
	mu   sync.Mutex
	raw  bytes.Buffer
	said map[string]string // by a span's name: its trace and its parent
}

// collect starts a collector of traces.
func collect(t *testing.T) (string, *collected) {
	t.Helper()
	c := &collected{said: make(map[string]string)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(body)
			if err != nil {
				t.Error(err)
				return
			}
			body = z
		}
		b, err := io.ReadAll(body)
		var sent collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(b, &sent)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(b)
		for _, of := range sent.ResourceSpans {
			for _, in := range of.ScopeSpans {
				for _, s := range in.Spans {
					c.said[s.Name] = fmt.Sprintf("%x %x", s.TraceId, s.ParentSpanId)
				}
			}
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, c
}

// TestTraces: a request over Vault is told to a collector as a part of its caller's trace, down to Vault, which is told of
// it, too; and neither the collector nor Vault is told a path, a name, an ID or a value by that.
func TestTraces(t *testing.T) {
	v := vaulttest.Shared(t)
	to, err := url.Parse(v.Address)
	must(t, err)
	var mu sync.Mutex
	traced := make(map[string]bool) // the traces that Vault was told of
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if parts := strings.Split(r.Header.Get("Traceparent"), "-"); len(parts) == 4 {
			traced[parts[1]] = true
		}
		if b := r.Header.Get("Baggage"); b != "" {
			t.Errorf("Vault was sent baggage: %s", b)
		}
		mu.Unlock()
		httputil.NewSingleHostReverseProxy(to).ServeHTTP(w, r)
	}))
	defer proxy.Close()
	at, got := collect(t)
	r := start(t, t.TempDir(), "--tracing-endpoint", at, "--secret-store=vault", "--vault-addr="+proxy.URL,
		"--vault-token="+v.RootToken, fmt.Sprintf("--vault-path=traces-%d-%d/{org}", os.Getpid(), time.Now().UnixNano()))
	token, secrets := r.onboard(t)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	ask := func(method, path, body, flags string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
		must(t, err)
		req.Header.Set("Authorization", "Token "+token)
		req.Header.Set("Traceparent", "00-"+trace+"-00f067aa0ba902b7-"+flags)
		req.Header.Set("Baggage", "user=ada")
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		must(t, res.Body.Close())
		if res.StatusCode >= 300 {
			t.Fatalf("%s %s: %s", method, path, res.Status)
		}
	}
	ask("PATCH", secrets, `{"the-canary-name":"the-canary-value"}`, "01")
	ask("GET", "/api/v2/me", "", "00") // whose caller does not trace it
	r.end(t)

	got.mu.Lock()
	defer got.mu.Unlock()
	const request = "PATCH /api/v2/orgs/{orgID}/secrets"
	if s := got.said[request]; s != trace+" 00f067aa0ba902b7" {
		t.Errorf("the request's span is of trace and parent %q; there are %v", s, got.said)
	}
	for _, name := range []string{"secret store apply", "vault write"} {
		if s := got.said[name]; !strings.HasPrefix(s, trace+" ") {
			t.Errorf("the span %q is of %q; there are %v", name, s, got.said)
		}
	}
	if s, ok := got.said["GET /api/v2/me"]; ok {
		t.Errorf("a request is traced (%s) that its caller left out", s)
	}
	mu.Lock()
	defer mu.Unlock()
	if !traced[trace] {
		t.Errorf("Vault was told of the traces %v", traced)
	}
	org := strings.Split(secrets, "/")[4]
	for _, secret := range []string{"canary", token, org, v.RootToken} {
		if bytes.Contains(got.raw.Bytes(), []byte(secret)) {
			t.Errorf("the collector was sent %q", secret)
		}
	}
}

// TestTracesWithoutCollector: requests do not wait for a collector that is away, and the log says so in few lines.
func TestTracesWithoutCollector(t *testing.T) {
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	r := start(t, t.TempDir(), "--tracing-endpoint", away.URL)
	token, secrets := r.onboard(t)
	for range 20 {
		r.call(t, "GET", secrets, token, "", 200, nil)
	}
	r.end(t)
}
