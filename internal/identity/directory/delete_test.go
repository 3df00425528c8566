package directory_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// failing is an engine whose transactions fail from the n-th on, as if the process had died there, or that gives no
// token's record.
type failing struct {
	kv.Store
	mu     sync.Mutex // batches go out side by side
	left   int        // below zero: none fails
	tokens error
}

func (f *failing) Get(ctx context.Context, key string) (kv.Record, error) {
	if f.tokens != nil && strings.HasPrefix(key, "auth/") {
		return kv.Record{}, f.tokens
	}
	return f.Store.Get(ctx, key)
}

var errDied = errors.New("died")

func (f *failing) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	f.mu.Lock()
	dead := f.left == 0
	if !dead {
		f.left--
	}
	f.mu.Unlock()
	if dead {
		return 0, errDied
	}
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
func populated(t *testing.T, engine *failing) (*identitytest.Fixture, identity.Org, identity.User) {
	engine.left = -1
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
	ctx := t.Context()
	o, err := f.NewOrg(ctx, f.Root, "globex", "")
	if err != nil {
		t.Fatal(err)
	}
	u := f.AddUser(t, "ann")
	if _, err := f.AddMember(ctx, f.Root, o.ID, u.ID, identity.RoleOwner); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		_, _, err := f.Authorize(ctx, f.Root, authorizations.Wanted{OrgID: o.ID, UserID: u.ID,
			Permissions: access.Owner(o.ID)[:2]})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		f.MustSignIn(t, "ann", identitytest.UserPassword)
	}
	return f, o, u
}

// A crash after any step of a deletion leaves the thing gone, and the next start finishes what hangs on it.
func TestDeletionSurvivesACrash(t *testing.T) {
	steps := 0
	for n := 0; ; n++ {
		engine := new(failing)
		f, o, u := populated(t, engine)
		ctx := t.Context()
		engine.left = n
		_, errOrg := f.DeleteOrg(ctx, f.Root, o.ID)
		errUser := f.DeleteUser(ctx, f.Root, u.ID)
		finished := engine.left > 0
		engine.left = -1
		f.Start(t)
		if err := f.FinishDeletions(ctx); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if errOrg == nil || errUser == nil {
				t.Fatal("a deletion that could not be begun was answered as done")
			}
			continue
		}
		if errOrg == nil {
			if left := leftovers(t, f.KV, o.ID.String()); len(left) != 0 {
				t.Errorf("dying after %d transactions leaves of the organisation: %v", n, left)
			}
			if len(f.Secrets.Purged) == 0 {
				t.Errorf("dying after %d transactions leaves the organisation's secrets", n)
			}
		}
		if errUser == nil {
			if left := leftovers(t, f.KV, u.ID.String()); len(left) != 0 {
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
	f, o, _ := populated(t, new(failing))
	ctx := t.Context()
	f.Secrets.Health = errs.New(errs.Unavailable, "sealed")
	_, err := f.DeleteOrg(ctx, f.Root, o.ID)
	identitytest.WantCode(t, err, errs.Unavailable)
	if _, err := f.OrgByID(ctx, f.Root, o.ID); err != nil {
		t.Errorf("the organisation is gone though its secrets could not be deleted: %v", err)
	}

	// It goes away in between: the deletion stands and is finished later.
	f.Secrets.Health, f.Secrets.Purging = nil, errs.New(errs.Unavailable, "sealed")
	left, err := f.DeleteOrg(ctx, f.Root, o.ID)
	if err != nil || !strings.Contains(left, "sealed") || !strings.Contains(f.Unfinished(), "a deleted organization") {
		t.Fatalf("left %q, health says %q, %v", left, f.Unfinished(), err)
	}
	_, err = f.OrgByID(ctx, f.Root, o.ID)
	identitytest.WantCode(t, err, errs.NotFound)
	f.Secrets.Purging = nil
	if err := f.FinishDeletions(ctx); err != nil || len(f.Secrets.Purged) > 0 {
		t.Fatalf("tried again at once: %v, %v", f.Secrets.Purged, err)
	}
	f.Clock.Add(time.Minute)
	if err := f.FinishDeletions(ctx); err != nil || f.Unfinished() != "" {
		t.Fatalf("health says %q, %v", f.Unfinished(), err)
	}
	if left := leftovers(t, f.KV, o.ID.String()); len(left) != 0 || len(f.Secrets.Purged) != 1 {
		t.Errorf("left over: %v; purged: %v", left, f.Secrets.Purged)
	}
}

// TestDeletionOfTokensFails has the engine go away, and the time run out, while tokens are removed, one of them damaged.
// The server lives, and the rest goes later.
func TestDeletionOfTokensFails(t *testing.T) {
	for _, gone := range []error{kv.ErrUnavailable, context.DeadlineExceeded} {
		engine := new(failing)
		f, o, u := populated(t, engine)
		ctx := t.Context()
		damaged := identity.Authorization{ID: 7, OrgID: o.ID, UserID: u.ID, Status: identity.Active, Hash: []byte("short")}
		if _, err := f.KV.Txn(ctx, nil, []kv.Op{record.Put(record.Key("auth", damaged.ID), damaged),
			record.Put(record.Key("authorg", o.ID, damaged.ID), true)}); err != nil {
			t.Fatal(err)
		}
		engine.tokens = gone
		left, err := f.DeleteOrg(ctx, f.Root, o.ID)
		if err != nil || left == "" {
			t.Fatalf("%v: left %q, %v", gone, left, err)
		}
		if err := f.DeleteUser(ctx, f.Root, u.ID); err != nil {
			t.Fatal(err)
		}
		engine.tokens = nil
		f.Clock.Add(time.Hour)
		if err := f.FinishDeletions(ctx); err != nil {
			t.Fatal(err)
		}
		for _, which := range []string{o.ID.String(), u.ID.String()} {
			if left := leftovers(t, f.KV, which); len(left) != 0 {
				t.Errorf("%v: left over of %s: %v", gone, which, left)
			}
		}
	}
}

// TestDeletionTakesLong has whoever deletes an organisation or a user with much in it wait so long and no longer, and
// the rest removed all the same.
func TestDeletionTakesLong(t *testing.T) {
	f, o, u := populated(t, new(failing))
	ctx := t.Context()
	f.SetPatience(time.Millisecond)
	f.Secrets.Endless = true
	left, err := f.DeleteOrg(ctx, f.Root, o.ID)
	if err != nil || !strings.Contains(left, "still being removed") {
		t.Fatalf("left %q, %v", left, err)
	}
	if says := f.Unfinished(); says != "" {
		t.Errorf("what takes long counts as failed: %s", says)
	}
	_, err = f.OrgByID(ctx, f.Root, o.ID)
	identitytest.WantCode(t, err, errs.NotFound)
	f.SetPatience(0) // not even begun with
	if err := f.DeleteUser(ctx, f.Root, u.ID); err != nil {
		t.Fatal(err)
	}
	f.Secrets.Endless = false
	if err := f.FinishDeletions(ctx); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{o.ID.String(), u.ID.String()} {
		if left := leftovers(t, f.KV, gone); len(left) != 0 {
			t.Errorf("left over of %s: %v", gone, left)
		}
	}
}

// TestComesBackWhileItEnds has an organisation and a user come back under their IDs while something of those who had
// them before is left: it is refused until that is gone.
func TestComesBackWhileItEnds(t *testing.T) {
	f, o, u := populated(t, new(failing))
	ctx := t.Context()
	f.Secrets.Purging = errs.New(errs.Unavailable, "sealed")
	if left, err := f.DeleteOrg(ctx, f.Root, o.ID); err != nil || left == "" {
		t.Fatalf("left %q, %v", left, err)
	}
	_, err := f.AdoptOrg(ctx, f.Root, o.ID)
	if identitytest.WantCode(t, err, errs.Conflict); !strings.Contains(errs.Message(err), "just being deleted") {
		t.Errorf("it is told %q", errs.Message(err))
	}
	f.SetPatience(0)
	if err := f.DeleteUser(ctx, f.Root, u.ID); err != nil {
		t.Fatal(err)
	}
	for what, creation := range map[string]func() ([]kv.Cond, []kv.Op){"the organisation": o.Creation,
		"the user": u.Creation} {
		conds, ops := creation()
		if _, err := f.KV.Txn(ctx, conds, ops); !errors.Is(err, kv.ErrConflict) {
			t.Errorf("%s comes back: %v", what, err)
		}
	}
	f.Secrets.Purging = nil
	f.Clock.Add(time.Hour)
	if err := f.FinishDeletions(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := f.AdoptOrg(ctx, f.Root, o.ID); err != nil {
		t.Errorf("when nothing is left: %v", err)
	}
	conds, ops := u.Creation()
	if _, err := f.KV.Txn(ctx, conds, ops); err != nil {
		t.Errorf("when nothing is left: %v", err)
	}
}

// TestEndsTwiceAtOnce has two go on with one deletion, and the organisation come back when the faster has done: the
// slower takes nothing of it.
func TestEndsTwiceAtOnce(t *testing.T) {
	f, o, _ := populated(t, new(failing))
	ctx := t.Context()
	f.Secrets.During = func() {
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond) // it may wait for the other
		defer cancel()
		_ = f.FinishDeletions(ctx)
		_, _ = f.AdoptOrg(t.Context(), f.Root, o.ID)
	}
	if left, err := f.DeleteOrg(ctx, f.Root, o.ID); err != nil || left != "" {
		t.Fatalf("left %q, %v", left, err)
	}
	if _, err := f.AdoptOrg(ctx, f.Root, o.ID); err != nil {
		t.Fatal(err)
	}
	m, err := f.MembershipOf(ctx, f.Root, o.ID, f.First.User.ID)
	if err != nil || m.Role != identity.RoleOwner {
		t.Errorf("who made it is its %q, %v", m.Role, err)
	}
}

func TestLastOperatorStays(t *testing.T) {
	f := identitytest.Onboarded(t)
	identitytest.WantCode(t, f.DeleteUser(t.Context(), f.Root, f.First.User.ID), errs.Conflict)
	inactive := identity.Inactive
	_, err := f.UpdateUser(t.Context(), f.Root, f.First.User.ID, nil, &inactive)
	identitytest.WantCode(t, err, errs.Conflict)
}
