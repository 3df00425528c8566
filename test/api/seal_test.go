package api

import (
	"path/filepath"
	"testing"

	"strongroom/test/stack"
)

// profiles takes profiles of the server.
func profiles(t *testing.T, w *world) {
	for _, c := range []refusal{
		{"of no name", send("GET", "/debug/pprof/none", ""), 404, "not found", "there are profile and trace"},
		{"for too long", send("GET", "/debug/pprof/profile?seconds=61", ""), 400, "invalid", "from 1 to 60"},
	} {
		w.refuse(t, c)
	}
	w.must(t, "GET", "/debug/pprof/heap", "", 200, nil)
}

// seal rotates the data keys and changes the root key.
func seal(t *testing.T, w *world) {
	bob := w.SignIn(t, "bob", bobPassword)
	for _, c := range []refusal{
		{"a member asking", stack.Request{Method: "GET", Path: "/api/v2/seal", Cookie: bob}, 401, "unauthorized",
			"read:instance"},
		{"a member rotating", stack.Request{Method: "POST", Path: "/api/v2/seal/rotate", Cookie: bob}, 401,
			"unauthorized", "write:instance"},
		{"a member changing", stack.Request{Method: "POST", Path: "/api/v2/seal/change", Cookie: bob, Body: `{}`}, 401,
			"unauthorized", "write:instance"},
		{"a key file without a type", send("POST", "/api/v2/seal/change", `{"keyFile":"/x"}`), 400, "invalid",
			"type is missing"},
		{"a key file that cannot be", send("POST", "/api/v2/seal/change",
			`{"type":"key-file","keyFile":"/dev/null/x"}`), 422, "unprocessable entity", ""},
	} {
		w.refuse(t, c)
	}
	w.must(t, "PATCH", "/api/v2/orgs/{org}/secrets", `{"foo":"bar"}`, 204, nil)
	var s struct {
		Seal     struct{ KeyID string }
		Term     int
		Rotation struct {
			State   string
			Records int
		}
	}
	w.must(t, "POST", "/api/v2/seal/rotate", "", 202, &s)
	if s.Term != 2 || s.Rotation.State != "running" {
		t.Errorf("rotated: %+v", s)
	}
	w.refuse(t, refusal{"another rotation meanwhile", send("POST", "/api/v2/seal/rotate", ""), 422, "conflict",
		"under way"})
	if err := w.Seals.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.must(t, "GET", "/api/v2/seal", "", 200, &s)
	if s.Rotation.State != "idle" || s.Rotation.Records == 0 {
		t.Errorf("in the end: %+v", s)
	}
	before := s.Seal.KeyID
	w.must(t, "POST", "/api/v2/seal/change", `{"type":"key-file","keyFile":"`+filepath.Join(t.TempDir(),
		"new.key")+`"}`, 200, &s)
	if s.Seal.KeyID == before {
		t.Error("the key is the same")
	}
	w.must(t, "GET", "/api/v2/orgs/{org}/secrets", "", 200, nil)
}
