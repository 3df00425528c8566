package authn_test

import (
	"fmt"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/barrier"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
)

// countReads counts the records below a prefix that are read.
func countReads(prefix string) (*identitytest.Counting, func() int64) {
	c := &identitytest.Counting{Prefix: prefix}
	return c, func() int64 { return c.Read.Swap(0) }
}

// TestSessionOfManyOrganisations has somebody in many organisations signed in, while others make organisations and
// change who belongs to them: what she may do is not read anew for that, on the server that changes it and on another
// one. What changes her own roles shows at once.
func TestSessionOfManyOrganisations(t *testing.T) {
	const many = 200
	cluster := clustertest.New()
	engine, reads := countReads("memberof/")
	f := identitytest.OnboardedOver(t, func(kv.Store) kv.Store { engine.Store = cluster.Server(); return engine })
	ann, bob := f.AddUser(t, "ann"), f.AddUser(t, "bob")
	for n := range many {
		o, err := f.NewOrg(t.Context(), f.Root, fmt.Sprint("org ", n), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.AddMember(t.Context(), f.Root, o.ID, ann.ID, identity.RoleMember); err != nil {
			t.Fatal(err)
		}
	}
	session := f.MustSignIn(t, "ann", identitytest.UserPassword)
	elsewhere, readsElsewhere := countReads(record.Folder("memberof", ann.ID))
	second := cluster.Server()
	elsewhere.Store = second
	there := other(t, f, &counted{Store: barrier.New(elsewhere, f.Keys, identity.Sealed), server: second}, time.Hour)
	remembered := func() { // on both
		t.Helper()
		ask(t, f.Login, session)
		for followed := false; !followed; {
			ask(t, there, session)
			readsElsewhere()
			ask(t, there, session)
			followed = readsElsewhere() == 0
		}
	}

	o, err := f.NewOrg(t.Context(), f.Root, "another", "")
	if err != nil {
		t.Fatal(err)
	}
	may := func(s *authn.Service, session string) bool {
		p, err := s.BySession(t.Context(), session)
		if err != nil {
			t.Fatal(err)
		}
		return (&access.Caller{Principal: p}).MaySee(o.ID)
	}
	cyd := f.AddUser(t, "cyd")
	hers := f.MustSignIn(t, "cyd", identitytest.UserPassword)
	until := func(want bool) {
		for may(there, hers) != want && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}
	until(false) // it has heard of her
	name := "renamed"
	for what, change := range map[string]func() error{
		"a member elsewhere": func() error {
			_, err := f.AddMember(t.Context(), f.Root, o.ID, bob.ID, identity.RoleMember)
			return err
		},
		"an organisation": func() error {
			_, err := f.NewOrg(t.Context(), f.Root, "one more", "")
			return err
		},
		"a name": func() error {
			_, err := f.UpdateOrg(t.Context(), f.Root, o.ID, &name, nil)
			return err
		},
	} {
		remembered()
		reads()
		readsElsewhere()
		if err := change(); err != nil {
			t.Fatal(what, err)
		}
		ask(t, f.Login, session)
		if n := reads(); n > 0 {
			t.Errorf("%s changed: %d of her roles were read", what, n)
		}
		// The other server has heard of it when it has heard of what came after it.
		if _, err := f.AddMember(t.Context(), f.Root, o.ID, cyd.ID, identity.RoleMember); err != nil {
			t.Fatal(err)
		}
		until(true)
		ask(t, there, session)
		if err := f.RemoveMember(t.Context(), f.Root, o.ID, cyd.ID, identity.RoleMember); err != nil {
			t.Fatal(err)
		}
		until(false)
		ask(t, there, session)
		if n := readsElsewhere(); n > 0 {
			t.Errorf("%s changed: %d of her roles were read on another server", what, n)
		}
	}

	if may(f.Login, session) || may(there, session) {
		t.Fatal("she may see what she does not belong to")
	}
	if _, err := f.AddMember(t.Context(), f.Root, o.ID, ann.ID, identity.RoleMember); err != nil {
		t.Fatal(err)
	}
	if !may(f.Login, session) {
		t.Error("a new role does not show at once")
	}
	for !may(there, session) && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if err := f.RemoveMember(t.Context(), f.Root, o.ID, ann.ID, identity.RoleMember); err != nil {
		t.Fatal(err)
	}
	if may(f.Login, session) {
		t.Error("a role that was taken away is still there")
	}
	for may(there, session) && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
}

func ask(t *testing.T, s *authn.Service, session string) {
	t.Helper()
	if _, err := s.BySession(t.Context(), session); err != nil {
		t.Fatal(err)
	}
}
