package influxd

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	datafile "strongroom/internal/kv/bolt/snapshot"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
)

// told is what the clients of a server that is killed again and again were told. A client has at most one request that
// was not answered; whether that was carried out, what is found after the kill says.
type told struct {
	t     *testing.T
	token string
	one   id.ID // the organisation whose secrets are written as entries
	other id.ID // the one that is written as a map

	mu       sync.Mutex
	versions map[int]string // of the contested secret, and what each was given
	open     map[string]bool
	attempts int
	maps     map[int64]string // of the other organisation, and whose write made it
	counts   map[string]int   // the changes of each client that were acknowledged
	seen     map[string]entryAnswer
	acks     chan string
}

// entryAnswer is an answer of the API of Vault's clients.
type entryAnswer struct {
	Data struct {
		Version  int64
		Data     map[string]string
		Metadata struct{ Version int64 }
	}
}

// asks sends a request and gives its answer; ok is false where there was none.
func (k *told) asks(transport *http.Transport, method, url, body string) (status int, a entryAnswer, ok bool) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, a, false
	}
	req.Header.Set("Content-Type", "application/merge-patch+json")
	req.Header.Set("Authorization", "Token "+k.token)
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0, a, false
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNoContent {
		return res.StatusCode, a, true
	}
	if json.NewDecoder(res.Body).Decode(&a) != nil {
		return 0, a, false
	}
	return res.StatusCode, a, true
}

// client runs one client until the server is gone: turn makes one request, or several, and reports whether it goes on.
func (k *told) client(wg *sync.WaitGroup, turn func(*http.Transport) bool) {
	wg.Go(func() {
		var transport http.Transport
		defer transport.CloseIdleConnections()
		for turn(&transport) {
		}
	})
}

func (k *told) acknowledged(name string) {
	k.mu.Lock()
	k.counts[name]++
	k.mu.Unlock()
	k.acks <- name
}

func (k *told) count(name string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.counts[name]
}

// last is what the client has read last, also before the server was killed: a condition that it names may be out of date.
func (k *told) last(name string, transport *http.Transport, url string) (a entryAnswer, ok bool) {
	k.mu.Lock()
	a, ok = k.seen[name]
	k.mu.Unlock()
	if ok {
		return a, true
	}
	status, a, ok := k.asks(transport, "GET", url, "")
	if ok && status != http.StatusOK && status != http.StatusNotFound {
		k.t.Errorf("%s reads, and is answered %d", name, status)
		return a, false
	}
	if ok {
		k.sees(name, &a)
	}
	return a, ok
}

func (k *told) sees(name string, a *entryAnswer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if delete(k.seen, name); a != nil {
		k.seen[name] = *a
	}
}

// races sets one secret under the condition of its version, in a race with others.
func (k *told) races(name, url string) func(*http.Transport) bool {
	url += "/v1/secret/data/" + k.one.String() + "/contested"
	return func(transport *http.Transport) bool {
		was, ok := k.last(name, transport, url)
		if !ok {
			return false
		}
		k.mu.Lock()
		k.attempts++
		value := fmt.Sprint(name, " ", k.attempts)
		k.open[value] = true
		k.mu.Unlock()
		status, a, ok := k.asks(transport, "PUT", url, fmt.Sprintf(`{"data":{"value":%q},"options":{"cas":%d}}`, value,
			was.Data.Metadata.Version))
		if !ok {
			return false
		}
		k.sees(name, nil)
		k.mu.Lock()
		delete(k.open, value)
		twice := k.versions[int(a.Data.Version)]
		if status == http.StatusOK {
			k.versions[int(a.Data.Version)] = value
		}
		k.mu.Unlock()
		switch {
		case status == http.StatusBadRequest:
			return true
		case status != http.StatusOK || a.Data.Version != was.Data.Metadata.Version+1 || twice != "":
			k.t.Errorf("%s writes %q at version %d, and is answered %d, version %d, which was %q", name, value,
				was.Data.Metadata.Version, status, a.Data.Version, twice)
			return false
		}
		k.acknowledged("contested")
		return true
	}
}

// writesMap writes the whole map under the condition of its version, as InfluxDB does, with its own name counted up.
func (k *told) writesMap(name, url string) func(*http.Transport) bool {
	url += "/v1/secret/data/" + k.other.String()
	return func(transport *http.Transport) bool {
		was, ok := k.last(name, transport, url)
		if !ok {
			return false
		}
		next := map[string]string{name: fmt.Sprint(k.count(name) + 1)}
		for key, value := range was.Data.Data {
			if key != name {
				next[key] = value
			}
		}
		body, err := json.Marshal(map[string]any{"data": next, "options": map[string]any{
			"cas": was.Data.Metadata.Version}})
		if err != nil {
			return false
		}
		status, a, ok := k.asks(transport, "PUT", url, string(body))
		if !ok {
			return false
		}
		k.sees(name, nil)
		if status == http.StatusBadRequest {
			return true
		}
		k.mu.Lock()
		twice := k.maps[a.Data.Version]
		k.maps[a.Data.Version] = name
		k.mu.Unlock()
		if status != http.StatusOK || a.Data.Version != was.Data.Metadata.Version+1 || twice != "" {
			k.t.Errorf("%s writes the map at version %d, and is answered %d, version %d, which was of %q", name,
				was.Data.Metadata.Version, status, a.Data.Version, twice)
			return false
		}
		k.acknowledged(name)
		return true
	}
}

// counting makes one change after the other, the nth of which request gives.
func (k *told) counting(name string, request func(n int) (method, url, body string)) func(*http.Transport) bool {
	return func(transport *http.Transport) bool {
		method, url, body := request(k.count(name) + 1)
		status, _, ok := k.asks(transport, method, url, body)
		if ok && status != http.StatusOK && status != http.StatusNoContent {
			k.t.Errorf("%s asks %s %s %s, and is answered %d", name, method, url, body, status)
		}
		if !ok || status >= 300 {
			return false
		}
		k.acknowledged(name)
		return true
	}
}

// undoes gives the nth change of who sets a secret, deletes it and brings it back.
func undoes(url string, org id.ID) func(n int) (method, at, body string) {
	return func(n int) (method, at, body string) {
		version := (n + 2) / 3
		at = url + "/v1/secret/data/" + org.String() + "/undone"
		switch n % 3 {
		case 1:
			return "PUT", at, fmt.Sprintf(`{"data":{"value":"%d"}}`, version)
		case 2:
			return "DELETE", at, ""
		}
		return "PUT", strings.Replace(at, "/data/", "/undelete/", 1), fmt.Sprintf(`{"versions":[%d]}`, version)
	}
}

var (
	killRacers   = []string{"racer a", "racer b", "racer c"}
	killMappers  = []string{"map-a", "map-b", "map-c"}
	killPatchers = []string{"patch-a", "patch-b"}
	killInflux   = []string{"influx-one", "influx-other"} // one in each organisation
)

// killClients are the names that changes are acknowledged under.
var killClients = slices.Concat([]string{"contested", "undone"}, killMappers, killPatchers, killInflux)

// run lets all clients write until the server is killed at a random moment, which is after a change of each of them.
func (k *told) run(url string, each []string, kill func()) {
	k.acks = make(chan string, 1000)
	var wg sync.WaitGroup
	for _, name := range killRacers {
		k.client(&wg, k.races(name, url))
	}
	for _, name := range killMappers {
		k.client(&wg, k.writesMap(name, url))
	}
	for _, name := range killPatchers {
		k.client(&wg, k.counting(name, func(n int) (method, at, body string) {
			return "PATCH", url + "/v1/secret/data/" + k.one.String() + "/object", fmt.Sprintf(`{"data":{%q:"%d"}}`, name, n)
		}))
	}
	for i, name := range killInflux {
		k.client(&wg, k.counting(name, func(n int) (method, at, body string) {
			return "PATCH", url + "/api/v2/orgs/" + []id.ID{k.one, k.other}[i].String() + "/secrets",
				fmt.Sprintf(`{%q:"%d"}`, name, n)
		}))
	}
	k.client(&wg, k.counting("undone", undoes(url, k.one)))
	go func() { wg.Wait(); close(k.acks) }()
	if !underLoad(k.t, k.acks, rand.IntN(60), each) {
		k.t.Error("a client was refused")
	}
	kill()
	for range k.acks { // what was acknowledged on the way
	}
}

// counted holds what is there of a client's changes against what it was told, and takes it for what it was told.
func (k *told) counted(name, found string) {
	n := k.counts[name]
	switch found {
	case "":
		found = "0"
	case fmt.Sprint(n + 1): // the one that was not answered
		n++
	}
	if found != fmt.Sprint(n) {
		k.t.Errorf("%d changes of %s were acknowledged, and %s are there", k.counts[name], name, found)
	}
	k.counts[name] = n
}

// verify reads through the store what the killed server has left.
func (k *told) verify(store *embedded.Store) {
	k.t.Helper()
	ctx := k.t.Context()
	one, err := store.Read(ctx, k.one, secret.Query{Versions: true})
	must(k.t, err)
	other, err := store.Read(ctx, k.other, secret.Query{})
	must(k.t, err)
	text := func(s secret.Snapshot, name string) string { return string(s.Secrets[name].Value.Bytes()) }

	// The contested secret: each version that was acknowledged has what was written, each other one what was not answered.
	changes := 0
	info, err := store.Info(ctx, k.one, "contested")
	if err != nil && (!errs.Is(err, errs.NotFound) || len(k.versions) > 0) {
		k.t.Errorf("the contested secret: %v", err)
	}
	for i, v := range info.Versions {
		if i > 0 && v.Number != info.Versions[i-1].Number+1 && v.Number != info.Versions[i-1].Number-1 {
			k.t.Errorf("the contested secret has no version between %d and %d", info.Versions[i-1].Number, v.Number)
		}
		if !v.Restorable && v.Number != info.Version {
			continue
		}
		got, err := store.ReadVersion(ctx, k.one, "contested", v.Number)
		must(k.t, err)
		value := string(got.Value.Bytes())
		if was, ok := k.versions[v.Number]; ok && was != value || !ok && !k.open[value] {
			k.t.Errorf("version %d was acknowledged with %q (%v), and is %q", v.Number, was, ok, value)
		}
		delete(k.open, value)
		k.versions[v.Number] = value
	}
	for v := range k.versions {
		if changes = max(changes, v); v > info.Version {
			k.t.Errorf("version %d was acknowledged, and %d is the last", v, info.Version)
		}
	}
	if len(k.versions) != info.Version {
		k.t.Errorf("of %d versions %d are known", info.Version, len(k.versions))
	}
	clear(k.open)

	// The object has the changes of all who patched it.
	object, members := one.Secrets["object"], map[string]string{}
	document, ok := object.Value.Document()
	if err := json.Unmarshal(document, &members); !ok || err != nil {
		k.t.Errorf("the object is %q: %v", object.Value.Bytes(), err)
	}
	patched := 1 // it was made
	for _, name := range killPatchers {
		k.counted(name, members[name])
		patched += k.counts[name]
	}
	if object.Version != patched {
		k.t.Errorf("the object was patched to version %d, and is at %d", patched, object.Version)
	}
	changes += patched

	k.counted(killInflux[0], text(one, killInflux[0]))
	changes += k.counts[killInflux[0]]
	k.undone(store)
	changes += k.counts["undone"]
	if one.Version != int64(changes) {
		k.t.Errorf("the organisation was changed %d times, and is at version %d", changes, one.Version)
	}

	// The map has what each client added, and a version for each of those changes.
	changes = 0
	for _, name := range append([]string{killInflux[1]}, killMappers...) {
		k.counted(name, text(other, name))
		changes += k.counts[name]
	}
	if other.Version != int64(changes) {
		k.t.Errorf("the map was changed %d times, and is at version %d", changes, other.Version)
	}
}

// undone holds the secret that is deleted and brought back against what its client was told.
func (k *told) undone(store *embedded.Store) {
	k.t.Helper()
	version, deleted := 0, false
	info, err := store.Info(k.t.Context(), k.one, "undone")
	switch {
	case err == nil:
		version, deleted = info.Version, !info.Deleted.IsZero()
	case !errs.Is(err, errs.NotFound):
		k.t.Errorf("the secret that is brought back: %v", err)
	}
	n := k.counts["undone"]
	for _, n := range []int{n, n + 1} {
		if version == (n+2)/3 && deleted == (n%3 == 2) {
			k.counts["undone"] = n
			return
		}
	}
	k.t.Errorf("after %d changes it is at version %d, deleted %v", n, version, deleted)
}

// TestKillVaultClients kills the server at random moments while clients of both APIs write under conditions, patch,
// delete and bring back. Nothing that was acknowledged is lost, no condition holds twice, and every change is one version.
func TestKillVaultClients(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, token, operator := asVaultAt(t, dir)
	k := &told{t: t, token: token, versions: make(map[int]string), open: make(map[string]bool),
		maps: make(map[int64]string), counts: make(map[string]int), seen: make(map[string]entryAnswer)}
	var orgs struct{ Orgs []struct{ ID, Name string } }
	r.call(t, "POST", "/api/v2/orgs", operator, `{"name":"other"}`, http.StatusCreated, nil)
	r.call(t, "GET", "/api/v2/orgs", operator, "", http.StatusOK, &orgs)
	for _, o := range orgs.Orgs {
		is := &k.one
		if o.Name == "other" {
			is = &k.other
		}
		var err error
		*is, err = id.Parse(o.ID)
		must(t, err)
	}
	r.call(t, "PUT", "/v1/secret/data/"+k.one.String()+"/object", token, `{"data":{"made":"yes"}}`, http.StatusOK, nil)
	r.end(t)
	rounds := kills() / 3
	for round := range rounds {
		url, child := startChild(t, dir, "--secret-history 50")
		k.run(url, eachSecond(round, killClients), func() {
			must(t, child.Process.Kill()) // SIGKILL
			_ = child.Wait()              // it was killed
		})
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
		data, problems, err := datafile.Read(t.Context(), filepath.Join(dir, "influxd.bolt"))
		must(t, err)
		keys, err := keyring.OpenOrInit(t.Context(), data,
			keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
		must(t, err)
		if len(problems) > 0 {
			t.Errorf("the file is damaged: %q", problems)
		}
		k.verify(embedded.New(embedded.Config{KV: data, Keyring: keys, History: 50}))
		keys.Close()
		must(t, data.Close())
		if t.Failed() {
			t.Fatalf("after round %d", round)
		}
	}
	for _, args := range [][]string{{"check"}, {"audit", "verify"}} {
		if out, _, err := influxdOn(t, dir, args...); err != nil {
			t.Errorf("%v after %d kills: %v\n%s", args, rounds, err, out)
		}
	}
}
