package trail

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/id"
	"strongroom/internal/ui/words"
)

// Row is an act as pages tell it.
type Row struct {
	audit.Record
	Did string // in words; names of secrets come after it, and then To
	To  string // what it was done to, where that is not a secret, a user by name; or more about the act
	It  string // all that in words on the page of the one secret that it was done to
	Org string // its name, where it is still there
	// Times counts the entries that say the same one after the other, shown as one row with the newest time.
	Times int
}

// Who did it: a user, the server by itself, or somebody who had not signed in.
func (r Row) Who() string {
	switch {
	case r.User != "":
		return r.User
	case r.Action == "":
		return ""
	case r.Address != "":
		return "somebody"
	}
	return "the server"
}

// Refused says that the act did not come to be, and why; "" where it did.
func (r Row) Refused() string {
	if r.Outcome == audit.Allowed {
		return ""
	}
	if why := words.Why(r.Action, r.Code); why != "" {
		return string(r.Outcome) + ": " + why
	}
	return string(r.Outcome)
}

// More is how many keys are not shown where so many are.
func (r Row) More(shown int) int { return max(0, len(r.Keys)-shown) + r.KeysOmitted }

// Names are those of organisations and users; "" for one that is gone.
type Names interface {
	OrgName(ctx context.Context, org id.ID) (string, error)
	UserName(ctx context.Context, user id.ID) (string, error)
}

// copies is the action of copying a secret, or moving it.
const copies = "secrets.copy"

// Tell makes rows of records for a caller who may read them. A secret that was copied is one row: what the copy set and
// deleted is on record as acts of its own.
func (r *Reader) Tell(ctx context.Context, c *access.Caller, records []audit.Record) ([]Row, error) {
	t := teller{ctx: ctx, caller: c, Names: r.names, known: make(map[string]string), moved: moves(records)}
	var rows []Row
	for _, rec := range records {
		_, whole := t.moved[rec.RequestID]
		if whole && (rec.Action == "secrets.apply" || rec.Action == "secrets.delete") {
			continue
		}
		if n := len(rows); n > 0 && same(rows[n-1].Record, rec) {
			rows[n-1].Times++
			continue
		}
		row, err := t.row(rec)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// moves finds the requests that copied a secret, and whether they moved it.
func moves(records []audit.Record) map[string]bool {
	moved := make(map[string]bool)
	for _, r := range records {
		if r.Action == copies && r.RequestID != "" {
			moved[r.RequestID] = false
		}
	}
	for _, r := range records {
		if _, ok := moved[r.RequestID]; ok && (r.Action == "secrets.delete" || r.Detail == access.PartOfMove) {
			moved[r.RequestID] = true
		}
	}
	return moved
}

// same reports whether the entries differ in nothing but when.
func same(a, b audit.Record) bool {
	return a.User == b.User && a.Action == b.Action && a.OrgID == b.OrgID && a.Target == b.Target &&
		a.Outcome == b.Outcome && a.Code == b.Code && a.Server == b.Server && a.Address == b.Address &&
		a.AuthorizationID == b.AuthorizationID && a.Session == b.Session && slices.Equal(a.Keys, b.Keys) &&
		a.KeysOmitted == b.KeysOmitted && a.Detail == b.Detail && a.MadeBy == b.MadeBy && a.Repeated == 0 &&
		b.Repeated == 0
}

// teller makes the rows of a page, and looks each name up once.
type teller struct {
	Names
	ctx    context.Context
	caller *access.Caller
	known  map[string]string // names by IDs
	moved  map[string]bool
}

func (t *teller) row(r audit.Record) (row Row, err error) {
	row = Row{Record: r, Did: words.Did(r.Action), It: words.DidIt(r.Action), To: r.Target, Times: 1}
	if row.Org, err = t.org(r.OrgID); err != nil {
		return row, err
	}
	moved, part := r.Detail == access.PartOfMove, r.Detail == access.PartOfMove || r.Detail == access.PartOfCopy
	var other string
	if r.Action == copies || part {
		if other, err = t.place(r); err != nil || other == "" {
			return row, err
		}
	}
	switch {
	case r.Action == copies && t.moved[r.RequestID]:
		row.Did, row.To, row.It = "moved", "to "+other, "moved it to "+other
	case r.Action == copies:
		row.To, row.It = "to "+other, "copied it to "+other
	case part && r.Action == "secrets.delete":
		row.To, row.It = "when it was moved to "+other, "moved it to "+other
	case part && moved:
		row.To, row.It = "moved from "+other, "moved it here from "+other
	case part:
		row.To, row.It = "copied from "+other, "copied it here from "+other
	case r.Action == "secrets.apply" && len(r.Keys) == 0:
		row.Did, row.It = "set secrets", "set secrets"
	case strings.HasPrefix(r.Action, "users."), strings.HasPrefix(r.Action, "orgs.members."),
		strings.HasPrefix(r.Action, "orgs.owners."):
		row.To, err = t.user(r.Target)
	}
	return row, err
}

// place is the other place of a copy as a reader knows it; "" where the record has none. The name of an organisation is
// told to those alone who may see it: of another, the record has no more than the ID.
func (t *teller) place(r audit.Record) (string, error) {
	org, key, named := strings.Cut(r.Target, "/")
	other, err := id.Parse(org)
	if err != nil {
		return "", nil
	}
	if named && org == r.OrgID {
		return key, nil
	}
	name := "another organisation"
	if t.caller.MaySee(other) {
		name, err = t.org(org)
		name = cmp.Or(name, "the organisation "+org)
	}
	if named {
		name = key + " in " + name
	}
	return name, err
}

// org is the organisation's name; "" for one that is gone.
func (t *teller) org(s string) (string, error) {
	org, err := id.Parse(s)
	if err != nil {
		return "", nil // the entry concerns none
	}
	if _, ok := t.known[s]; !ok {
		t.known[s], err = t.OrgName(t.ctx, org)
	}
	return t.known[s], err
}

// user is a user who is still there by name, and all else as it stands on record.
func (t *teller) user(s string) (string, error) {
	user, err := id.Parse(s)
	if err != nil {
		return s, nil
	}
	if _, ok := t.known[s]; !ok {
		t.known[s], err = t.UserName(t.ctx, user)
	}
	return cmp.Or(t.known[s], s), err
}
