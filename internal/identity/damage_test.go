package identity_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/barrier"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/record"
	"strongroom/internal/identity/rolelogin"
	"strongroom/internal/kv"
	"strongroom/internal/kv/kvtest"
)

// lonely are the kinds of record whose loss nothing tells: no other record says that there is one.
var lonely = map[string]string{
	"password/": "a user need not have one", "orgplace/": "an organization need not have one",
	"authused/": "a token need not have been used", "signedin/": "a user need not have signed in",
	"authgone/": "it is there for a moment", "secretid/": "a role need not have one",
	"wrapped/":  "nothing leads to what is wrapped but the token",
	"deleting/": "what is left is told by the check of the whole file",
	"setup":     "an organization may have been taken over",
}

// open are the kinds that are not sealed: they permit nothing, and what they tell may be altered.
var open = []string{"authused/", "signedin/"}

// damagedPeople is data with every kind of record, and who shows what.
type damagedPeople struct {
	*identitytest.Fixture
	engine kv.Store
	whole  map[string][]byte
	others map[string]bool // the keys of those who have nothing to do with the others

	ann, bob              identity.User
	tokens, sessions      map[string]string
	revoked, wrapped      string
	role, secretID        string
	organizations, people []id.ID
}

func populous(t *testing.T) *damagedPeople {
	t.Helper()
	ctx := t.Context()
	f := &damagedPeople{Fixture: identitytest.Onboarded(t), tokens: map[string]string{}, sessions: map[string]string{}}
	b, ok := f.KV.(*barrier.Store)
	if !ok {
		t.Fatal("the fixture has no barrier")
	}
	f.engine = b.Store
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	org := f.First.Org.ID
	read := []access.Permission{access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: org})}
	f.ann = f.AddUser(t, "ann")
	ends := f.Clock.Now().Add(24 * time.Hour)
	_, f.tokens["ann"] = f.AddToken(t, f.ann.ID, &ends)
	_, f.tokens["ann too"] = f.AddToken(t, f.ann.ID, nil)
	gone, token := f.AddToken(t, f.ann.ID, nil)
	f.revoked = token
	if _, err := f.RevokeAuthorization(ctx, f.Root, gone.ID); err != nil {
		t.Fatal(err)
	}
	_, child, err := f.CreateChild(ctx, f.CallerByToken(t, f.tokens["ann"]), authorizations.Child{Permissions: read})
	must(err)
	f.tokens["child"], f.tokens["root"] = child, f.First.Token
	f.sessions["ann"] = f.MustSignIn(t, "ann", identitytest.UserPassword)
	f.sessions["admin"] = f.MustSignIn(t, "admin", identitytest.AdminPassword)
	_, err = f.AddMember(ctx, f.Root, org, f.ann.ID, identity.RoleMember)
	must(err)
	role, err := f.SetRole(ctx, f.Root, identity.AppRole{Name: "app", Permissions: read})
	must(err)
	f.role = role.ID.String()
	_, f.secretID, err = f.MakeSecretID(ctx, f.Root, "app", rolelogin.NewSecretID{})
	must(err)
	_, f.tokens["role"], _, err = f.LogIn(ctx, "192.0.2.1", f.role, f.secretID)
	must(err)
	f.wrapped, err = f.Wrap(ctx, "x", map[string]any{"a": "b"}, time.Hour)
	must(err)
	ending, err := f.NewOrg(ctx, f.Root, "ending", "")
	must(err)
	f.Secrets.Purging = errors.New("not now")
	_, _ = f.DeleteOrg(ctx, f.Root, ending.ID)
	_, err = f.KV.Txn(ctx, nil, []kv.Op{record.Put(record.Key("orgplace", "acme before"), org),
		record.Put(record.Key("authused", gone.ID), f.Clock.Now())})
	must(err)

	mine := kvtest.All(t, f.engine)
	other, err := f.NewOrg(ctx, f.Root, "other", "")
	must(err)
	f.bob = f.AddUser(t, "bob")
	_, f.tokens["bob"], err = f.Authorize(ctx, f.Root, authorizations.Wanted{OrgID: other.ID, UserID: f.bob.ID,
		Permissions: []access.Permission{access.To(access.Read, access.Resource{Type: access.Secrets,
			OrgID: other.ID})}})
	must(err)
	f.sessions["bob"] = f.MustSignIn(t, "bob", identitytest.UserPassword)
	_, err = f.AddMember(ctx, f.Root, other.ID, f.bob.ID, identity.RoleOwner)
	must(err)
	f.organizations, f.people = []id.ID{org, other.ID}, []id.ID{f.First.User.ID, f.ann.ID, f.bob.ID}
	f.whole, f.others = kvtest.All(t, f.engine), map[string]bool{}
	for key := range f.whole {
		_, was := mine[key]
		f.others[key] = !was
	}
	return f
}

// to puts the data to what they were, but for the ops, and starts on them.
func (f *damagedPeople) to(t *testing.T, ops []kv.Op) {
	t.Helper()
	kvtest.Become(t, f.engine, f.whole, ops)
	f.Clock.Add(time.Millisecond) // nobody waits here for the tries at a password
	f.KV = barrier.New(f.engine, f.Keys, identity.Sealed)
	f.Start(t)
}

// view is what everybody is let do and told, by what was asked; what gave an error is not in it.
func (f *damagedPeople) view(t *testing.T) map[string]string {
	t.Helper()
	ctx, seen := t.Context(), map[string]string{}
	take := func(what string, v any, err error) {
		if err == nil {
			seen[what] = fmt.Sprintf("%+v", v)
		}
	}
	who := func(what string, p *access.Principal, err error) {
		if err == nil {
			take(what, []any{p.UserID, p.User, p.AuthorizationID}, nil)
			for _, may := range p.Permissions {
				take(fmt.Sprint(what, " may ", may), true, nil)
			}
		}
	}
	for name, token := range f.tokens {
		p, err := f.ByToken(ctx, token)
		who(name+" by token", p, err)
	}
	for name, token := range f.sessions {
		p, err := f.BySession(ctx, token)
		who(name+" by session", p, err)
	}
	if _, err := f.ByToken(ctx, f.revoked); err == nil {
		t.Error("a revoked token is taken")
	}
	if _, err := f.SignIn(ctx, identitytest.Nobody(), "ann", identitytest.AdminPassword); err == nil {
		t.Error("another's password is taken")
	}
	for _, name := range []string{"ann", "bob"} {
		_, err := f.SignIn(ctx, identitytest.Nobody(), name, identitytest.UserPassword)
		take(name+" by password", true, err)
	}
	for _, org := range f.organizations {
		o, err := f.OrgByID(ctx, f.Root, org)
		take("org "+org.String(), o, err)
		for _, user := range f.people {
			m, err := f.MembershipOf(ctx, f.Root, org, user)
			take("member "+org.String()+user.String(), m, err)
		}
	}
	for _, user := range f.people {
		u, err := f.UserByID(ctx, f.Root, user)
		take("user "+user.String(), []any{u.ID, u.Name, u.Status}, err)
	}
	for _, name := range []string{"acme", "other"} {
		o, err := f.OrgNamed(ctx, name)
		take("org named "+name, o, err)
	}
	role, err := f.RoleNamed(ctx, f.Root, "app")
	take("role", role, err)
	w, err := f.LookUpWrapped(ctx, f.wrapped)
	take("wrapped", w, err)
	a, _, _, err := f.LogIn(ctx, "192.0.2.1", f.role, f.secretID)
	take("by role", a.Permissions, err)
	allowed, err := f.SetupAllowed(ctx)
	take("setup", allowed, err)
	return seen
}

// TestEveryRecordDamaged damages each record of users, organizations, tokens, sessions and roles in turn. Nobody is then
// somebody else or has other permissions than before, no other is shut out, and check names the record. Every prefix of
// this package has a record here.
func TestEveryRecordDamaged(t *testing.T) {
	f := populous(t)
	f.to(t, nil)
	whole := f.view(t)
	if told := f.told(t); len(told) > 0 || len(whole) < 40 {
		t.Fatalf("whole data: %q, and of what may be asked there is %q", told, whole)
	}
	for _, prefix := range identity.Prefixes {
		tried := 0
		for _, key := range slices.Sorted(maps.Keys(f.whole)) {
			if !strings.HasPrefix(key, prefix) || f.others[key] {
				continue
			}
			tried++
			for what, ops := range f.damages(key, prefix) {
				f.damaged(t, whole, key, prefix, key+" "+what, ops)
			}
		}
		if tried == 0 {
			t.Errorf("nobody has said what comes of a damaged record of the kind %s: there is none here", prefix)
		}
	}
}

func (f *damagedPeople) damages(key, prefix string) map[string][]kv.Op {
	was := f.whole[key]
	flipped := bytes.Clone(was)
	flipped[len(flipped)/2] ^= 4
	done := map[string][]kv.Op{"removed": {kv.Delete(key)}, "emptied": {kv.Put(key, []byte{})},
		"cut": {kv.Put(key, was[:len(was)/2])}, "flipped": {kv.Put(key, flipped)},
		"in clear": {kv.Put(key, []byte(`{"name":"x","status":"active","operator":true}`))}}
	for other, value := range f.whole {
		if other != key && strings.HasPrefix(other, prefix) {
			done["as "+other] = []kv.Op{kv.Put(key, value)}
		}
	}
	return done
}

// told is what check tells.
func (f *damagedPeople) told(t *testing.T) (told []string) {
	t.Helper()
	report := func(key, what string) { told = append(told, key+": "+what) }
	store := barrier.Inspect(f.engine, f.Keys, identity.Sealed, report)
	if err := identity.Check(t.Context(), store, report); err != nil {
		t.Errorf("check fails: %v", err)
	}
	return told
}

func (f *damagedPeople) damaged(t *testing.T, whole map[string]string, key, kind, what string, ops []kv.Op) {
	t.Helper()
	f.to(t, ops)
	told := f.told(t)
	removed := ops[0].Kind == kv.OpDelete
	switch {
	case slices.Contains(open, kind), removed && lonely[kind] != "":
	case removed && len(told) == 0,
		!removed && !slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, key+": ") }):
		t.Errorf("%s: check does not tell: %q", what, told)
	}
	got := f.view(t)
	for asked, answer := range got {
		if was, ok := whole[asked]; !ok || answer != was {
			t.Errorf("%s: %s is %s, and was %s", what, asked, answer, was)
		}
	}
	for asked, answer := range whole {
		others := strings.HasPrefix(asked, "bob ") || strings.Contains(asked, f.bob.ID.String())
		if _, ok := got[asked]; !ok && others {
			t.Errorf("%s: %s is no more; it was %s", what, asked, answer)
		}
	}
}
