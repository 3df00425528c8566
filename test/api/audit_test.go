package api

import (
	"fmt"
	"strings"
	"testing"

	"strongroom/test/stack"
)

// auditLog asks who did what.
func auditLog(t *testing.T, w *world) {
	w.must(t, "PATCH", "/api/v2/orgs/{org}/secrets", `{"db/password":"x"}`, 204, nil)
	w.must(t, "DELETE", "/api/v2/orgs/{org}/secrets/db%2Fpassword", "", 204, nil)
	bob := w.SignIn(t, "bob", bobPassword)
	w.refuse(t, refusal{"a member setting a secret", stack.Request{Method: "PATCH", Path: "/api/v2/orgs/{org}/secrets",
		Cookie: bob, Body: `{"db/password":"y"}`}, 401, "unauthorized", ""})
	w.refuse(t, refusal{"a member asking for the record", stack.Request{Method: "GET", Path: "/api/v2/audit",
		Cookie: bob}, 401, "unauthorized", "read:instance"})

	// Who is turned away is on record too, and whose the token was where that is known.
	w.refuse(t, refusal{"a token of nobody", stack.Request{Method: "GET", Path: "/api/v2/orgs/{org}/secrets",
		Token: "no such token"}, 401, "unauthorized", "unauthorized access"})
	var made struct{ ID, Token string }
	w.must(t, "POST", "/api/v2/authorizations",
		`{"orgID":"{org}","permissions":[{"action":"read","resource":{"type":"secrets","orgID":"{org}"}}]}`, 201, &made)
	w.must(t, "PATCH", "/api/v2/authorizations/"+made.ID, `{"status":"inactive"}`, 200, nil)
	w.refuse(t, refusal{"an inactive token", stack.Request{Method: "GET", Path: "/api/v2/orgs/{org}/secrets",
		Token: made.Token}, 401, "unauthorized", "inactive"})
	var away struct {
		Records []struct{ AuthorizationID, OrgID, Target, Outcome string }
	}
	w.must(t, "GET", "/api/v2/audit?action=authenticate", "", 200, &away)
	if r := away.Records; len(r) != 2 || r[0].AuthorizationID != made.ID || r[1].AuthorizationID != "" ||
		r[1].OrgID == "" ||
		r[0].Outcome != "denied" || r[0].Target != "GET /api/v2/orgs/{orgID}/secrets" {
		t.Errorf("the record of who was turned away is %+v", r)
	}

	type record struct {
		Seq                           int
		Action, Outcome, User, Target string
		Keys                          []string
	}
	var page struct {
		Records []record
		Links   map[string]string
	}
	for query, want := range map[string]string{
		"?key=db/password": "bob secrets.apply denied, admin secrets.delete allowed, admin " +
			"secrets.apply allowed",
		"?key=db/password&outcome=denied":     "bob secrets.apply denied",
		"?actor=bob&outcome=denied":           "bob audit.read denied, bob secrets.apply denied",
		"?action=secrets.delete&orgID={org}":  "admin secrets.delete allowed",
		"?action=secrets&orgID={umbrella}":    "",
		"?actor={bob}&action=signin":          "bob signin allowed",
		"?actor={auth}&action=secrets.apply":  "admin secrets.apply allowed",
		"?until=2001-01-01T00:00:00Z&limit=5": "",
	} {
		w.must(t, "GET", "/api/v2/audit"+query, "", 200, &page)
		var got []string
		for _, r := range page.Records {
			got = append(got, fmt.Sprintf("%s %s %s", r.User, r.Action, r.Outcome))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s\n got %s\nwant %s", query, strings.Join(got, ", "), want)
		}
	}
	t.Run("in pages", func(t *testing.T) {
		var all []int
		path := "/api/v2/audit?limit=3&action=secrets"
		for path != "" {
			page.Links, page.Records = nil, nil
			w.must(t, "GET", path, "", 200, &page)
			if len(page.Records) > 3 {
				t.Fatalf("%d records in a page of 3", len(page.Records))
			}
			for _, r := range page.Records {
				if len(all) > 0 && r.Seq >= all[len(all)-1] {
					t.Fatalf("record %d after %d", r.Seq, all[len(all)-1])
				}
				all = append(all, r.Seq)
			}
			path = page.Links["next"]
		}
		if len(all) != 3 {
			t.Errorf("%d records in all", len(all))
		}
	})
}
