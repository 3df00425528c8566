package influxd

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/internal/kv/kvtest"
)

// ear is a webhook of somebody else: it is away at first, and takes what is signed with its key.
type ear struct {
	*httptest.Server
	keyFile string

	mu      sync.Mutex
	refuse  int            // of the next notices
	refused map[string]int // by ID
	heard   map[string]int // by secret and stage, of those that it took
	ids     map[string]string
}

const earKey = "a key that two have agreed on"

func newEar(t *testing.T, refuse int) *ear {
	t.Helper()
	e := &ear{keyFile: filepath.Join(t.TempDir(), "due.key"), refuse: refuse, refused: map[string]int{},
		heard: map[string]int{}, ids: map[string]string{}}
	must(t, os.WriteFile(e.keyFile, []byte(earKey+"\n"), 0o600))
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the server has ended meanwhile
		}
		var at int64
		var sum string
		_, err = fmt.Sscanf(strings.Replace(r.Header.Get("Strongroom-Signature"), ",v1=", " ", 1), "t=%d %s", &at, &sum)
		mac := hmac.New(sha256.New, []byte(earKey))
		fmt.Fprintf(mac, "%d.%s", at, body)
		age := time.Since(time.Unix(at, 0))
		if err != nil || sum != hex.EncodeToString(mac.Sum(nil)) || age.Abs() > time.Hour {
			t.Errorf("not signed by whom it should be: %q, %v old, %v", r.Header.Get("Strongroom-Signature"), age, err)
		}
		var n struct{ ID, Type, Stage, Org, Key string }
		if err := json.Unmarshal(body, &n); err != nil || n.Type != "secret.due" || n.Org != "acme" ||
			strings.Contains(string(body), "sesame") {
			t.Errorf("told %s: %v", body, err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.refuse > 0 {
			e.refuse--
			e.refused[n.ID]++
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		e.heard[n.Key+" "+n.Stage]++
		e.ids[n.Key+" "+n.Stage] = n.ID
	}))
	t.Cleanup(e.Close)
	return e
}

// flags are those of a server that tells it.
func (e *ear) flags() []string {
	return []string{"--secret-due-check=100ms", "--secret-due-soon=720h", "--secret-due-webhook=" + e.URL,
		"--secret-due-webhook-key-file=" + e.keyFile}
}

// wait waits until it has heard of the secret.
func (e *ear) wait(t *testing.T, what string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		e.mu.Lock()
		n := e.heard[what]
		e.mu.Unlock()
		if n > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it has not heard of %q", what)
		}
	}
}

// all is what it has heard.
func (e *ear) all() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprint(e.heard)
}

// dated makes a secret that should be replaced at the time.
func (r *running) dated(t *testing.T, token, secrets, key string, at time.Time) {
	t.Helper()
	r.call(t, "PATCH", secrets, token, fmt.Sprintf(`{%q:"sesame"}`, key), 204, nil)
	r.call(t, "PUT", secrets+"/"+key+"/description", token, fmt.Sprintf(`{"description":"","expiresAt":%q}`,
		at.UTC().Format(time.RFC3339)), 204, nil)
}

// The webhook is told of each secret once for each stage, again where it did not take it, and not again after a restart.
func TestDueWebhook(t *testing.T) {
	dir, e, now := t.TempDir(), newEar(t, 3), time.Now()
	r := start(t, dir, e.flags()...)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"undated":"sesame"}`, 204, nil)
	r.dated(t, token, secrets, "later", now.Add(100*24*time.Hour))
	r.dated(t, token, secrets, "near", now.Add(10*24*time.Hour))
	e.wait(t, "near soon")
	e.mu.Lock()
	if id := e.ids["near soon"]; e.refuse != 0 || e.refused[id] != 3 || len(e.refused) != 1 {
		t.Errorf("%d are left to refuse, refused were %v, and then %s was taken", e.refuse, e.refused, id)
	}
	e.mu.Unlock()
	r.dated(t, token, secrets, "old", now.Add(-time.Hour))
	e.wait(t, "old overdue")
	// When another is told, it is noted that this one was. The last one may be told again by the next start.
	r.dated(t, token, secrets, "last", now.Add(-time.Hour))
	e.wait(t, "last overdue")
	r.end(t)

	r = start(t, dir, e.flags()...)
	r.dated(t, token, secrets, "third", now.Add(-time.Hour))
	e.wait(t, "third overdue")
	r.dated(t, token, secrets, "zz-fourth", now.Add(-time.Hour)) // when that is told, all others have been looked at
	e.wait(t, "zz-fourth overdue")
	e.mu.Lock()
	delete(e.heard, "last overdue")
	e.mu.Unlock()
	if got, want := e.all(), "map[near soon:1 old overdue:1 third overdue:1 zz-fourth overdue:1]"; got != want {
		t.Errorf("it was told %s, want %s", got, want)
	}
	r.dated(t, token, secrets, "near", now.Add(-2*time.Hour))
	e.wait(t, "near overdue")
	if out := r.stdout.String() + r.stderr.String(); strings.Contains(out, "sesame") || strings.Contains(out, earKey) {
		t.Errorf("the log has a value, or the key:\n%s", out)
	}
}

// TestDueBesideDamage damages what is known of a secret. The webhook is told of the others of its organisation, the log
// names it, and the metrics and /health have it counted.
func TestDueBesideDamage(t *testing.T) {
	dir, e, now := t.TempDir(), newEar(t, 0), time.Now()
	r := start(t, dir)
	token, secrets := r.onboard(t)
	for _, key := range []string{"a", "lost", "z"} {
		r.dated(t, token, secrets, key, now.Add(-time.Hour))
	}
	r.end(t)
	db, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	must(t, err)
	for key, value := range kvtest.All(t, db) {
		if strings.HasPrefix(key, "secrets/") && strings.HasSuffix(key, "/m/lost") {
			value[len(value)/2] ^= 1
			_, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(key, value)})
			must(t, err)
		}
	}
	must(t, db.Close())
	r = start(t, dir, e.flags()...)
	e.wait(t, "a overdue")
	e.wait(t, "z overdue")
	_, _, metrics := r.poll(t, token, "/metrics", "")
	_, _, health := r.poll(t, "", "/health", "")
	if !strings.Contains(metrics, `strongroom_records_refused_total{kind="secret"}`) ||
		strings.Contains(metrics, `strongroom_records_refused_total{kind="secret"} 0`) ||
		!strings.Contains(health, "of the kinds secret") || strings.Contains(metrics+health, "lost") {
		t.Errorf("/metrics and /health do not tell of it, or name it: %s", health)
	}
	r.end(t)
	if log := r.stdout.String() + r.stderr.String(); !strings.Contains(log, "whether a secret is due is not known") ||
		!strings.Contains(log, `"secret":"lost"`) && !strings.Contains(log, "secret=lost") {
		t.Errorf("the log does not name it:\n%s", log)
	}
	if got := e.all(); got != "map[a overdue:1 z overdue:1]" {
		t.Errorf("it was told %s", got)
	}
}

// Of two servers over one etcd one tells the webhook, and the other where that one has ended.
func TestDueWebhookOfSeveral(t *testing.T) {
	c, keys, e, now := etcdtest.Start(t, 1), t.TempDir(), newEar(t, 0), time.Now()
	servers := map[string]*running{}
	for _, name := range []string{"a", "b"} {
		servers[name] = start(t, t.TempDir(), onEtcd(c, keys, "due/", append(e.flags(), "--server-name="+name)...)...)
	}
	token, secrets := servers["a"].onboard(t)
	for n := range 5 {
		servers[[]string{"a", "b"}[n%2]].dated(t, token, secrets, fmt.Sprint("old", n), now.Add(-time.Hour))
	}
	for n := range 5 {
		e.wait(t, fmt.Sprint("old", n, " overdue"))
	}
	const sent = `strongroom_secrets_due_notices_total{outcome="sent"} `
	told := func(r *running) string {
		_, _, text := r.poll(t, token, "/metrics", "")
		_, rest, _ := strings.Cut(text, sent)
		n, _, _ := strings.Cut(rest, "\n")
		return n
	}
	// The one who tells counts it when it has the answer.
	var who string
	for end := time.Now().Add(time.Minute); who == ""; time.Sleep(10 * time.Millisecond) {
		for name, r := range servers {
			if told(r) == "5" {
				who = name
			}
		}
		if time.Now().After(end) {
			t.Fatalf("a has told %s, b %s", told(servers["a"]), told(servers["b"]))
		}
	}
	other := servers["a"]
	if who == "a" {
		other = servers["b"]
	}
	if got := told(other); got != "0" {
		t.Errorf("%s has told 5, and the other %s", who, got)
	}
	servers[who].end(t)
	other.dated(t, token, secrets, "zz-last", now.Add(-time.Hour))
	e.wait(t, "zz-last overdue")
	if got, want := e.all(), "map[old0 overdue:1 old1 overdue:1 old2 overdue:1 old3 overdue:1 old4 overdue:1 "+
		"zz-last overdue:1]"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}
