package influxd

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// malformed are bodies that are wrong in one way each.
var malformed = []string{
	``, `{`, `}`, `null`, `[]`, `""`, `1e999999`, `{"a":1}`, `{"a":null}`, `{"a":{}}`, `{"name":1}`,
	`{"permissions":[{}]}`, `{"id":"zz"}`, `{"name":"` + "\x00\xff" + `"}`, `{"name":"\ud800"}`, `{"secrets":[null,1]}`,
	`{"orgID":"0000000000000000"}`, `{"a":"b"} x`, strings.Repeat(`{"a":`, 20_000), strings.Repeat("[", 50_000),
	`{"` + strings.Repeat("k", 40_000) + `":"v"}`, `{"expiresAt":"9999999-01-01T00:00:00Z"}`,
	`{"retentionRules":[{"everySeconds":-9223372036854775808}]}`,
}

// broken are requests that are no HTTP, or nearly; %s is the method and path with what identifies the caller behind it.
var broken = []string{
	"%s\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	"%s\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx",
	"%s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab\r\n0\r\n\r\n",
	"%s\r\nTransfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("x", 5000) + "\r\nabcde\r\n0\r\n\r\n",
	"%s\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
	"%s\r\nTransfer-Encoding: gzip\r\n\r\n",
	"%s\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
	"%s\r\nContent-Length: -1\r\n\r\n",
	"%s\r\nContent-Length: 999999999999\r\n\r\n{}",
	"%s\r\nContent-Length: 50\r\n\r\n{}", // and no more
	"%s\r\nHost: other\r\n\r\n",
	"%s\r\nX-Long: " + strings.Repeat("x", 100_000) + "\r\n\r\n",
	"%s\r\nCookie: influxdb-oss-session=" + strings.Repeat("%%00", 100) + "\r\n\r\n",
	"%s\r\nExpect: 100-continue, more\r\nContent-Length: 2\r\n\r\n{}",
	"%s\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
	"%s\r\nbad header\r\n\r\n",
}

// attackMalformed sends bad requests to every route of the document: what is wrong with them is the
// client's, and said so.
func attackMalformed(t *testing.T, v *victim) string {
	b, err := os.ReadFile("../httpapi/openapi.json")
	must(t, err)
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	must(t, json.Unmarshal(b, &doc))
	org := strings.Split(v.secrets, "/")[4]
	codes := make(map[int]int)
	n := 0
	var mu sync.Mutex
	var group sync.WaitGroup
	room := make(chan struct{}, 16) // requests at a time
	exchange := func(what, request string) {
		code, answer := v.exchange(t, request)
		mu.Lock()
		defer mu.Unlock()
		if code == http.StatusNotImplemented || code == http.StatusHTTPVersionNotSupported {
			code = 400 // what RFC 9112 has for a coding or a version that is not known
		}
		// On a slow machine the sixteen are more than one address may have of the pages at a time, or of backups.
		if code == http.StatusServiceUnavailable && (strings.Contains(answer, "too much is under way") ||
			strings.Contains(answer, "others are reading backups")) {
			code = http.StatusTooManyRequests
		}
		codes[code/100]++
		if code >= 500 || code >= 400 && strings.Contains(answer, "has the details") {
			t.Errorf("%s: %d %.300s\n%.200q", what, code, answer, request)
		}
	}
	send := func(what, request string) {
		n++
		room <- struct{}{}
		group.Go(func() {
			defer func() { <-room }()
			exchange(what, request)
		})
	}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			method = strings.ToUpper(method)
			if strings.HasPrefix(path, "/api/v2/seal/") && method == "POST" || len(method) > 7 {
				continue // a rotation is no mistake
			}
			at := path
			if method != "DELETE" {
				at = strings.ReplaceAll(at, "{orgID}", org)
			}
			for strings.Contains(at, "{") {
				open, end := strings.Index(at, "{"), strings.Index(at, "}")
				at = at[:open] + "0123456789abcdef" + at[end+1:]
			}
			auth := "\r\nAuthorization: Token " + v.token
			if method != "GET" && method != "HEAD" {
				for _, body := range malformed {
					send(method+" "+path, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x%s\r\nContent-Length: %d\r\n\r\n%s",
						method, at, auth, len(body), body))
				}
			}
			for _, form := range broken {
				send(method+" "+path, fmt.Sprintf(form, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x%s", method, at, auth)))
			}
			for _, query := range []string{"?%zz", "?a=%ff&limit=-1", "?limit=99999999999999999999&offset=-1",
				"?orgID=zz&userID=%00&before=x&since=y", "?key=" + strings.Repeat("k", 20_000), "?;;&&==", "/../../x",
				"//", "/%2e%2e/%00", "?org=\xff"} {
				send(method+" "+path+query, fmt.Sprintf("%s %s%s HTTP/1.1\r\nHost: x%s\r\nContent-Length: 0\r\n\r\n",
					method, at, query, auth))
			}
			for _, caller := range []string{"", "\r\nAuthorization: Token", "\r\nAuthorization: Basic Og==",
				"\r\nAuthorization: Bearer " + strings.Repeat("a", 5000),
				"\r\nCookie: influxdb-oss-session=x; strongroom-session=y",
				"\r\nOrigin: null\r\nSec-Fetch-Site: cross-site\r\nX-Forwarded-For: " + strings.Repeat("1,", 500)} {
				send(method+" "+path+" as nobody",
					fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x%s\r\nContent-Length: 2\r\n\r\n{}", method, at, caller))
			}
			// A client that closes its half as soon as it has asked.
			send(method+" "+path+" half", fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x%s\r\nContent-Length: 2\r\n\r\n{",
				method, at, auth))
		}
	}
	for _, junk := range []string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\r\n\r\n\r\n", "GET http://[::1 HTTP/1.1\r\n\r\n",
		"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", strings.Repeat("A", 200_000)} {
		send("junk", junk)
	}
	group.Wait()
	if n < 2500 {
		t.Errorf("only %d requests were sent", n)
	}
	return fmt.Sprintf("%d requests: %d done, %d refused, %d faults", n, codes[2]+codes[3], codes[4], codes[5])
}

// exchange sends a request, closes its half of the connection, and gives the status and what came with it; 0 where the
// server only closed the connection.
func (v *victim) exchange(t *testing.T, request string) (int, string) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: 10 * time.Second}
	conn, err := d.Dial("tcp", v.addr)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, request) // the server may have closed the connection in the middle of it
	_ = conn.(*net.TCPConn).CloseWrite()
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return 0, ""
	}
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, string(b)
}
