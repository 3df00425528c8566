package identity

import (
	"context"
	"errors"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/kv"
)

// failing is an engine whose transactions fail from the n-th on, as if the process had died there.
type failing struct {
	kv.Store
	left int
}

var errDied = errors.New("died")

func (f *failing) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if f.left == 0 {
		return 0, errDied
	}
	f.left--
	return f.Store.Txn(ctx, conds, ops)
}

// leftovers are the keys that speak of an ID.
func leftovers(t *testing.T, s kv.Store, which string) []string {
	t.Helper()
	rs, err := s.List(t.Context(), "", "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, r := range rs {
		if strings.Contains(r.Key, which) || strings.Contains(string(r.Value), which) {
			keys = append(keys, r.Key)
		}
	}
	return keys
}

// populated has a second organisation with members, tokens and sessions, more of them than one batch holds.
func populated(t *testing.T) (*fixture, Org, User) {
	f := onboarded(t)
	ctx := t.Context()
	o, err := f.NewOrg(ctx, f.root, "globex", "")
	if err != nil {
		t.Fatal(err)
	}
	u := f.user(t, "ann")
	if _, err := f.AddMember(ctx, f.root, o.ID, u.ID, RoleOwner); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		_, _, err := f.Authorize(ctx, f.root, NewAuthorization{OrgID: o.ID, UserID: u.ID, Permissions: access.Owner(o.ID)[:2]})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		f.signIn(t, "ann", userPassword)
	}
	return f, o, u
}

// A crash after any step of a deletion leaves the thing gone, and the next start finishes what hangs on it.
func TestDeletionSurvivesACrash(t *testing.T) {
	steps := 0
	for n := 0; ; n++ {
		f, o, u := populated(t)
		ctx := t.Context()
		engine := &failing{Store: f.kv, left: n}
		f.Service.kv = engine
		errOrg := f.DeleteOrg(ctx, f.root, o.ID)
		errUser := f.DeleteUser(ctx, f.root, u.ID)
		finished := engine.left > 0
		f.Service.kv = f.kv

		again := open(t, f.kv) // the next start
		again.secrets = f.secrets
		again.Service.secrets = f.secrets
		if err := again.finishDeletions(ctx); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if errOrg == nil || errUser == nil {
				t.Fatal("a deletion that could not be begun was answered as done")
			}
			continue
		}
		if errOrg == nil {
			if left := leftovers(t, f.kv, o.ID.String()); len(left) != 0 {
				t.Errorf("dying after %d transactions leaves of the organisation: %v", n, left)
			}
			if len(f.secrets.purged) == 0 {
				t.Errorf("dying after %d transactions leaves the organisation's secrets", n)
			}
		}
		if errUser == nil {
			if left := leftovers(t, f.kv, u.ID.String()); len(left) != 0 {
				t.Errorf("dying after %d transactions leaves of the user: %v", n, left)
			}
		}
		if finished {
			steps = n
			break
		}
	}
	if steps < 4 {
		t.Errorf("both deletions took %d transactions; the test expects to interrupt more", steps)
	}
}

func TestDeleteOrgWaitsForTheStore(t *testing.T) {
	f, o, _ := populated(t)
	ctx := t.Context()
	f.secrets.health = errs.New(errs.Unavailable, "sealed")
	wantCode(t, f.DeleteOrg(ctx, f.root, o.ID), errs.Unavailable)
	if _, err := f.OrgByID(ctx, f.root, o.ID); err != nil {
		t.Errorf("the organisation is gone though its secrets could not be deleted: %v", err)
	}

	// It goes away in between: the deletion stands and is finished later.
	f.secrets.health, f.secrets.purging = nil, errs.New(errs.Unavailable, "sealed")
	if err := f.DeleteOrg(ctx, f.root, o.ID); err != nil {
		t.Fatal(err)
	}
	_, err := f.OrgByID(ctx, f.root, o.ID)
	wantCode(t, err, errs.NotFound)
	f.secrets.purging = nil
	if err := f.finishDeletions(ctx); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, f.kv, o.ID.String()); len(left) != 0 || len(f.secrets.purged) != 1 {
		t.Errorf("left over: %v; purged: %v", left, f.secrets.purged)
	}
}

func TestLastOperatorStays(t *testing.T) {
	f := onboarded(t)
	wantCode(t, f.DeleteUser(t.Context(), f.root, f.first.User.ID), errs.Conflict)
	inactive := Inactive
	_, err := f.UpdateUser(t.Context(), f.root, f.first.User.ID, nil, &inactive)
	wantCode(t, err, errs.Conflict)
}
