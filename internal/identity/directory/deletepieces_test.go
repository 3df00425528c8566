package directory_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// transactionsAtOnce is how many transactions of a deletion are under way at the most, which an engine may commit
// together: others wait for no more.
const transactionsAtOnce = 16

// inPieces looks at each transaction that removes tokens or members, and has others write before it.
type inPieces struct {
	kv.Store
	others func() error // nil until the deletion begins

	mu                             sync.Mutex
	pieces, most, under, mostUnder int
	wrong                          []string
}

func (e *inPieces) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	ours := false
	for _, op := range ops {
		if op.Kind == kv.OpPut { // what others do is none of ours
			ours = false
			break
		}
		ours = ours || strings.HasPrefix(op.Key, "authorg/") || strings.HasPrefix(op.Key, "member/")
		if op.Kind == kv.OpDeletePrefix && e.others != nil {
			e.mu.Lock()
			e.wrong = append(e.wrong, "all below "+op.Key+" goes at once, however much that is")
			e.mu.Unlock()
		}
	}
	if e.others == nil || !ours {
		return e.Store.Txn(ctx, conds, ops)
	}
	e.mu.Lock()
	e.pieces++
	e.under++
	e.most, e.mostUnder = max(e.most, len(ops)), max(e.mostUnder, e.under)
	e.mu.Unlock()
	err := e.others()
	e.mu.Lock()
	if err != nil {
		e.wrong = append(e.wrong, fmt.Sprintf("others cannot write: %v", err))
	}
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.under--
		e.mu.Unlock()
	}()
	return e.Store.Txn(ctx, conds, ops)
}

// TestDeleteOrgInPieces ends an organisation with many tokens and members. No transaction has more than an engine
// takes, and before each of them a change of another organisation is made, from its beginning to its end.
func TestDeleteOrgInPieces(t *testing.T) {
	engine := new(inPieces)
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
	changes := 0
	var mu sync.Mutex
	engine.others = func() error {
		mu.Lock()
		defer mu.Unlock()
		changes++
		description := fmt.Sprint("change ", changes)
		_, err := f.UpdateOrg(t.Context(), f.Root, theirs.ID, nil, &description)
		return err
	}
	f.SetPatience(time.Hour)
	if left, err := f.DeleteOrg(t.Context(), f.Root, f.First.Org.ID); err != nil || left != "" {
		t.Fatalf("%s, %v", left, err)
	}
	engine.mu.Lock()
	defer engine.mu.Unlock()
	for _, wrong := range engine.wrong {
		t.Error(wrong)
	}
	if engine.most > kv.MaxOps || engine.mostUnder > transactionsAtOnce {
		t.Errorf("a transaction has up to %d operations, want at most %d; %d are under way, want at most %d",
			engine.most, kv.MaxOps, engine.mostUnder, transactionsAtOnce)
	}
	if least := (tokens + members) * 2 / kv.MaxOps; engine.pieces < least || changes != engine.pieces {
		t.Errorf("all went in %d transactions, want at least %d, and others made %d changes", engine.pieces, least, changes)
	}
	for _, of := range []string{"authorg", "member"} {
		if left, err := f.KV.List(t.Context(), record.Folder(of, f.First.Org.ID), "", 1); err != nil || len(left) > 0 {
			t.Errorf("left are %v, %v", left, err)
		}
	}
}
