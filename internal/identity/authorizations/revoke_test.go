package authorizations_test

import (
	"context"
	"errors"
	"slices"
	"strings"
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

// TestUndoOfARevocation restores a token as long as that can be, and refuses it meanwhile and for ever after.
func TestUndoOfARevocation(t *testing.T) {
	f := identitytest.Onboarded(t)
	make := func() (identity.Authorization, string) {
		t.Helper()
		a, token, err := f.Authorize(t.Context(), f.Root, authorizations.Wanted{OrgID: f.First.Org.ID,
			Description: "robot", Permissions: access.Owner(f.First.Org.ID)[:1]})
		if err != nil {
			t.Fatal(err)
		}
		return a, token
	}
	works := func(token string) bool { _, err := f.ByToken(t.Context(), token); return err == nil }

	a, token := make()
	works(token) // is remembered
	if _, err := f.RevokeAuthorization(t.Context(), f.Root, a.ID); err != nil {
		t.Fatal(err)
	}
	if works(token) {
		t.Error("a revoked token works")
	}
	if _, err := f.AuthorizationByID(t.Context(), f.Root, a.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("a revoked authorization is found: %v", err)
	}
	nobody := &access.Caller{Principal: &access.Principal{UserID: 77, Permissions: access.Self(77)}}
	if _, err := f.RestoreAuthorization(t.Context(), nobody, a.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("somebody who may make no tokens: %v", err)
	}
	less := &access.Caller{Principal: &access.Principal{UserID: a.UserID, Permissions: []access.Permission{
		access.To(access.Write, access.Resource{Type: access.Authorizations, OrgID: a.OrgID})}}}
	if _, err := f.RestoreAuthorization(t.Context(), less, a.ID); !errs.Is(err, errs.Forbidden) {
		t.Errorf("somebody who does not hold what the token may: %v", err)
	}
	if f.Trail.Last().Action != "authorizations.restore" || f.Trail.Last().Outcome != "denied" {
		t.Errorf("on record is %+v", f.Trail.Last())
	}
	back, err := f.RestoreAuthorization(t.Context(), f.Root, a.ID)
	if err != nil || back.ID != a.ID || !works(token) {
		t.Errorf("restored: %v %v, and it works: %v", back.ID, err, works(token))
	}
	if _, err := f.RestoreAuthorization(t.Context(), f.Root, a.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("restored twice: %v", err)
	}

	// Not after its time.
	if _, err := f.RevokeAuthorization(t.Context(), f.Root, a.ID); err != nil {
		t.Fatal(err)
	}
	f.Clock.Add(authorizations.UndoTime + time.Second)
	if _, err := f.RestoreAuthorization(t.Context(), f.Root, a.ID); !errs.Is(err, errs.NotFound) || works(token) {
		t.Errorf("restored after its time: %v, and it works: %v", err, works(token))
	}

	// Not what the API has deleted: that is for good.
	a, token = make()
	if err := f.DeleteAuthorization(t.Context(), f.Root, a.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.RestoreAuthorization(t.Context(), f.Root, a.ID); !errs.Is(err, errs.NotFound) || works(token) {
		t.Errorf("restored what was deleted for good: %v", err)
	}

	// Not in an organisation that has ended.
	org, err := f.NewOrg(t.Context(), f.Root, "short-lived", "")
	if err != nil {
		t.Fatal(err)
	}
	a, token, err = f.Authorize(t.Context(), f.Root, authorizations.Wanted{OrgID: org.ID, Permissions: access.Owner(org.ID)[:1]})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.RevokeAuthorization(t.Context(), f.Root, a.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.DeleteOrg(t.Context(), f.Root, org.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.RestoreAuthorization(t.Context(), f.Root, a.ID); !errs.Is(err, errs.NotFound) || works(token) {
		t.Errorf("restored in an organisation that has ended: %v", err)
	}
	if err := identity.Check(t.Context(), f.KV, func(k, what string) { t.Errorf("%s: %s", k, what) }); err != nil {
		t.Fatal(err)
	}
	// No record has the token.
	rs, err := f.KV.List(t.Context(), "", "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if strings.Contains(string(r.Value), token) || strings.Contains(r.Key, token) {
			t.Errorf("the record %s has the token", r.Key)
		}
	}
}

// TestRestoreWithWhatItHangsOn restores a token with the time of its last use, and none whose parent is gone.
func TestRestoreWithWhatItHangsOn(t *testing.T) {
	f := identitytest.Onboarded(t)
	make := func() identity.Authorization {
		t.Helper()
		a, _, err := f.Authorize(t.Context(), f.Root, authorizations.Wanted{OrgID: f.First.Org.ID,
			Permissions: access.Owner(f.First.Org.ID)[:1]})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := make()
	used := record.Key("authused", a.ID)
	then := kv.Put(used, []byte("1767322800"))
	if _, err := f.KV.Txn(t.Context(), nil, []kv.Op{then}); err != nil {
		t.Fatal(err)
	}
	if kept, err := f.RevokeAuthorization(t.Context(), f.Root, a.ID); err != nil || !kept {
		t.Fatal(kept, err)
	}
	if _, err := f.KV.Get(t.Context(), used); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("the last use of a revoked token: %v", err)
	}
	if _, err := f.RestoreAuthorization(t.Context(), f.Root, a.ID); err != nil {
		t.Fatal(err)
	}
	if r, err := f.KV.Get(t.Context(), used); err != nil || string(r.Value) != string(then.Value) {
		t.Errorf("the last use of a restored token: %q, %v", r.Value, err)
	}

	if _, err := f.RevokeAuthorization(t.Context(), f.Root, a.ID); err != nil {
		t.Fatal(err)
	}
	gone := record.Key("authgone", a.ID)
	kept, _, err := record.Load[identity.Revoked](t.Context(), f.KV, gone, errors.New("not kept"))
	if err != nil {
		t.Fatal(err)
	}
	kept.Authorization.Lease = &identity.Lease{Parent: 4711}
	if _, err := f.KV.Txn(t.Context(), nil, []kv.Op{record.Put(gone, kept)}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.RestoreAuthorization(t.Context(), f.Root, a.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("without its parent: %v", err)
	}
}

// full is an engine that has no room: it takes deletions alone.
type full struct {
	kv.Store
	is bool
}

func (f *full) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if f.is && slices.ContainsFunc(ops, func(op kv.Op) bool { return op.Kind == kv.OpPut }) {
		return 0, kv.ErrFull
	}
	return f.Store.Txn(ctx, conds, ops)
}

// TestRevokeWithoutRoom revokes a token where nothing more can be written: it is refused from then on, for good.
func TestRevokeWithoutRoom(t *testing.T) {
	var engine *full
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine = &full{Store: s}; return engine })
	a, token, err := f.Authorize(t.Context(), f.Root, authorizations.Wanted{OrgID: f.First.Org.ID,
		Permissions: access.Owner(f.First.Org.ID)[:1]})
	if err != nil {
		t.Fatal(err)
	}
	engine.is = true
	if kept, err := f.RevokeAuthorization(t.Context(), f.Root, a.ID); err != nil || kept {
		t.Errorf("it can be undone: %v, %v", kept, err)
	}
	if _, err := f.ByToken(t.Context(), token); err == nil {
		t.Error("the token works")
	}
	if _, err := f.RestoreAuthorization(t.Context(), f.Root, a.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("restored: %v", err)
	}
}
