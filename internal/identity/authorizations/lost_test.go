package authorizations_test

import (
	"bytes"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/barrier"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/kv"
	"strongroom/internal/kv/kvtest"
)

// TestRevokeDamaged damages a token's own record. Operators revoke it by its ID, with all that leads to it; everybody
// else is refused as before.
func TestRevokeDamaged(t *testing.T) {
	f := identitytest.Onboarded(t)
	ctx := t.Context()
	before := kvtest.All(t, f.KV)
	u := f.AddUser(t, "ann")
	a, _ := f.AddToken(t, u.ID, nil)
	engine := f.KV.(*barrier.Store).Store
	key := "auth/" + a.ID.String()
	r, err := engine.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(r.Value)
	flipped[len(flipped)/2] ^= 4
	if _, err := engine.Txn(ctx, nil, []kv.Op{kv.Put(key, flipped)}); err != nil {
		t.Fatal(err)
	}
	f.KV = barrier.New(engine, f.Keys, identity.Sealed)
	f.Start(t)
	f.Root = f.CallerByToken(t, f.First.Token)

	owner := identitytest.Holder(access.Owner(f.First.Org.ID)...)
	if err := f.DeleteAuthorization(ctx, owner, a.ID); errs.CodeOf(err) != errs.Internal {
		t.Errorf("an owner: %v", err)
	}
	if e := f.Trail.Last(); e.Action != "authorizations.delete" || e.Outcome != audit.Denied {
		t.Errorf("on record is %+v", e)
	}
	if _, err := f.AuthorizationByID(ctx, f.Root, a.ID); errs.CodeOf(err) != errs.Internal {
		t.Errorf("reading it: %v", err)
	}
	inactive := identity.Inactive
	if _, err := f.UpdateAuthorization(ctx, f.Root, a.ID, &inactive, nil); errs.CodeOf(err) != errs.Internal {
		t.Errorf("changing it: %v", err)
	}
	if kept, err := f.RevokeAuthorization(ctx, f.Root, a.ID); err != nil || kept {
		t.Errorf("an operator: %v, kept: %v", err, kept)
	}
	if e := f.Trail.Last(); e.Action != "authorizations.delete" || e.Target != a.ID.String() {
		t.Errorf("on record is %+v", e)
	}
	for key := range kvtest.All(t, engine) {
		if strings.Contains(key, a.ID.String()) || strings.HasPrefix(key, "authhash/") && before[key] == nil {
			t.Errorf("%s is left", key)
		}
	}
	if err := f.DeleteAuthorization(ctx, f.Root, a.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("once more: %v", err)
	}
}
