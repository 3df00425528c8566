package due

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/secret"
)

// shelf is a store that tells what it is given; of errors, an organisation's.
type shelf struct {
	secret.Store
	infos map[id.ID][]secret.Info
	fails map[id.ID]error
}

func (s *shelf) Infos(_ context.Context, org id.ID, _ secret.Page) ([]secret.Info, error) {
	return s.infos[org], s.fails[org]
}

// receiver is a webhook that answers what it is told to and checks each signature.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status []int // of the next requests; then 204
	got    []notice
	bodies string
	tries  int
}

var signing = []byte("a key of some length")

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.tries++
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		var at int64
		var sum string
		signature := strings.ReplaceAll(req.Header.Get(SignatureHeader), ",v1=", " ")
		if _, err := fmt.Sscanf(signature, "t=%d %s", &at, &sum); err != nil {
			t.Errorf("the signature %q: %v", signature, err)
		}
		mac := hmac.New(sha256.New, signing)
		fmt.Fprintf(mac, "%d.%s", at, body)
		if sum != hex.EncodeToString(mac.Sum(nil)) || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
			t.Errorf("the signature %q is not that of %s", signature, body)
		}
		if len(r.status) > 0 {
			status := r.status[0]
			r.status = r.status[1:]
			w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
			w.WriteHeader(status)
			return
		}
		var n notice
		if err := json.Unmarshal(body, &n); err != nil {
			t.Error(err)
		}
		r.bodies += string(body)
		r.got = append(r.got, n)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, n := range r.got {
		all = append(all, n.Key+" "+string(n.Stage))
	}
	r.got = nil
	return all
}

const org id.ID = 0x0a

// open gives who looks at one organisation with three secrets, of which one is overdue and one is due soon.
func open(t *testing.T, hook *Webhook) (*Watch, *shelf, kv.Store) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "due.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	now := time.Now()
	at := func(key string, in time.Duration) secret.Info {
		return secret.Info{Key: key, Description: secret.Description{Expires: now.Add(in)}}
	}
	s := &shelf{fails: map[id.ID]error{}, infos: map[id.ID][]secret.Info{org: {
		at("late", -time.Hour), at("near", time.Hour), at("far", 100*24*time.Hour), {Key: "never"},
	}}}
	w := New(Config{Store: s, KV: db, Key: bytes.Repeat([]byte{7}, 32), Soon: 30 * 24 * time.Hour, Every: time.Hour,
		Hook: hook, Log: slog.New(slog.DiscardHandler),
		Orgs: func(context.Context) ([]Org, error) {
			var orgs []Org
			for o := range s.infos {
				orgs = append(orgs, Org{o, "name of " + o.String()})
			}
			return orgs, nil
		}})
	return w, s, db
}

// dated is a shelf that knows which organisations have dates.
type dated struct {
	*shelf
	orgs []id.ID
	with map[id.ID][]secret.Info
}

func (d *dated) DatedOrgs(context.Context) ([]id.ID, error) { return d.orgs, nil }

func (d *dated) DatedInfos(_ context.Context, org id.ID) ([]secret.Info, error) {
	return d.with[org], nil
}

// TestLooksAtDatedAlone looks over a store that knows which organisations have dates: no others are read, and what was
// told of those that have none any more goes.
func TestLooksAtDatedAlone(t *testing.T) {
	r := newReceiver(t)
	hook, err := NewWebhook(r.URL, signing)
	if err != nil {
		t.Fatal(err)
	}
	w, s, db := open(t, hook)
	const gone = org + 1
	d := &dated{s, []id.ID{org, gone}, map[id.ID][]secret.Info{org: s.infos[org], gone: s.infos[org]}}
	w.Store = d
	w.Orgs = func(context.Context) ([]Org, error) {
		t.Error("all organisations were asked for")
		return nil, nil
	}
	w.Org = func(_ context.Context, o id.ID) (Org, bool, error) { return Org{o, "its name"}, o == org, nil }
	if err := w.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.take(); len(got) != 2 {
		t.Errorf("told: %q", got)
	}
	if c := w.counts; len(c) != 1 || c[org] != (counts{soon: 1, overdue: 1}) {
		t.Errorf("counted: %v", c)
	}
	d.orgs = nil
	if err := w.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rs, err := db.List(t.Context(), Prefix, "", 10); err != nil || len(rs) > 0 || len(w.counts) > 0 {
		t.Errorf("without dates: %v, %v, counted %v", rs, err, w.counts)
	}
}

// TestUnread has a secret whose record does not open. The others of its organisation are told of and counted, it is told
// by its name in the log and to those who count, and what was told of it before is not forgotten.
func TestUnread(t *testing.T) {
	r := newReceiver(t)
	hook, err := NewWebhook(r.URL, signing)
	if err != nil {
		t.Fatal(err)
	}
	w, s, db := open(t, hook)
	var log bytes.Buffer
	w.Log = slog.New(slog.NewTextHandler(&log, nil))
	var faults []error
	w.Fault = func(err error) { faults = append(faults, err) }
	if err := w.Look(t.Context()); err != nil || len(r.take()) != 2 {
		t.Fatal(err)
	}
	all := s.infos[org]
	damaged := errors.New("it does not open")
	var unread *secret.Unread
	s.infos[org], s.fails[org] = append(all[1:], secret.Info{Key: "new", Description: all[0].Description}),
		unread.Add("late", damaged)
	if err := w.Look(t.Context()); err != nil {
		t.Errorf("there is a reason to look again at once: %v", err)
	}
	if got := r.take(); strings.Join(got, ",") != "new overdue" || w.counts[org] != (counts{soon: 1, overdue: 1}) {
		t.Errorf("told of %q, counted %v", got, w.counts)
	}
	if len(faults) != 1 || faults[0] != damaged || !strings.Contains(log.String(), "secret=late") {
		t.Errorf("faults %v, and the log has\n%s", faults, log.String())
	}
	s.infos[org], s.fails[org] = all, nil
	if err := w.Look(t.Context()); err != nil || len(r.take()) != 0 {
		t.Errorf("it was told again of what is whole again: %v", err)
	}
	if rs, err := db.List(t.Context(), Prefix, "", 10); err != nil || len(rs) != 2 {
		t.Errorf("%d records, %v", len(rs), err)
	}
}

// TestForgedOrg has an organisation whose record does not open. The others are looked at, and nothing that was told of it
// is forgotten.
func TestForgedOrg(t *testing.T) {
	r := newReceiver(t)
	hook, err := NewWebhook(r.URL, signing)
	if err != nil {
		t.Fatal(err)
	}
	w, s, db := open(t, hook)
	const lost = org + 1
	its := folder(lost) + strings.Repeat("0a", 32)
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(its, []byte{1})}); err != nil {
		t.Fatal(err)
	}
	w.Orgs = func(context.Context) ([]Org, error) { return []Org{{org, "its name"}}, kv.ErrForged }
	if err := w.Look(t.Context()); !errors.Is(err, kv.ErrForged) || len(r.take()) != 2 || len(w.counts) != 1 {
		t.Errorf("%v, counted %v", err, w.counts)
	}
	if _, err := db.Get(t.Context(), its); err != nil {
		t.Errorf("what was told of it: %v", err)
	}
	w.Store = &dated{s, []id.ID{lost}, map[id.ID][]secret.Info{lost: s.infos[org]}}
	w.Org = func(context.Context, id.ID) (Org, bool, error) { return Org{}, false, kv.ErrForged }
	if err := w.Look(t.Context()); err != nil || len(r.take()) != 2 {
		t.Errorf("over a store that knows which have dates: %v", err)
	}
}

func TestURL(t *testing.T) {
	for _, bad := range []string{"", "x", "ftp://h/", "http://example.com/x", "https://u:sesame@h/", "https:///x",
		"http://10.0.0.1/"} {
		if err := ValidURL(bad); err == nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, good := range []string{"https://example.com/x?token=y", "http://127.0.0.1:8080/", "http://localhost/",
		"http://[::1]:1/"} {
		if err := ValidURL(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	if _, err := NewWebhook("https://h/", []byte("short")); err == nil {
		t.Error("a short key is taken")
	}
}

// TestHookFails: what is not taken is told again, under the same ID; no error has the address; nothing follows a
// redirect.
func TestHookFails(t *testing.T) {
	r := newReceiver(t)
	hook, err := NewWebhook(r.URL+"/sesame?token=sesame", signing)
	if err != nil {
		t.Fatal(err)
	}
	hook.pause = time.Millisecond
	w, _, _ := open(t, hook)
	for name, tc := range map[string]struct {
		status []int
		tries  int
	}{
		"for good":      {[]int{404}, 1},
		"a redirect":    {[]int{307}, 1},
		"for some time": {[]int{503, 429, 500, 408}, tries},
	} {
		r.status, r.tries = tc.status, 0
		if err := w.Look(t.Context()); err == nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v", name, err)
		}
		if r.tries != tc.tries || len(r.take()) != 0 {
			t.Errorf("%s: it was told %d times, want %d", name, r.tries, tc.tries)
		}
	}
	r.status, r.tries = []int{500, 503}, 0
	if err := w.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.take(); r.tries != 4 || len(got) != 2 {
		t.Errorf("it was told %d times, and took %q", r.tries, got)
	}
	r.Close()
	w, _, _ = open(t, hook)
	if err := w.Look(t.Context()); err == nil || strings.Contains(err.Error(), "sesame") {
		t.Errorf("nobody is there: %v", err)
	}
}

// TestOncePerStage: each secret is told of once when it is due soon and once when it is overdue, and anew for another
// date; another server that goes on knows what has been told.
func TestOncePerStage(t *testing.T) {
	r := newReceiver(t)
	hook, err := NewWebhook(r.URL, signing)
	if err != nil {
		t.Fatal(err)
	}
	w, s, db := open(t, hook)
	looks := func(want ...string) {
		t.Helper()
		if err := w.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := r.take(); strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("told of %q, want %q", got, want)
		}
	}
	looks("late overdue", "near soon")
	looks()
	w = New(w.Config)
	looks()
	w.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	looks("near overdue")
	looks()
	s.infos[org][1].Expires = time.Now().Add(24 * time.Hour)
	looks("near soon")
	s.infos[org] = s.infos[org][:1]
	looks()
	if rs, err := db.List(t.Context(), Prefix, "", 10); err != nil || len(rs) != 1 {
		t.Errorf("of what is due no more there are %d records left, %v", len(rs)-1, err)
	}
	if err := Check(t.Context(), db, func(key, what string) { t.Errorf("%s: %s", key, what) }); err != nil {
		t.Error(err)
	}
	delete(s.infos, org)
	looks()
	if rs, err := db.List(t.Context(), Prefix, "", 10); err != nil || len(rs) != 0 {
		t.Errorf("of an organisation that is gone there are %d records, %v", len(rs), err)
	}
	if strings.Contains(r.bodies, "value") || !strings.Contains(r.bodies, `"org":"name of 000000000000000a"`) {
		t.Errorf("it was told %s", r.bodies)
	}
}

// TestCheckFinds: records that nobody has written are found.
func TestCheckFinds(t *testing.T) {
	_, _, db := open(t, nil)
	for _, key := range []string{Prefix + "nonsense", folder(org) + "x", folder(org) + strings.Repeat("0", 64)} {
		if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(key, nil)}); err != nil {
			t.Fatal(err)
		}
	}
	found := 0
	if err := Check(t.Context(), db, func(string, string) { found++ }); err != nil || found != 2 {
		t.Errorf("found %d, %v", found, err)
	}
}

// TestCounts: by organisation, of which there are never more than maxOrgs; what cannot be looked at keeps its counts, and
// keeps no other from being counted.
func TestCounts(t *testing.T) {
	w, s, _ := open(t, nil)
	if got := series(t, w); got["strongroom_secrets_overdue other"] != 0 || len(got) != 2 {
		t.Errorf("before the first look: %v", got)
	}
	for i := range maxOrgs + 20 {
		s.infos[id.ID(100+i)] = s.infos[org][:1]
	}
	s.fails[0x0b] = errs.New(errs.NotImplemented, "no history")
	s.infos[0x0b] = nil
	if err := w.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := func(n int, name string, value float64) {
		t.Helper()
		got := series(t, w)
		if at, ok := got[name]; !ok || at != value {
			t.Errorf("%s is %v (%v), want %v", name, at, ok, value)
		}
		if len(got) != 3+2*n { // two of notices, one of the time
			t.Errorf("there are %d series, want %d of each kind", len(got), n)
		}
	}
	want(maxOrgs+1, "strongroom_secrets_overdue other", 21)
	want(maxOrgs+1, "strongroom_secrets_due_soon 000000000000000a", 1)
	for o := range s.infos {
		if o != org && o != 100 {
			delete(s.infos, o)
		}
	}
	s.fails[org] = errs.New(errs.Unavailable, "away")
	if err := w.Look(t.Context()); !errs.Is(err, errs.Unavailable) {
		t.Errorf("an organisation that cannot be looked at: %v", err)
	}
	want(3, "strongroom_secrets_overdue 000000000000000a", 1)
	want(3, "strongroom_secrets_overdue 0000000000000064", 1)
	want(3, "strongroom_secrets_overdue other", 0)
}

// TestRun: it looks at once, tells in the log when that fails and when it works again, and forgets at its end.
func TestRun(t *testing.T) {
	w, s, _ := open(t, nil)
	var log bytes.Buffer
	var mu sync.Mutex
	w.Log = slog.New(slog.NewTextHandler(writer(func(p []byte) { mu.Lock(); log.Write(p); mu.Unlock() }), nil))
	w.Every = time.Millisecond
	s.fails[org] = errs.New(errs.Unavailable, "away")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	looks := 0
	orgs := w.Orgs
	w.Orgs = func(ctx context.Context) ([]Org, error) {
		if looks++; looks == 5 {
			delete(s.fails, org)
		}
		if looks == 10 {
			stop()
		}
		return orgs(ctx)
	}
	go func() { defer close(done); w.Run(ctx) }()
	<-done
	if text := log.String(); strings.Count(text, "will be tried again") != 1 || !strings.Contains(text, "of again") {
		t.Errorf("the log: %s", text)
	}
	if got := series(t, w); len(got) != 2 {
		t.Errorf("after its end: %v", got)
	}
}

// series are what it counts, by the metric's name and its label.
func series(t *testing.T, w *Watch) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(w)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			all[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }
