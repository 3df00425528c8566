package influxd

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/secret/vault/vaulttest"
)

// TestNamesOfOtherOwners has the owner of one organisation, with a token of their own, reach for what another owner's has
// in a real Vault under its name: by renaming in any spelling, and by names of organisations and of
// secrets. Nothing is read, overwritten or destroyed, also while the other has another name, and when it has ended.
func TestNamesOfOtherOwners(t *testing.T) {
	v := vaulttest.Shared(t)
	for _, layout := range []string{"org", "secret"} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			o := overNames(t, v, layout)
			theirs, own := o.make(t, lookalikes[0]), o.make(t, "eve")
			victim, eve := o.owner(t, "victor", theirs), o.owner(t, "eve", own)
			o.write(t, theirs, victim)
			o.write(t, own, eve)

			o.reach(t, eve, own, theirs)
			o.rename(t, theirs, "globex renamed") // its old secrets stay under the old name, and are its own
			o.write(t, theirs, victim)
			o.reach(t, eve, own, theirs)
			o.end(t, theirs)
			o.reach(t, eve, own, theirs)
			if o.set[own]["eve"] == "" {
				t.Error("the owner has nothing to lose")
			}
		})
	}
}

// owner makes a user who owns the organisation, and gives a token of theirs that may do everything in it.
func (o *namedOrgs) owner(t *testing.T, name, org string) (token string) {
	t.Helper()
	var user struct{ ID string }
	o.call(t, "POST", "/api/v2/users", o.token, `{"name":"`+name+`"}`, 201, &user)
	o.call(t, "POST", "/api/v2/users/"+user.ID+"/password", o.token, `{"password":"correct horse"}`, 204, nil)
	o.call(t, "POST", "/api/v2/orgs/"+org+"/owners", o.token, `{"id":"`+user.ID+`"}`, 201, nil)
	var all []string
	for _, action := range []string{"read", "write"} {
		all = append(all, `{"action":"`+action+`","resource":{"type":"orgs","id":"`+org+`"}}`)
	}
	for _, action := range []string{"read", "write", "use"} {
		all = append(all, `{"action":"`+action+`","resource":{"type":"secrets","orgID":"`+org+`"}}`)
	}
	var made struct{ Token, UserID string }
	o.call(t, "POST", "/api/v2/authorizations", o.token, `{"orgID":"`+org+`","userID":"`+user.ID+`","permissions":[`+
		strings.Join(all, ",")+`]}`, 201, &made)
	if made.UserID != user.ID {
		t.Errorf("the token is %s's, want %s's", made.UserID, user.ID)
	}
	return made.Token
}

// write sets the organisation's secret by its owner's token.
func (o *namedOrgs) write(t *testing.T, org, token string) {
	t.Helper()
	operator := o.token
	o.token = token
	defer func() { o.token = operator }()
	o.rest = true
	set := o.put(t, org)
	if o.rest = false; !set {
		t.Errorf("the owner of %q cannot write", o.name[org])
	}
}

// reach has an owner try everything that leads to another's secrets. What each has is looked at by its own token.
func (o *namedOrgs) reach(t *testing.T, token, own, theirs string) {
	t.Helper()
	names := append(slices.Clone(lookalikes), o.name[theirs], "globex renamed", "team/globex", own, theirs)
	for _, name := range names {
		if name == "" {
			continue // it has ended
		}
		body := map[string]string{"name": name}
		for _, org := range []string{own, theirs} {
			if status, answer := o.ask(t, "PATCH", "/api/v2/orgs/"+org, token, body); status < 400 {
				t.Fatalf("the owner renames %s to %q: %d %s", org, name, status, answer)
			}
		}
		if status, answer := o.ask(t, "POST", "/api/v2/orgs", token, body); status < 400 {
			t.Fatalf("the owner makes an organisation %q: %d %s", name, status, answer)
		}
		o.write(t, own, token)
	}
	o.look(t, "after names")

	secrets := "/api/v2/orgs/" + theirs
	for _, try := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/secrets", nil}, {"GET", "/secrets/k", nil}, {"GET", "/secret-values", nil},
		{"GET", "/secret-values/k", nil}, {"PATCH", "/secrets", map[string]string{"k": "eve's"}},
		{"POST", "/secrets/delete", map[string][]string{"secrets": {"k"}}}, {"DELETE", "/secrets/k", nil},
		{"PUT", "/secrets/k", map[string]string{"value": "eve's"}}, {"DELETE", "", nil},
		{"GET", "/secrets/k/versions", nil}, {"DELETE", "/secrets/k?destroy=true", nil},
	} {
		status, answer := o.ask(t, try.method, secrets+try.path, token, try.body)
		if status < 400 || strings.Contains(answer, `"`+theirs+" ") {
			t.Errorf("%s %s: %d %s", try.method, try.path, status, answer)
		}
	}
	// Names of secrets lead nowhere either: they are set in the own organisation, or refused.
	for _, name := range []string{"../globex", "../globex/k", "../../team/globex", "%2e%2e/globex/k", "..",
		"/team/globex/k", "..%2fglobex%2fk", `..\globex\k`} {
		status, _ := o.ask(t, "PATCH", "/api/v2/orgs/"+own+"/secrets", token, map[string]string{name: "eve's"})
		if status == 204 {
			_, answer := o.ask(t, "GET", "/api/v2/orgs/"+own+"/secret-values", token, nil)
			var got map[string]string
			must(t, json.Unmarshal([]byte(answer), &got))
			want := map[string]string{"k": o.set[own]["eve"], name: "eve's"}
			if !maps.Equal(got, want) {
				t.Errorf("with a secret %q the own ones are %q", name, got)
			}
			o.ask(t, "POST", "/api/v2/orgs/"+own+"/secrets/delete", token, map[string][]string{"secrets": {name}})
		}
	}
	o.look(t, "after names of secrets")
}
