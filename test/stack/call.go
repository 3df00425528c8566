package stack

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Request is one request. Token, Cookie and Basic ("name:password") are ways to say who asks.
type Request struct {
	Method, Path         string
	Token, Cookie, Basic string
	Body                 string
	Header               map[string]string
	Chunked              bool // the body is sent without its length
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// client follows no redirect: there must be none.
var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// Do sends a request.
func (s *Stack) Do(t *testing.T, q Request) Answer {
	t.Helper()
	var body io.Reader = strings.NewReader(q.Body)
	if q.Chunked {
		body = struct{ io.Reader }{body}
	}
	req, err := http.NewRequestWithContext(t.Context(), q.Method, s.URL+q.Path, body)
	must(t, err)
	if q.Body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if q.Token != "" {
		req.Header.Set("Authorization", "Token "+q.Token)
	}
	if name, password, ok := strings.Cut(q.Basic, ":"); ok {
		req.SetBasicAuth(name, password)
	}
	if q.Cookie != "" {
		req.AddCookie(&http.Cookie{Name: "influxdb-oss-session", Value: q.Cookie})
	}
	for k, v := range q.Header {
		req.Header.Set(k, v)
	}
	res, err := client.Do(req)
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return Answer{res.StatusCode, res.Header, string(b)}
}

// Must sends a request that has to succeed with the status, and decodes the answer into out, where it is not nil.
func (s *Stack) Must(t *testing.T, q Request, status int, out any) {
	t.Helper()
	a := s.Do(t, q)
	if a.Status != status {
		t.Fatalf("%s %s: %d, not %d: %s", q.Method, q.Path, a.Status, status, a.Body)
	}
	if out == nil {
		return
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(a.Body)))
	if err := dec.Decode(out); err != nil {
		t.Fatalf("%s %s: %v in %s", q.Method, q.Path, err, a.Body)
	}
}

// Admin is the first user of a server that has been set up.
type Admin struct {
	Token, UserID, OrgID, BucketID, AuthID string
}

// AdminPassword is the first user's.
const AdminPassword = "correct horse battery"

// Setup sets the server up with the user admin, the organisation acme and the bucket metrics.
func (s *Stack) Setup(t *testing.T) Admin {
	t.Helper()
	type resource struct{ ID string }
	var o struct {
		User, Org, Bucket resource
		Auth              struct{ ID, Token string }
	}
	s.Hide(AdminPassword)
	s.Must(t, Request{Method: "POST", Path: "/api/v2/setup",
		Body: `{"username":"admin","password":"` + AdminPassword + `","org":"acme","bucket":"metrics"}`},
		http.StatusCreated, &o)
	s.Hide(o.Auth.Token)
	return Admin{Token: o.Auth.Token, UserID: o.User.ID, OrgID: o.Org.ID, BucketID: o.Bucket.ID, AuthID: o.Auth.ID}
}

// SignIn opens a session and returns its cookie.
func (s *Stack) SignIn(t *testing.T, name, password string) string {
	t.Helper()
	a := s.Do(t, Request{Method: "POST", Path: "/api/v2/signin", Basic: name + ":" + password})
	if a.Status != http.StatusNoContent {
		t.Fatalf("signing in as %s: %d %s", name, a.Status, a.Body)
	}
	c := (&http.Response{Header: a.Header}).Cookies()
	if len(c) != 1 {
		t.Fatalf("signing in gave the cookies %v", c)
	}
	s.Hide(c[0].Value)
	return c[0].Value
}
