package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/client"
)

func TestErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		header string
		want   client.Error
	}{
		"unauthorized": {401, `{"code":"unauthorized","message":"unauthorized access"}`, "",
			client.Error{StatusCode: 401, Code: "unauthorized", Message: "unauthorized access"}},
		"indented": {404, "{\n\t\"code\": \"not found\",\n\t\"message\": \"organization name \\\"x\\\" " +
			"not found\"\n}", "",
			client.Error{StatusCode: 404, Code: "not found", Message: `organization name "x" not found`}},
		"header only": {503, ``, "unavailable",
			client.Error{StatusCode: 503, Code: "unavailable", Message: "unavailable"}},
		"what Vault's API does not find": {404, `{"errors":[]}`, "",
			client.Error{StatusCode: 404, Code: "not found", Message: "not found"}},
		"a proxy's page": {502, `<html>Bad Gateway</html>`, "",
			client.Error{StatusCode: 502,
				Message: "HOST answered 502 Bad Gateway, and not in the form of the InfluxDB API; " +
					"is it the right address?"}},
		"another kind of 200": {200, `<html>hello</html>`, "",
			client.Error{StatusCode: 200,
				Message: "HOST answered 200 OK, and not in the form of the InfluxDB API; is it the " +
					"right address?"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if tc.header != "" {
					w.Header().Set("X-Platform-Error-Code", tc.header)
				}
				answer(w, tc.status, tc.body)
			})
			_, err := c.SecretKeys(t.Context(), orgID)
			var got *client.Error
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want an *Error", err)
			}
			tc.want.Message = strings.Replace(tc.want.Message, "HOST", c.Host(), 1)
			if diff := cmp.Diff(tc.want, *got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAgain: what was answered that the server cannot serve now is sent again, where that changes nothing more.
func TestAgain(t *testing.T) {
	tries, after := 0, ""
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries > 1 {
			w.Header().Set("ETag", `"8"`)
			answer(w, http.StatusOK, `{}`)
			return
		}
		w.Header().Set("Retry-After", after)
		answer(w, http.StatusServiceUnavailable, `{"code":"unavailable","message":"later"}`)
	})
	ctx := t.Context()
	for name, tc := range map[string]struct {
		call  func() error
		tries int
	}{
		"a read":       {func() error { _, err := c.SecretKeys(ctx, orgID); return err }, 2},
		"a set":        {func() error { return c.SetSecrets(ctx, orgID, map[string]string{"k": "v"}) }, 2},
		"a deletion":   {func() error { return c.DeleteSecrets(ctx, orgID, "k") }, 2},
		"a note":       {func() error { return c.DescribeSecret(ctx, orgID, "k", "d", time.Time{}) }, 2},
		"new secrets":  {func() error { return c.CreateSecrets(ctx, orgID, map[string]string{"k": "v"}) }, 1},
		"at a version": {func() error { _, err := c.SetSecretAt(ctx, orgID, "k", "v", 7); return err }, 1},
		"a new token":  {func() error { _, err := c.CreateAuthorization(ctx, client.NewAuthorization{}); return err }, 1},
		"health":       {func() error { _, err := c.Health(ctx); return err }, 1},
	} {
		tries = 0
		if err := tc.call(); tries != tc.tries || (err == nil) != (tries == 2) {
			t.Errorf("%s: %d requests, want %d (%v)", name, tries, tc.tries, err)
		}
	}
	once := newClient(t, client.Config{Host: c.Host(), Token: token, Retries: -1})
	if tries = 0; once.DeleteSecrets(ctx, orgID, "k") == nil || tries != 1 {
		t.Errorf("without repetition there were %d requests", tries)
	}
	// The answer says how long, and the caller for how long at the longest.
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	var refused *client.Error
	tries, after = 0, "60"
	if _, err := c.SecretKeys(short, orgID); !errors.As(err, &refused) || refused.StatusCode != 503 || tries != 1 {
		t.Errorf("the caller's time is over: %v after %d requests", err, tries)
	}
}

// TestConditions: which version a change is for stands in If-Match, and which it has made in the answer's ETag.
func TestConditions(t *testing.T) {
	var seen string
	tag := `"8"`
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Method + " " + r.URL.Path + " " + r.Header.Get("If-Match")
		if tag == "" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if r.Header.Get("If-Match") == `"6"` {
			answer(w, http.StatusPreconditionFailed, `{"code":"precondition failed","message":"at version 7"}`)
			return
		}
		w.Header().Set("ETag", tag)
		w.WriteHeader(http.StatusNoContent)
	})
	var refused *client.Error
	_, err := c.SetSecretAt(t.Context(), orgID, "k", value, 6)
	if !errors.As(err, &refused) || refused.Code != client.CodePreconditionFailed {
		t.Errorf("another version: %v", err)
	}
	now, err := c.SetSecretAt(t.Context(), orgID, "k", value, 7)
	if err != nil || now != 8 || seen != "PATCH /api/v2/orgs/"+orgID+`/secrets "7"` {
		t.Errorf("set: %d, %v, by %s", now, err, seen)
	}
	if err := c.DeleteSecretAt(t.Context(), orgID, "k", 0); err != nil ||
		seen != "DELETE /api/v2/orgs/"+orgID+`/secrets/k "0"` {
		t.Errorf("deleted: %v, by %s", err, seen)
	}
	tag = ""
	if _, err := c.SetSecretAt(t.Context(), orgID, "k", value, 7); err == nil || strings.Contains(err.Error(), value) {
		t.Errorf("a server without conditions: %v", err)
	}
	if _, err := c.SetSecretAt(t.Context(), orgID, "k", "\xff", 7); err == nil {
		t.Error("a value that is no text is sent")
	}
}

func TestServerNotThere(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	c := newClient(t, client.Config{Host: srv.URL, Token: token})
	err := c.SetSecrets(t.Context(), orgID, map[string]string{"k": value})
	if !errors.Is(err, client.ErrUnreachable) || !strings.Contains(err.Error(), "cannot reach "+srv.URL) ||
		!strings.Contains(err.Error(), "is influxd running there?") {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(err.Error(), token) || strings.Contains(err.Error(), value) {
		t.Errorf("the error shows a secret: %v", err)
	}
}

func TestContextEnds(t *testing.T) {
	release := make(chan struct{})
	c := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Ping(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	ctx, cancel = context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, client.ErrUnreachable) ||
		!strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("deadline: got %v", err)
	}
}

// TestLostAnswer: a change whose answer is lost may have been made, and one that was never sent was not.
func TestLostAnswer(t *testing.T) {
	const maybe = "; the change may have been made all the same"
	c := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	set := func() error { return c.SetSecrets(t.Context(), "1", map[string]string{"k": "v"}) }
	if err := set(); !errors.Is(err, client.ErrUnreachable) || !strings.HasSuffix(err.Error(), maybe) {
		t.Errorf("a change: %v", err)
	}
	if err := c.Ping(t.Context()); !errors.Is(err, client.ErrUnreachable) || strings.Contains(err.Error(), maybe) {
		t.Errorf("a look: %v", err)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	c, err := client.New(client.Config{Host: gone.URL, Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if err := set(); !errors.Is(err, client.ErrUnreachable) || strings.Contains(err.Error(), maybe) {
		t.Errorf("a change that was not sent: %v", err)
	}
}

func TestDefaultDeadline(t *testing.T) {
	hasDeadline := false
	base := roundTrip(func(r *http.Request) (*http.Response, error) {
		_, hasDeadline = r.Context().Deadline()
		return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
	})
	c := newClient(t, client.Config{Host: "http://localhost", HTTPClient: &http.Client{Transport: base}})
	if err := c.Ping(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !hasDeadline {
		t.Error("a request without a deadline of its own got none")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNoRedirectToAnotherHost(t *testing.T) {
	var reached atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer other.Close()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	err := c.SetSecrets(t.Context(), orgID, map[string]string{"k": value})
	if err == nil || !strings.Contains(err.Error(), "redirects to "+other.URL) {
		t.Errorf("got %v", err)
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the other host was sent %d requests", n)
	}
}
