package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"strongroom/test/stack"
)

// TestRecordings sends what was once sent to a real InfluxDB, with its embedded store and with Vault, and compares the
// answers: status, the headers that clients read, and JSON. What differs must be in the table deliberately, and all of
// the table must be needed.
func TestRecordings(t *testing.T) {
	used := make([]int, len(deliberately))
	for _, file := range []string{"responses-bolt.txt", "responses-vault.txt"} {
		t.Run(file, func(t *testing.T) {
			s := stack.Start(t, stack.Options{})
			o := make(ours)
			var listed []string
			for _, x := range readRecording(t, file) {
				server := s
				if x.name == "setup no password" { // this is a setup here, so it gets a server of its own
					server = stack.Start(t, stack.Options{})
				}
				for _, d := range replay(t, server, x, o, &listed) {
					known := false
					for i, e := range deliberately {
						if matches(t, e.exchange, x.name) && matches(t, e.difference, d) {
							known = true
							used[i]++
							break
						}
					}
					if !known {
						t.Errorf("%s: %s", x.name, d)
					}
				}
			}
		})
	}
	for i, n := range used {
		if n == 0 {
			t.Errorf("there is no such difference any more: %+v", deliberately[i])
		}
	}
}

func matches(t *testing.T, pattern, s string) bool {
	t.Helper()
	re, err := regexp.Compile("^(?s:" + pattern + ")$")
	if err != nil {
		t.Fatal(err)
	}
	return re.MatchString(s)
}

// replay sends the exchange's request and lists how the answer differs.
func replay(t *testing.T, s *stack.Stack, x exchange, o ours, listed *[]string) []string {
	t.Helper()
	q := stack.Request{Method: x.method, Path: o.in(x.path), Body: o.in(x.whole(t, *listed)),
		Header: make(map[string]string)}
	for k, v := range x.headers {
		q.Header[k] = o.in(v)
		if name, value, _ := strings.Cut(o.in(v), "="); k == "Cookie" && name == "session" {
			// InfluxDB 2.0.0-beta.11, which was recorded, calls its cookie "session"; later ones as we do.
			q.Header[k] = "influxdb-oss-session=" + value
		}
	}
	a := s.Do(t, q)
	var all []string
	differ := func(what string, recorded, here any) {
		if recorded != here {
			all = append(all, fmt.Sprintf("%s: %v became %v", what, recorded, here))
		}
	}
	if x.status != a.Status {
		return []string{summary(x.status, x.answer) + " became " + summary(a.Status, a.Body)}
	}
	for _, h := range []string{"X-Platform-Error-Code", "Content-Type", "Allow", "Location",
		"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"} {
		differ(h, x.answered[h], a.Header.Get(h))
	}
	_, recordedSession, _ := strings.Cut(x.answered["Set-Cookie"], "=")
	cookies := (&http.Response{Header: a.Header}).Cookies()
	differ("a cookie", recordedSession != "", len(cookies) > 0 && cookies[0].Value != "")
	if recordedSession != "" && len(cookies) > 0 {
		o[recordedSession] = cookies[0].Value
	}
	if cut.MatchString(x.answer) {
		differ("whether there is a body", true, a.Body != "")
	} else {
		all = append(all, compareBodies(x.answer, a.Body, o)...)
	}
	var l secretKeys
	if json.Unmarshal([]byte(a.Body), &l) == nil && l.Secrets != nil {
		*listed = l.Secrets
	}
	return all
}

// summary is an answer in one line: its status, and, of an error, its code and message.
func summary(status int, body string) string {
	var e struct{ Code, Message string }
	if json.Unmarshal([]byte(body), &e) != nil || e.Code == "" {
		return fmt.Sprint(status)
	}
	return fmt.Sprintf("%d %s: %s", status, e.Code, e.Message)
}

// compareBodies compares what is JSON as JSON.
func compareBodies(recorded, here string, o ours) []string {
	var r, h any
	rerr, herr := json.Unmarshal([]byte(recorded), &r), json.Unmarshal([]byte(here), &h)
	if rerr != nil || herr != nil {
		if recorded == strings.TrimSpace(here) {
			return nil
		}
		return []string{fmt.Sprintf("the body: %q became %q", recorded, here)}
	}
	o.learn(r, h)
	return o.differences("body", r, h)
}
