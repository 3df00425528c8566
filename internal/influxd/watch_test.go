package influxd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"strongroom/internal/secret/vault/vaulttest"
)

// poll waits for an answer that differs from the tag's.
func (r *running) poll(t *testing.T, token, path, tag string) (status int, next, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+path, http.NoBody)
	must(t, err)
	req.Header.Set("Authorization", "Token "+token)
	req.Header.Set("If-None-Match", tag)
	res, err := r.do(req)
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, res.Header.Get("Etag"), string(b)
}

// events reads the data of server-sent events; the channel is closed at their end, which must be that of a whole answer.
func (r *running) events(t *testing.T, token, path string) <-chan string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+path, http.NoBody)
	must(t, err)
	req.Header.Set("Authorization", "Token "+token)
	req.Header.Set("Accept", "text/event-stream")
	res, err := r.do(req)
	must(t, err)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s: %s %s", path, res.Status, res.Header)
	}
	data := make(chan string, 100)
	go func() {
		defer close(data)
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				data <- text
			}
		}
		if err := lines.Err(); err != nil && t.Context().Err() == nil {
			t.Errorf("%s was cut off: %v", path, err)
		}
	}()
	return data
}

// soon gives the next event, or "" at their end.
func soon(t *testing.T, events <-chan string) string {
	t.Helper()
	select {
	case text := <-events:
		return text
	case <-time.After(time.Minute):
		t.Fatal("nothing came")
		return ""
	}
}

// Those who watch are told of changes at once, beyond the time that an answer may take, and of
// nothing that is not theirs.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	token, secrets := r.onboard(t) // which may take longer
	r.end(t)
	r = start(t, dir, "--http-write-timeout=500ms", "--http-read-timeout=500ms")
	r.call(t, "PATCH", secrets, token, `{"db":"sesame","other":"sesame"}`, 204, nil)
	agent, values := r.agent(t, token, secrets)
	_, tag, _ := r.poll(t, agent, values+"?key=db", "")

	if status, same, body := r.poll(t, agent, values+"?key=db&watch=1s", tag); status != 304 || same != tag ||
		body != "" {
		t.Errorf("without a change: %d %s %q", status, same, body)
	}
	events, both := r.events(t, agent, values+"?watch&key=db"), r.events(t, agent, values+"?watch")
	if got := soon(t, events); got != `{"versions":{"db":1}}` {
		t.Errorf("the first event is %s", got)
	}
	if got := soon(t, both); got != `{"versions":{"db":1,"other":1}}` {
		t.Errorf("the first event of all is %s", got)
	}
	polled := make(chan string, 1)
	go func() {
		status, _, body := r.poll(t, agent, values+"?key=db&watch=1m", tag)
		polled <- fmt.Sprint(status, body)
	}()
	r.call(t, "PATCH", secrets, token, `{"other":"sesame 2"}`, 204, nil) // nothing to those who watch db
	if got := soon(t, both); got != `{"versions":{"db":1,"other":2}}` {
		t.Errorf("after a change of other: %s", got)
	}
	time.Sleep(600 * time.Millisecond) // beyond what an answer may take
	r.call(t, "PATCH", secrets, token, `{"db":"sesame 2"}`, 204, nil)
	if got := soon(t, events); got != `{"versions":{"db":2}}` {
		t.Errorf("after a change: %s", got)
	}
	if got := <-polled; got != `200{"db":"sesame 2"}` {
		t.Errorf("the poll was answered %s", got)
	}
	r.call(t, "DELETE", secrets+"/db", token, "", 204, nil)
	if got := soon(t, events); got != `{"versions":{}}` {
		t.Errorf("after a deletion: %s", got)
	}
	if status, _, body := r.poll(t, agent, values+"?key=db&watch", tag); status != 404 {
		t.Errorf("a poll of what is not there: %d %s", status, body)
	}
	for query, want := range map[string]int{"?watch=x": 400, "?watch=-1s": 400, "?watch=2m": 400} {
		if status, _, body := r.poll(t, agent, values+query, tag); status != want {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	if status, _, body := r.poll(t, token, values+"?watch", tag); status != 401 {
		t.Errorf("by who may not use secrets: %d %s", status, body)
	}

	// What ends a watch: the end of the token, of the organisation, of the server.
	revoked, _ := r.agent(t, token, secrets)
	events = r.events(t, revoked, values+"?watch")
	soon(t, events)
	var list struct {
		Authorizations []struct {
			ID          string
			Permissions []struct{ Action string }
		}
	}
	r.call(t, "GET", "/api/v2/authorizations?limit=100", token, "", 200, &list)
	newest := list.Authorizations[len(list.Authorizations)-1]
	if newest.Permissions[0].Action != "use" {
		t.Fatalf("the last token is %+v", newest)
	}
	r.call(t, "DELETE", "/api/v2/authorizations/"+newest.ID, token, "", 204, nil)
	r.call(t, "PATCH", secrets, token, `{"db":"sesame 3"}`, 204, nil)
	if got := soon(t, events); got != "" {
		t.Errorf("who has no token any more is told %s", got)
	}
	for got := range both {
		if strings.Contains(got, "sesame") {
			t.Errorf("an event has a value: %s", got)
		}
		if strings.Contains(got, `"db":3`) {
			break
		}
	}
	begun := time.Now()
	r.stop()
	must(t, r.wait())
	if got, ok := <-both; ok && got != "" {
		t.Errorf("at the server's end: %s", got)
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("watchers held the server's end up for %v", took)
	}
	if strings.Contains(r.stderr.String()+r.stdout.String(), "sesame") {
		t.Error("a value is in the log")
	}
}

// Over TLS it is the same, with a connection of its own and as one of several streams of HTTP/2.
func TestWatchOverTLS(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			dir := t.TempDir()
			cert, key, transport := certificateFor(t, dir)
			transport.ForceAttemptHTTP2 = proto == "HTTP/2.0"
			t.Cleanup(transport.CloseIdleConnections)
			r := start(t, dir, "--tls-cert="+cert, "--tls-key="+key)
			r.client = &http.Client{Transport: transport}
			token, secrets := r.onboard(t) // which may take longer
			r.end(t)
			r = start(t, dir, "--tls-cert="+cert, "--tls-key="+key, "--http-write-timeout=500ms",
				"--http-read-timeout=500ms")
			r.client = &http.Client{Transport: transport}
			r.call(t, "PATCH", secrets, token, `{"db":"sesame"}`, 204, nil)
			agent, values := r.agent(t, token, secrets)
			events := r.events(t, agent, values+"?watch&key=db")
			for n := 1; n <= 3; n++ {
				if got := soon(t, events); got != fmt.Sprintf(`{"versions":{"db":%d}}`, n) {
					t.Errorf("event %d is %s", n, got)
				}
				time.Sleep(600 * time.Millisecond) // beyond what an answer may take
				r.call(t, "PATCH", secrets, token, `{"db":"sesame again"}`, 204, nil)
			}
			soon(t, events)
			over := r.events(t, agent, values+"?watch=1s&key=db")
			soon(t, over)
			if got := soon(t, over); got != "" {
				t.Errorf("beyond the time that was asked for: %s", got)
			}
			r.end(t)
			if got := soon(t, events); got != "" {
				t.Errorf("at the server's end: %s", got)
			}
		})
	}
}

// Watchers of connections of their own hold their share of what all may hold, and a place of a connection, until they
// leave.
func TestWatchersHoldTheirShare(t *testing.T) {
	r := start(t, t.TempDir())
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"db":"sesame"}`, 204, nil)
	var many strings.Builder // so that an event of all names counts for more, while it is sent
	for i := range 1000 {
		fmt.Fprintf(&many, `,"a-long-name-%04d":"v"`, i)
	}
	r.call(t, "PATCH", secrets, token, "{"+many.String()[1:]+"}", 204, nil)
	agent, values := r.agent(t, token, secrets)
	held := func() string {
		_, _, body := r.poll(t, token, "/metrics", "")
		for line := range strings.Lines(body) {
			if text, ok := strings.CutPrefix(line, "strongroom_in_flight_bytes "); ok {
				return strings.TrimSpace(text)
			}
		}
		t.Fatal("there is no metric of what is held")
		return ""
	}
	if got := held(); got != "0" {
		t.Fatalf("%s bytes are held by nobody", got)
	}
	ctx, leave := context.WithCancel(t.Context())
	for range 3 {
		req, err := http.NewRequestWithContext(ctx, "GET", r.url+values+"?watch", http.NoBody)
		must(t, err)
		req.Header.Set("Authorization", "Token "+agent)
		req.Header.Set("Accept", "text/event-stream")
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		t.Cleanup(func() { res.Body.Close() })
	}
	for end := time.Now().Add(time.Minute); held() != fmt.Sprint(3*16<<10) && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if got := held(); got != fmt.Sprint(3*16<<10) {
		t.Errorf("three watchers hold %s bytes", got)
	}
	leave()
	for end := time.Now().Add(time.Minute); held() != "0"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s bytes are held by those who have left", held())
		}
	}
}

func tagOfNow(t *testing.T, r *running, agent, values string) string {
	t.Helper()
	_, tag, _ := r.poll(t, agent, values, "")
	return tag
}

// Over Vault changes are found by looking, also those that others make.
func TestWatchOverVault(t *testing.T) {
	v := vaulttest.Shared(t)
	path := fmt.Sprintf("watch-%d-%d/{org}", os.Getpid(), time.Now().UnixNano())
	flags := []string{"--secret-store=vault", "--vault-addr=" + v.Address, "--vault-token=" + v.RootToken,
		"--vault-path=" + path, "--vault-cache-ttl=200ms"}
	r := start(t, t.TempDir(), flags...)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"db":"sesame"}`, 204, nil)
	agent, values := r.agent(t, token, secrets)
	tag := tagOfNow(t, r, agent, values)
	if status, _, _ := r.poll(t, agent, values+"?watch=1s", tag); status != 304 {
		t.Errorf("without a change: %d", status)
	}
	polled := make(chan string, 1)
	go func() {
		status, _, body := r.poll(t, agent, values+"?watch=1m", tag)
		polled <- fmt.Sprint(status, body)
	}()
	r.call(t, "PATCH", secrets, token, `{"db":"sesame 2"}`, 204, nil)
	if got := <-polled; got != `200{"db":"sesame 2"}` {
		t.Errorf("the poll was answered %s", got)
	}
}
