package ui

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"strongroom/internal/audit"
	"strongroom/internal/identity"
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
