package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"strongroom/internal/inflight"
	"strongroom/internal/secret"
)

// TestWatchersWithoutMemory has the server's memory for requests taken by others while somebody is told of changes, on
// a connection that is parked (HTTP/1.1) and on one whose handler waits (HTTP/2). An event that finds no room ends the
// stream as a whole answer, without a part of the event; who comes anew is told 503 and when to try again, until there
// is room; and nothing stays held.
func TestWatchersWithoutMemory(t *testing.T) {
	for _, two := range []bool{false, true} {
		t.Run(map[bool]string{false: "parked", true: "handler"}[two], func(t *testing.T) {
			testWatchersWithoutMemory(t, two)
		})
	}
}

func testWatchersWithoutMemory(t *testing.T, two bool) {
	budget := inflight.New(4 << 20)
	a, token, org := newAPI(t, func(c *Config) { c.Budget = budget })
	hub := a.secrets.Notices(time.Minute)
	t.Cleanup(func() {
		hub.End()
		hub.Wait(context.WithoutCancel(t.Context()))
	})
	s := httptest.NewUnstartedServer(a)
	if s.EnableHTTP2 = two; two {
		s.StartTLS()
	} else {
		s.Start()
	}
	defer s.Close()
	ask := func(method, path, token, body, accept string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
		must(t, err)
		r.Header.Set("Authorization", "Token "+token)
		r.Header.Set("Accept", accept)
		res, err := s.Client().Do(r)
		must(t, err)
		return res
	}
	res := ask("POST", "/api/v2/authorizations", token, fmt.Sprintf(`{"orgID":%q,"permissions":[{"action":"use",`+
		`"resource":{"type":"secrets","orgID":%[1]q}}]}`, org), "")
	var agent struct{ Token string }
	must(t, json.NewDecoder(res.Body).Decode(&agent))
	res.Body.Close()
	values := fmt.Sprintf("/api/v2/orgs/%s/secret-values?watch", org)
	change := func(c map[string]secret.Value) {
		t.Helper()
		_, err := a.store.Apply(t.Context(), org, secret.Change{Set: c})
		must(t, err)
	}
	events := func() (next func() string, end func()) {
		t.Helper()
		res := ask("GET", values, agent.Token, "", "text/event-stream")
		if res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
		lines := bufio.NewReader(res.Body)
		return func() string {
			for {
				line, err := lines.ReadString('\n')
				switch text, data := strings.CutPrefix(line, "data: "); {
				case err == io.EOF && line == "":
					return "end"
				case err != nil:
					return fmt.Sprintf("cut off after %q: %v", line, err)
				case data:
					return strings.TrimSpace(text)
				}
			}
		}, func() { res.Body.Close() }
	}
	var others []*inflight.Share
	take := func() {
		for n := budget.Size() / 2; n > 0; {
			share := budget.Share(fmt.Sprint("other ", len(others)))
			if share.Hold(n) != nil {
				n /= 2
				continue
			}
			others = append(others, &share)
		}
	}
	give := func() {
		for _, share := range others {
			share.Close()
		}
		others = nil
	}
	one := secret.NewValue([]byte("sesame"))
	change(map[string]secret.Value{"k": one})
	next, end := events()
	defer end()
	if got := next(); got != `{"versions":{"k":1}}` {
		t.Fatalf("the first event: %s", got)
	}
	take()
	change(map[string]secret.Value{"k": one}) // what the watcher holds suffices
	if got := next(); got != `{"versions":{"k":2}}` {
		t.Fatalf("a small event without room: %s", got)
	}
	many := map[string]secret.Value{}
	for i := range 200 {
		many[fmt.Sprintf("%s-%03d", strings.Repeat("x", 40), i)] = one
	}
	change(many)
	if got := next(); got != "end" {
		t.Fatalf("an event without room: %.100s", got)
	}
	take() // what it held is free again
	for _, accept := range []string{"text/event-stream", ""} {
		res := ask("GET", values, agent.Token, "", accept)
		body, err := io.ReadAll(res.Body)
		must(t, err)
		res.Body.Close()
		if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || strings.Contains(string(body), "sesame") {
			t.Errorf("who comes anew: %s %v %s", res.Status, res.Header, body)
		}
	}
	give()
	next, end = events()
	if got := next(); strings.Count(got, ":1") != 200 || !strings.Contains(got, `"k":2`) {
		t.Errorf("once there is room: %.100s", got)
	}
	end()
	for budget.Used() != 0 { // the server hears of the end by itself
		if t.Context().Err() != nil {
			t.Fatalf("%d bytes stay held", budget.Used())
		}
		time.Sleep(time.Millisecond)
	}
}
