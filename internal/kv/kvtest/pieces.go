package kvtest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"strongroom/internal/kv"
)

// piecesAtOnce is how many transactions of something large are under way at the most, which an engine may commit
// together: others wait for no more.
const piecesAtOnce = 16

// Pieces is a store in which others write before each transaction of something large, that is to go in pieces.
type Pieces struct {
	kv.Store
	Ours   func(ops []kv.Op) bool  // whether a transaction is one of the pieces
	Others func(changes int) error // makes their next change, one at a time; nil until the pieces begin

	turn    sync.Mutex
	changes int

	mu                             sync.Mutex
	pieces, most, under, mostUnder int
	wrong                          []string
}

// Txn has others write before it.
func (p *Pieces) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if p.Others == nil {
		return p.Store.Txn(ctx, conds, ops)
	}
	size := 0
	for _, op := range ops {
		size += len(op.Key) + len(op.Value)
		if op.Kind == kv.OpDeletePrefix {
			p.say("all below " + op.Key + " goes at once, however much that is")
		}
	}
	if !p.Ours(ops) {
		return p.Store.Txn(ctx, conds, ops)
	}
	if size > kv.MaxTxnBytes {
		p.say(fmt.Sprintf("%d bytes in one transaction", size))
	}
	p.mu.Lock()
	p.pieces++
	p.under++
	p.most, p.mostUnder = max(p.most, len(ops)), max(p.mostUnder, p.under)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.under--
	}()
	p.turn.Lock()
	p.changes++
	err := p.Others(p.changes)
	p.turn.Unlock()
	if err != nil {
		p.say(fmt.Sprintf("others cannot write: %v", err))
	}
	return p.Store.Txn(ctx, conds, ops)
}

func (p *Pieces) say(wrong string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrong = append(p.wrong, wrong)
}

// Check fails the test where a piece was larger than others may wait for, or there were fewer than the least, and gives
// how many changes others have made.
func (p *Pieces) Check(t *testing.T, least int) (changes int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, wrong := range p.wrong {
		t.Error(wrong)
	}
	if p.most > kv.MaxOps || p.mostUnder > piecesAtOnce {
		t.Errorf("a transaction has up to %d operations, want at most %d; %d are under way, want at most %d", p.most,
			kv.MaxOps, p.mostUnder, piecesAtOnce)
	}
	if p.pieces < least || p.changes != p.pieces {
		t.Errorf("all went in %d transactions, want at least %d, and others made %d changes", p.pieces, least,
			p.changes)
	}
	return p.changes
}
