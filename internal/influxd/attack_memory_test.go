package influxd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// attackMemory opens a thousand connections, from three addresses, for each route that can take most: with bodies
// that are nearly sent, and with answers that are not read. The most memory that the server had is told for each.
func attackMemory(t *testing.T, v *victim) string {
	const connections = 1000
	org := strings.Split(v.secrets, "/")[4]
	value := strings.Repeat("v", 900_000)
	for i := range 5 {
		v.set(t, fmt.Sprintf(`{"large%d":%q}`, i, value))
	}
	var many strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&many, `,"a-name-that-is-rather-long-%s-%05d":"v"`, strings.Repeat("x", 60), i)
	}
	v.set(t, "{"+many.String()[1:]+"}")

	as := func(token string) string { return "Host: x\r\nAuthorization: Token " + token + "\r\n" }
	get := func(path, token, more string) string {
		return "GET " + path + " HTTP/1.1\r\n" + as(token) + more + "\r\n"
	}
	body := func(method, path, auth, begin string, size int) string {
		return fmt.Sprintf("%s %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", method, path, auth, size,
			begin+strings.Repeat("x", size-len(begin)-1)) // and the last byte never comes
	}
	session := v.session(t)
	page := func(path string) string {
		return "GET " + path + " HTTP/1.1\r\nHost: x\r\nCookie: " + session + "\r\n\r\n"
	}
	form := "Host: x\r\nCookie: " + session + "\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	nobody := "Host: x\r\nAuthorization: Basic " + "bm9ib2R5Om5vdGhpbmc=" + "\r\n"
	idle := v.resident(t)
	var told []string
	for _, route := range []struct{ name, request string }{
		{"sign-in", body("POST", "/api/v2/signin", nobody, "", 60<<10)},
		{"secrets set", body("PATCH", v.secrets, as(v.token), `{"a":"`, 4<<20-100)},
		{"tokens made", body("POST", "/api/v2/authorizations", as(v.token), `{"description":"`, 1<<20-100)},
		{"Vault's maps set", body("POST", "/v1/secret/data/"+org, "Host: x\r\nX-Vault-Token: "+v.token+"\r\n",
			`{"data":{"a":"`, 4<<20-100)},
		{"all values", get(v.values, v.agent, "")},
		{"Vault's maps", get("/v1/secret/data/"+org, v.agent, "")},
		{"names", get(v.secrets, v.token, "")},
		{"audit pages", get("/api/v2/audit?limit=1000", v.token, "")},
		{"backups", get("/api/v2/backup/kv", v.token, "")},
		{"dates of secrets", get("/api/v2/orgs/"+org+"/secret-infos", v.token, "")},
		{"Vault's names", get("/v1/secret/metadata/"+org+"?list=true", v.token, "")},
		{"page: sign-in", body("POST", "/signin", "Host: x\r\n"+
			"Content-Type: application/x-www-form-urlencoded\r\n", "username=", 60<<10)},
		{"page: secrets", page("/orgs/" + org + "/secrets")},
		{"page: their names", page("/orgs/" + org + "/secrets/names")},
		{"page: their dates", page("/orgs/" + org + "/secrets/dates")},
		{"page: names as a file", page("/orgs/" + org + "/secrets/export")},
		{"page: one secret", page("/orgs/" + org + "/secret?key=large1")},
		{"page: import", body("POST", "/orgs/"+org+"/secrets/import", form, "value=", 4<<20-100)},
		{"page: activity", page("/activity?action=all")},
		{"page: activity as a file", page("/activity?action=all&format=jsonl")},
		{"page: tokens", page("/orgs/" + org + "/tokens")},
		{"page: manual", page("/docs/configuration")},
		{"watchers", get(v.values, v.agent, "Accept: text/event-stream\r\n")},
	} {
		peak, held, codes := v.besiege(t, connections, route.request)
		// Above what is counted come buffers and garbage; what a server keeps of one route is in the next one's figure.
		most := idle + 350
		// One body or answer goes alone, beside half of what all others may have.
		if peak > most || held > 32<<20/2+6*4<<20 {
			t.Errorf("%s: %d MiB of memory, %d bytes held, answers %v", route.name, peak, held, codes)
		}
		if codes[500] > 0 {
			t.Errorf("%s: answers %v", route.name, codes)
		}
		t.Logf("%s: %d MiB of memory at most, %d MiB held, answers %v", route.name, peak, held>>20, codes)
		told = append(told, fmt.Sprintf("%s %d", route.name, peak))
	}
	return fmt.Sprintf("%d connections, idle %d MiB; at most, MiB: %s", connections, idle, strings.Join(told, ", "))
}

// session signs the one in who has set the server up, and gives the cookie of the pages.
func (v *victim) session(t *testing.T) string {
	t.Helper()
	client := *v.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.PostForm(v.url+"/signin", url.Values{"username": {"ada"}, "password": {"correct horse"}})
	must(t, err)
	res.Body.Close()
	for _, c := range res.Cookies() {
		if c.Name == "strongroom-session" {
			return c.Name + "=" + c.Value
		}
	}
	t.Fatalf("signing in: %s", res.Status)
	return ""
}

// set changes secrets by a good client.
func (v *victim) set(t *testing.T, secrets string) {
	t.Helper()
	req, err := http.NewRequest("PATCH", v.url+v.secrets, strings.NewReader(secrets))
	must(t, err)
	req.Header.Set("Authorization", "Token "+v.token)
	res, err := v.client.Do(req)
	must(t, err)
	res.Body.Close()
	if res.StatusCode != 204 {
		t.Fatalf("setting secrets: %s", res.Status)
	}
}

// besiege sends the request on so many connections and reads no more than the status of an answer. It gives the most
// memory that the server had meanwhile, in MiB, the most bytes that it counted, and the statuses; 0 is none.
func (v *victim) besiege(t *testing.T, connections int, request string) (peak int, held int64, codes map[int]int) {
	t.Helper()
	codes = make(map[int]int)
	var mu sync.Mutex
	var group sync.WaitGroup
	dials := make(chan struct{}, 32) // at a time, for what is attacked is the server, not the kernel
	for i := range connections {
		group.Go(func() {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%3))}, Timeout: 10 * time.Second}
			dials <- struct{}{}
			conn, err := d.Dial("tcp", v.addr)
			<-dials
			if err != nil {
				t.Log(err)
				return
			}
			defer conn.Close()
			_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
			go func() { _, _ = io.WriteString(conn, request) }()
			code := 0
			if res, err := http.ReadResponse(bufio.NewReaderSize(conn, 512), nil); err == nil {
				code = res.StatusCode
				time.Sleep(time.Second) // and reads nothing of it
			}
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		})
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	for {
		peak, held = max(peak, v.resident(t)), max(held, v.held())
		select {
		case <-done:
			return peak, held, codes
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// resident is the server's memory now, in MiB.
func (v *victim) resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", v.pid))
	must(t, err)
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	must(t, err)
	return pages * os.Getpagesize() >> 20
}

// held is what the server's metrics say of requests under way, 0 where they do not come.
func (v *victim) held() int64 {
	res, err := v.client.Get(v.url + "/metrics")
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "strongroom_in_flight_bytes "); ok {
			f, _ := strconv.ParseFloat(rest, 64)
			return int64(f)
		}
	}
	return 0
}
