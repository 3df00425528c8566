package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"testing"
)

// tenant is the first organisation of a server that has just been set up.
type tenant struct {
	org, token, path string
}

func (t tenant) header() string { return "Authorization: Token " + t.token }

// do makes one request that has to succeed.
func do(b *testing.B, method, url, header, value string, body any) []byte {
	b.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		b.Fatal(err)
	}
	q, err := http.NewRequestWithContext(b.Context(), method, url, bytes.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	q.Header.Set(header, value)
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		b.Fatal(err)
	}
	defer a.Body.Close()
	answer, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode >= 300 {
		b.Fatalf("%s %s: %s, %v: %s", method, url, a.Status, err, answer)
	}
	return answer
}

// fill sets the server up and puts n secrets into its organisation.
func fill(b *testing.B, s *server, n int) tenant {
	b.Helper()
	var made struct {
		Org  struct{ ID string }
		Auth struct{ Token string }
	}
	answer := do(b, "POST", s.url+"/api/v2/setup", "Accept", "*/*",
		map[string]string{"username": "ann", "password": "long enough", "org": "o", "bucket": "b"})
	if err := json.Unmarshal(answer, &made); err != nil {
		b.Fatal(err)
	}
	t := tenant{made.Org.ID, made.Auth.Token, "/api/v2/orgs/" + made.Org.ID + "/secrets"}
	do(b, "PATCH", s.url+t.path, "Authorization", "Token "+t.token, values(n))
	return t
}

// values are n secrets of the usual size.
func values(n int) map[string]string {
	all := make(map[string]string, n)
	for i := range n {
		all[keyName(i)] = "a value of the usual size, a token or a password"
	}
	return all
}

func keyName(i int) string { return fmt.Sprintf("key-%05d", i) }

func (t tenant) list() call {
	return call{method: "GET", path: t.path, header: t.header(), status: http.StatusOK}
}

func (t tenant) change(key string) call {
	return call{method: "PATCH", path: t.path, header: t.header(), status: http.StatusNoContent,
		body: `{"` + key + `":"a value of the usual size, another token or password"}`}
}

// all has every client make the same calls.
func all(calls ...call) func(int) []call { return func(int) []call { return calls } }

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// BenchmarkList lists an organisation's secrets, beside a handler that writes as many bytes.
func BenchmarkList(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("secrets=%d", n), func(b *testing.B) {
			s := influxd(b, b.TempDir(), nil)
			t := fill(b, s, n)
			size := len(do(b, "GET", s.url+t.path, "Authorization", "Token "+t.token, nil))
			other := bareList(b, size)
			for _, clients := range []int{1, 8, 32} {
				b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
					compare(b, figure{what: fmt.Sprintf("list of %s, %s", plural(n, "secret"),
						plural(clients, "client")),
						beside: "bare handler", wanted: 0.6, cpu: true}, roundTime,
						asks(b, s, clients, all(t.list())), asks(b, other, clients, all(t.list())))
				})
			}
		})
	}
}

// updates is a side that updates a bbolt file.
func updates(b *testing.B) side {
	b.Helper()
	update, end, err := updater(filepath.Join(b.TempDir(), "bare.bolt"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { end() })
	return side{clients: []func() error{update}}
}

// BenchmarkChange changes secrets of an organisation that has 100, beside one client's bare updates of a bbolt file on
// the same disk, which is one sync for each.
func BenchmarkChange(b *testing.B) {
	s := influxd(b, b.TempDir(), nil)
	t := fill(b, s, 100)
	for _, bm := range []struct {
		name, what string
		clients    int
		key        func(client int) string
		wanted     float64
	}{
		{"clients=1", "change by 1 client", 1, keyName, 0.75},
		{"clients=32/own-keys", "change by 32 clients, a secret each", 32, keyName, 5},
		{"clients=32/same-key", "change by 32 clients, all of one secret", 32, func(int) string {
			return keyName(0)
		}, 5},
	} {
		b.Run(bm.name, func(b *testing.B) {
			f := figure{what: bm.what, beside: "bbolt updates by 1", wanted: bm.wanted}
			ours := asks(b, s, bm.clients, func(client int) []call { return []call{t.change(bm.key(client))} })
			if bm.clients == 1 {
				compareOne(b, f, ours, updates(b))
			} else {
				compare(b, f, diskRoundTime, ours, updates(b))
			}
		})
	}
	// What of the distance is the request: the same update behind a handler.
	b.Run("clients=1/handler", func(b *testing.B) {
		change := func(int) []call { return []call{t.change(keyName(0))} }
		compareOne(b, figure{what: "change by 1 client", beside: "bare handler with such an update"},
			asks(b, s, 1, change), asks(b, bareUpdates(b), 1, change))
	})
}
