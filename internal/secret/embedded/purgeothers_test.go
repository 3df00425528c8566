package embedded

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/purge"
	"strongroom/internal/secret/embedded/records"
)

// pieceOps and piecesAtOnce are the most that others wait for, which one commit of the engine may hold: the operations
// of a transaction of kv.DeleteSome, and how many of those are under way.
const (
	pieceOps     = kv.MaxOps
	piecesAtOnce = 16
)

// inPieces looks at each transaction that removes something of the organisation, and has others write before it.
type inPieces struct {
	kv.Store
	others func() error

	mu                             sync.Mutex
	pieces, most, under, mostUnder int
	wrong                          []string
}

func (e *inPieces) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	ours, size := false, 0
	for _, op := range ops {
		for _, of := range []string{records.Prefix(org), records.TrashPrefix(org), purge.Key(org)} {
			ours = ours || strings.HasPrefix(op.Key, of)
		}
		size += len(op.Key) + len(op.Value)
	}
	if !ours {
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
	if size > kv.MaxTxnBytes {
		e.wrong = append(e.wrong, fmt.Sprintf("%d bytes in one transaction", size))
	}
	for _, op := range ops {
		if op.Kind == kv.OpDeletePrefix {
			e.wrong = append(e.wrong, "all below "+op.Key+" goes at once, however much that is")
		}
	}
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.under--
		e.mu.Unlock()
	}()
	return e.Store.Txn(ctx, conds, ops)
}

// TestPurgeInPieces removes all of an organisation with many secrets, some of them deleted. No transaction has more
// than a piece, and before each of them a change of another organisation is made, from its beginning to its end.
func TestPurgeInPieces(t *testing.T) {
	t.Parallel()
	for _, f := range []form{inClear, inSeal} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, openKV(t), keyFile(t))
			f.begin(t, s)
			const secrets = 3000
			c, gone := secret.Change{Set: make(map[string]secret.Value)}, secret.Change{}
			for n := range secrets {
				name := fmt.Sprintf("number %04d", n)
				if c.Set[name] = secret.NewValue([]byte("a value")); n%3 == 0 {
					gone.Delete = append(gone.Delete, name)
				}
			}
			apply(t, s, c)
			apply(t, s, gone)
			changes := 0
			var mu sync.Mutex
			engine := &inPieces{Store: s.kv}
			engine.others = func() error {
				mu.Lock()
				defer mu.Unlock()
				changes++
				return errOf(s.Apply(t.Context(), otherOrg, secret.Change{Set: setOf("theirs", fmt.Sprint(changes))}))
			}
			onto(s, engine)
			if err := s.Purge(t.Context(), org); err != nil {
				t.Fatal(err)
			}
			for _, wrong := range engine.wrong {
				t.Error(wrong)
			}
			if engine.most > pieceOps || engine.mostUnder > piecesAtOnce {
				t.Errorf("a transaction has up to %d operations, want at most %d; %d are under way, want at most %d",
					engine.most, pieceOps, engine.mostUnder, piecesAtOnce)
			}
			// Each secret has at least two records; begin and end are transactions of their own.
			if least := 2*secrets/pieceOps + 2; engine.pieces < least || changes != engine.pieces {
				t.Errorf("all went in %d transactions, want at least %d, and others made %d changes", engine.pieces, least,
					changes)
			}
			for _, of := range []string{records.Prefix(org), records.TrashPrefix(org)} {
				if left, err := s.kv.List(t.Context(), of, "", 1); err != nil || len(left) > 0 {
					t.Errorf("left are %v, %v", left, err)
				}
			}
			got, err := secret.Get(t.Context(), s, otherOrg, "theirs")
			if err != nil || string(got.Bytes()) != fmt.Sprint(changes) {
				t.Errorf("the other organisation's secret: %v", err)
			}
		})
	}
}
