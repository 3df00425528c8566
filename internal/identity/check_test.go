package identity_test

import (
	"context"
	"strings"
	"testing"

	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// peopled is data with something of every kind.
func peopled(t testing.TB) *identitytest.Fixture {
	f := identitytest.Onboarded(t)
	u := f.AddUser(t, "ann")
	f.MustSignIn(t, "ann", identitytest.UserPassword)
	f.AddToken(t, u.ID, nil)
	if _, err := f.AddMember(t.Context(), f.Root, f.First.Org.ID, u.ID, identity.RoleMember); err != nil {
		t.Fatal(err)
	}
	return f
}

func problems(t testing.TB, f *identitytest.Fixture) []string {
	t.Helper()
	var all []string
	if err := identity.Check(t.Context(), f.KV, func(k, what string) { all = append(all, k+": "+what) }); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestCheckFindsEveryLoss takes each record away in turn, and breaks it in turn: both show.
func TestCheckFindsEveryLoss(t *testing.T) {
	f := peopled(t)
	recs, err := f.KV.List(t.Context(), "", "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	tried := make(map[string]int)
	for _, r := range recs {
		folder, _, _ := strings.Cut(r.Key, "/")
		if folder == "setup" || folder == "password" || folder == "authused" || folder == "signedin" ||
			folder == "core" {
			continue // nothing refers to them
		}
		tried[folder]++
		for what, op := range map[string]kv.Op{"taken away": kv.Delete(r.Key), "broken": kv.Put(r.Key, []byte(`{"`)),
			"another's": kv.Put(r.Key, []byte(`"00000000000000ff"`))} {
			if _, err := f.KV.Txn(t.Context(), nil, []kv.Op{op}); err != nil {
				t.Fatal(err)
			}
			if len(problems(t, f)) == 0 {
				t.Errorf("%s was %s, and nothing is told", r.Key, what)
			}
			if _, err := f.KV.Txn(t.Context(), nil, []kv.Op{kv.Put(r.Key, r.Value)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(tried) < 14 {
		t.Errorf("tried the kinds %v only", tried)
	}
	if all := problems(t, f); len(all) > 0 {
		t.Errorf("after everything is back: %q", all)
	}
}

// TestCheckFindsStrayIndexes has indexes that lead to nothing, or to what is of something else.
func TestCheckFindsStrayIndexes(t *testing.T) {
	f := peopled(t)
	org, user, none := f.First.Org.ID, f.First.User.ID, id.ID(0xabc)
	for key, value := range map[string]any{
		record.Key("username", "nobody"): user, record.Key("orgname", "nothing"): org,
		record.Key("orgplace", "nothing"): none, record.Key("memberof", user, none): identity.RoleOwner,
		record.Key("bucketname", org, "nothing"): none, record.Key("authuser", user, none): true,
		record.Key("authorg", org, none): true, record.Key("authlease", none, none): true,
		record.Key("authhash", identity.HashOf("nothing")): none, record.Key("sessionuser", user, "nothing"): true,
	} {
		if _, err := f.KV.Txn(t.Context(), nil, []kv.Op{record.Put(key, value)}); err != nil {
			t.Fatal(err)
		}
		if all := problems(t, f); len(all) == 0 {
			t.Errorf("with %s nothing is told", key)
		}
		if _, err := f.KV.Txn(t.Context(), nil, []kv.Op{kv.Delete(key)}); err != nil {
			t.Fatal(err)
		}
	}
}

// counting counts look-ups.
type counting struct {
	kv.Store
	gets int
}

func (c *counting) Get(ctx context.Context, key string) (kv.Record, error) {
	c.gets++
	return c.Store.Get(ctx, key)
}

func (c *counting) KeyOf(key string) (string, error) {
	return c.Store.(interface{ KeyOf(string) (string, error) }).KeyOf(key)
}

// TestCheckLooksNothingUp reads sound data in their order, each record once: a look-up for each record and each of its
// indexes costs minutes where there are a million tokens.
func TestCheckLooksNothingUp(t *testing.T) {
	f := peopled(t)
	for range 20 {
		f.AddToken(t, f.First.User.ID, nil)
	}
	c := &counting{Store: f.KV}
	if err := identity.Check(t.Context(), c, func(k, what string) { t.Errorf("%s: %s", k, what) }); err != nil {
		t.Fatal(err)
	}
	if c.gets > 0 {
		t.Errorf("%d records were looked up", c.gets)
	}
}

func TestCheckPasswords(t *testing.T) {
	f := peopled(t)
	if _, err := f.KV.Txn(t.Context(), nil, []kv.Op{kv.Put(record.Key("password", f.First.User.ID), []byte("in clear")),
		kv.Put(record.Key("password", id.ID(5)),
			[]byte("$2a$10$zt8DK79eR.n1EiHJFLfkIukrkZ5oSHjh/sGvhvnHbeKGynRpOlorq"))}); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(problems(t, f), "\n")
	if !strings.Contains(all, "no hash of bcrypt") ||
		!strings.Contains(all, "names user 0000000000000005, which is not there") || strings.Contains(all, "in clear") {
		t.Errorf("problems: %s", all)
	}
}

// TestCheckUnfinishedDeletion leaves what a crash leaves in the middle of a deletion, which the next start finishes.
func TestCheckUnfinishedDeletion(t *testing.T) {
	f := peopled(t)
	org := f.First.Org
	if _, err := f.KV.Txn(t.Context(), nil, []kv.Op{kv.Delete(record.Key("org", org.ID)),
		kv.Delete(record.Key("orgname", org.Name)), record.Put(record.Key("deleting/org", org.ID),
			f.Clock.Now())}); err != nil {
		t.Fatal(err)
	}
	if all := problems(t, f); len(all) > 0 {
		t.Errorf("problems: %q", all)
	}
}

func FuzzCheck(f *testing.F) {
	fx := peopled(f)
	recs, err := fx.KV.List(f.Context(), "", "", 10_000)
	if err != nil {
		f.Fatal(err)
	}
	for i, r := range recs {
		f.Add(i, r.Value)
	}
	f.Fuzz(func(t *testing.T, i int, value []byte) {
		r := recs[uint(i)%uint(len(recs))]
		if _, err := fx.KV.Txn(t.Context(), nil, []kv.Op{kv.Put(r.Key, value)}); err != nil {
			t.Fatal(err)
		}
		problems(t, fx)
		if _, err := fx.KV.Txn(t.Context(), nil, []kv.Op{kv.Put(r.Key, r.Value)}); err != nil {
			t.Fatal(err)
		}
	})
}
