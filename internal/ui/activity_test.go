package ui

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/ui/words"
)

// TestChangesAmongLooks: what was done shows behind many looks, and where the log has more to look through.
func TestChangesAmongLooks(t *testing.T) {
	s, b := setUp(t)
	b.post(s.at("/secrets/new"), form("key", "db/password", "value", value))
	for range 150 {
		if _, err := s.config.Secrets.Keys(t.Context(), s.op, s.org); err != nil {
			t.Fatal(err)
		}
	}
	b.get("/activity").wants(t, 200, "set <a", "db/password")
	s.change(func(c *Config) { c.Trail = lookedThrough{} })
	b.get("/activity").wants(t, 200, "Nothing was changed lately", "before=1000", ">Older<",
		"Acts of <b>b</b> (it does not answer) are not shown here")
	b.get("/activity?actor=nobody").wants(t, 200, "among those looked through", "before=1000", ">Older<")
}

// told is a log that has what it is given.
type told []audit.Record

func (a told) Query(context.Context, audit.Filter, audit.Before) (audit.Acts, error) {
	return audit.Acts{Records: a, Missing: []audit.Absent{{Server: "b", Message: "it does not answer"}}}, nil
}

// TestRefusalsInWords: no page of acts shows an error by its code, or an action by its name, and each tells whose acts are
// missing.
func TestRefusalsInWords(t *testing.T) {
	s, b := setUp(t)
	s.put("k")
	token, _, err := s.users.Authorize(t.Context(), s.op, authorizations.Wanted{OrgID: s.org, Description: "agent",
		Permissions: []access.Permission{access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: s.org})}})
	s.must(err)
	var all told
	for _, action := range audit.Actions {
		for _, code := range errs.Codes() {
			all = append(all, audit.Record{Entry: audit.Entry{Time: time.Now(), Action: action, Outcome: audit.Failed,
				Code: string(code), User: ada}})
		}
	}
	look := func(path string, log told) {
		s.change(func(c *Config) { c.Trail = log })
		p := b.get(path)
		p.wants(t, 200, "it does not answer")
		_, feed, _ := strings.Cut(p.body, `<ol class="feed`)
		feed, _, _ = strings.Cut(feed, "</ol>")
		acts := strings.Split(feed, "<li>")[1:]
		if len(acts) != len(log) {
			t.Fatalf("%s shows %d acts of %d", path, len(acts), len(log))
		}
		for i, act := range acts {
			r := log[i]
			why := words.Why(r.Action, r.Code)
			if !strings.Contains(act, "tried to ") || !strings.Contains(act, ">failed: "+why+"<") ||
				strings.Contains(act, ">"+r.Action) || strings.Contains(act, ": "+r.Code+"<") {
				t.Errorf("%s shows %s with %s as it stands on record: %s", path, r.Action, r.Code, act)
			}
		}
	}
	look("/activity", all)
	look(s.at("/activity"), all)
	for i := 0; i < len(all); i += 8 { // as many as they show
		look(s.at("/secret?key=k"), all[i:min(i+8, len(all))])
		look(s.at("/tokens/"+token.ID.String()), all[i:min(i+8, len(all))])
	}
}

// TestMovesAreToldAsSuch: on each page, asked for in each way, what was moved or copied is told to be, from and to where.
func TestMovesAreToldAsSuch(t *testing.T) {
	s, b := setUp(t)
	other, err := s.users.NewOrg(t.Context(), s.op, "Other", "")
	s.must(err)
	s.put("old", "kept", "away")
	b.post(s.at("/secret/copy"), form("key", "old", "to", "new", "org", s.org.String(), "do", "move")).leads(t,
		s.at("/secret?key=new"))
	b.post(s.at("/secret/copy"), form("key", "kept", "to", "copy", "org", s.org.String(), "do", "copy"))
	b.post(s.at("/secret/copy"), form("key", "away", "to", "there", "org", other.ID.String(), "do", "move"))
	b.post(s.at("/secret/copy"), form("key", "kept", "to", "new", "org", s.org.String(), "do", "move")) // it is taken
	there := "/orgs/" + other.ID.String()
	s.put("old", "away") // once more, so that their pages are there
	for path, want := range map[string][]string{
		s.at("/secret?key=new"):     {"moved it here from old", "tried to move it here from kept"},
		s.at("/secret?key=old"):     {"moved it to new"},
		s.at("/secret?key=kept"):    {"copied it to copy", "tried to move it to new"},
		s.at("/secret?key=copy"):    {"copied it here from kept"},
		s.at("/secret?key=away"):    {"moved it to there in Other"},
		there + "/secret?key=there": {"moved it here from Acme"},
	} {
		p := b.get(path)
		p.wants(t, 200, want...)
		for _, not := range []string{"> set it", "> deleted it"} {
			if strings.Contains(p.body, not) {
				t.Errorf("%s tells a part of a move as an act: %q", path, not)
			}
		}
	}
	for query, want := range map[string]string{"key=new": "moved from old", "action=secrets.apply": "moved from old",
		"action=secrets.delete": "when it was moved to new", "key=copy": "copied from kept"} {
		b.get("/activity?"+query).wants(t, 200, want)
	}
	b.get("/activity?org="+other.ID.String()).wants(t, 200, "moved from Acme")
}

// TestMovesNameNoStrangeOrganisation has readers with and without a right in the other organisation of a move.
func TestMovesNameNoStrangeOrganisation(t *testing.T) {
	s, b := setUp(t)
	other, err := s.users.NewOrg(t.Context(), s.op, "Other", "")
	s.must(err)
	s.put("away", "kept")
	b.post(s.at("/secret/copy"), form("key", "away", "to", "there", "org", other.ID.String(), "do", "move"))
	b.post(s.at("/secret/copy"), form("key", "kept", "to", "copy", "org", other.ID.String(), "do", "copy"))
	s.put("away")
	owner, member, there := identity.RoleOwner, identity.RoleMember, "/orgs/"+other.ID.String()
	for name, reader := range map[string]struct {
		roles         map[id.ID]identity.Role
		source, other string // what the reader calls the organisations; "" for one whose pages they may not see
	}{
		"sam":  {map[id.ID]identity.Role{s.org: owner}, "", "another organisation"},
		"olga": {map[id.ID]identity.Role{other.ID: owner}, "another organisation", ""},
		"mia":  {map[id.ID]identity.Role{s.org: owner, other.ID: member}, "", "Other"},
		"max":  {map[id.ID]identity.Role{s.org: member, other.ID: owner}, "Acme", ""},
	} {
		who := s.memberOf(name, reader.roles)
		var pages []page
		if reader.other != "" {
			pages = append(pages, who.get(s.at("/secret?key=away")), who.get(s.at("/secret?key=kept")),
				who.get(s.at("/activity")))
			pages[0].wants(t, 200, "moved it to there in "+reader.other)
			pages[1].wants(t, 200, "copied it to copy in "+reader.other)
			pages[2].wants(t, 200, "to there in "+reader.other, "to copy in "+reader.other)
		} else {
			pages = append(pages, who.get(there+"/secret?key=there"), who.get(there+"/secret?key=copy"),
				who.get(there+"/activity"))
			pages[0].wants(t, 200, "moved it here from "+reader.source)
			pages[1].wants(t, 200, "copied it here from "+reader.source)
			pages[2].wants(t, 200, "moved from "+reader.source, "copied from "+reader.source)
		}
		for org, foreign := range map[string]string{s.org.String(): "Acme", other.ID.String(): "Other"} {
			o, _ := id.Parse(org)
			for _, p := range pages {
				if _, in := reader.roles[o]; !in && (strings.Contains(p.body, foreign+"<") ||
					strings.Contains(p.body, " "+foreign)) {
					t.Errorf("%s, who has no right in it, is told the name of %s", name, foreign)
				}
			}
		}
	}
}

// lookedThrough is a log so large that one query reads a part of it, and finds nothing there.
type lookedThrough struct{}

func (lookedThrough) Query(context.Context, audit.Filter, audit.Before) (audit.Acts, error) {
	return audit.Acts{Next: "1000", Missing: []audit.Absent{{Server: "b", Message: "it does not answer"}}}, nil
}

func TestActivity(t *testing.T) {
	s, b := setUp(t)
	b.get("/activity?outcome=nonsense").wants(t, 400, "outcome must be")
	b.get("/activity?org=nonsense").wants(t, 400, "16 characters")
	b.get("/activity?before=x").wants(t, 400, "not complete")
	b.get("/activity?actor=nobody").wants(t, 200, "No act matches")
	b.post(s.at("/secrets/new"), form("key", "db/password", "value", value))
	for range 3 {
		b.get(s.at("/secrets"))
	}
	b.get("/activity?action=all").wants(t, 200, "listed the names of secrets", "3 times", "db/password",
		"from 127.0.0.1 in a session")
	p := b.get("/activity")
	p.wants(t, 200, "db/password", "set the server up")
	if strings.Contains(p.body, "listed the names") || strings.Contains(p.body, "read the audit log") {
		t.Error("what changes nothing is shown unasked")
	}
	s.member("rita", identity.RoleMember).get("/activity").wants(t, 401)
	b.get("/activity").wants(t, 200, `added a member <span class="hint in">rita</span>`)
	b.get("/activity").wants(t, 200, "<b>rita</b> tried to read the audit log", "denied")
	b.get("/activity?key=db%2Fpassword&action=secrets.apply&since=1h&actor=ada&outcome=allowed").wants(t, 200, "set <a",
		"db/password")
	s.hidesValue()
}

// TestOwnersActivity: owners see what was done in their organisation, members do not, and nobody sees more.
func TestOwnersActivity(t *testing.T) {
	s, b := setUp(t)
	s.put("db/password")
	b.upload(s.at("/secrets/new"), form("key", "=db/x"), []byte(value))
	other, err := s.users.NewOrg(t.Context(), s.op, "Other", "")
	s.must(err)
	grace, rita := s.member("grace", identity.RoleOwner), s.member("rita", identity.RoleMember)
	page := s.at("/activity")
	grace.get(page).wants(t, 200, "=db/x", "in Acme", page)
	p := grace.get(page + "?action=all&org=" + other.ID.String())
	p.wants(t, 200, "=db/x")
	if strings.Contains(p.body, "Other") || strings.Contains(p.body, "set the server up") {
		t.Error("an owner sees what was done elsewhere")
	}
	grace.get("/orgs/"+other.ID.String()+"/activity").wants(t, 401)
	grace.get("/activity").wants(t, 401, "You may not see or change")
	rita.get(page).wants(t, 401, "You may not see or change")
	if strings.Contains(rita.get(s.at("/secrets")).body, page) {
		t.Error("a member is offered the activity")
	}
	grace.get(page+"?prefix=%3Ddb").wants(t, 200, "=db/x")
	grace.get(page+"?prefix=zz").wants(t, 200, "Nothing found")
	grace.get(page+"?from=2030-01-01").wants(t, 200, "Nothing found")
	grace.get(page+"?until=2020-01-01").wants(t, 200, "Nothing found")
	grace.get(page+"?from=nonsense").wants(t, 400, "a day is written as year-month-day")
	table := grace.get(page + "?format=csv")
	if table.header.Get("Content-Disposition") != `attachment; filename="activity.csv"` ||
		!strings.Contains(table.body, ",secrets.apply,"+s.org.String()+",'=db/x,0,,allowed,,0,") {
		t.Errorf("the table: %v %s", table.header, table.body)
	}
	lines := grace.get(page + "?format=jsonl&action=secrets.apply")
	var r audit.Record
	s.must(json.Unmarshal([]byte(strings.SplitN(lines.body, "\n", 2)[0]), &r))
	if r.Action != "secrets.apply" || r.Keys[0] != "=db/x" || strings.Contains(lines.body+table.body, value) {
		t.Errorf("the lines: %s", lines.body)
	}
	grace.get(page+"?format=doc").wants(t, 400, "csv or jsonl")
	rita.get(page+"?format=csv").wants(t, 401, "You may not see or change")
}
