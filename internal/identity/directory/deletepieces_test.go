package directory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
	"strongroom/internal/kv/kvtest"
)

// TestDeleteOrgInPieces ends an organisation with many tokens and members. No transaction has more than an engine
// takes, and before each of them a change of another organisation is made, from its beginning to its end.
func TestDeleteOrgInPieces(t *testing.T) {
	engine := &kvtest.Pieces{Ours: removesPeople}
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
	theirs, err := f.NewOrg(t.Context(), f.Root, "theirs", "")
	if err != nil {
		t.Fatal(err)
	}
	const tokens, members = 300, 200
	for range tokens {
		f.AddToken(t, f.First.User.ID, nil)
	}
	for n := range members {
		u := identity.User{ID: f.First.User.ID + 1000 + id.ID(n), Name: fmt.Sprint("user ", n), Status: identity.Active}
		_, ops := u.Creation()
		ops = append(ops, identity.GiveRole(f.First.Org.ID, u.ID, identity.RoleMember)...)
		if _, err := f.KV.Txn(t.Context(), nil, ops); err != nil {
			t.Fatal(err)
		}
	}
	engine.Others = func(changes int) error {
		description := fmt.Sprint("change ", changes)
		_, err := f.UpdateOrg(t.Context(), f.Root, theirs.ID, nil, &description)
		return err
	}
	f.SetPatience(time.Hour)
	if left, err := f.DeleteOrg(t.Context(), f.Root, f.First.Org.ID); err != nil || left != "" {
		t.Fatalf("%s, %v", left, err)
	}
	engine.Check(t, (tokens+members)*2/kv.MaxOps)
	for _, of := range []string{"authorg", "member"} {
		if left, err := f.KV.List(t.Context(), record.Folder(of, f.First.Org.ID), "", 1); err != nil || len(left) > 0 {
			t.Errorf("left are %v, %v", left, err)
		}
	}
}

// removesPeople reports whether a transaction removes tokens or members. What others do puts something.
func removesPeople(ops []kv.Op) bool {
	puts := slices.ContainsFunc(ops, func(op kv.Op) bool { return op.Kind == kv.OpPut })
	return !puts && slices.ContainsFunc(ops, func(op kv.Op) bool {
		return strings.HasPrefix(op.Key, "authorg/") || strings.HasPrefix(op.Key, "member/")
	})
}
