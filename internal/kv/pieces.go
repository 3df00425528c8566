package kv

import (
	"context"
	"iter"
	"slices"

	"golang.org/x/sync/errgroup"
)

// How DeleteSome goes on: what it reads at a time, and how many transactions are under way, which an engine commits
// together. Others wait for no more than such a commit.
const (
	firstPiece = 64
	maxPiece   = 32 * MaxOps
	pieceBytes = 2 << 20 // of what is read, values included
	pieces     = 16
)

// DeleteSome removes records whose keys begin with the prefix, the first ones first, and tells how many: about so many
// as at most says, and fewer only where there are no more. It is for what DeletePrefix would take too long for, or too
// much memory: it takes many transactions, each with the conditions and that of ctx (While), and what it has removed
// stays removed where it ends with an error.
func DeleteSome(ctx context.Context, s Store, conds []Cond, prefix string, most int) (n int, err error) {
	conds = Standing(ctx, conds)
	for piece := firstPiece; n < most; {
		recs, err := s.List(ctx, prefix, "", piece)
		if err != nil || len(recs) == 0 {
			return n, err
		}
		size := 0
		g, each := errgroup.WithContext(ctx)
		g.SetLimit(pieces)
		for some := range slices.Chunk(recs, MaxOps) {
			ops := make([]Op, len(some))
			for i, r := range some {
				ops[i] = Delete(r.Key)
				size += len(r.Key) + len(r.Value)
			}
			g.Go(func() error { return deleteThese(each, s, conds, ops) })
		}
		if err := g.Wait(); err != nil {
			return n, Over(ctx, s, err)
		}
		n += len(recs)
		piece = min(max(pieceBytes*len(recs)/max(size, 1), firstPiece), maxPiece, 4*piece)
	}
	return n, nil
}

// deleteThese removes the records in one transaction, or, where their keys are too long for one, in two or more.
func deleteThese(ctx context.Context, s Store, conds []Cond, ops []Op) error {
	if len(ops) > 1 && Validate(conds, ops) != nil {
		half := len(ops) / 2
		if err := deleteThese(ctx, s, conds, ops[:half]); err != nil {
			return err
		}
		return deleteThese(ctx, s, conds, ops[half:])
	}
	_, err := s.Txn(ctx, conds, ops)
	return err
}

// Each gives the records whose keys begin with prefix, in order, so many read at a time. What is changed meanwhile may
// be among them or not. An error is the last that it gives.
func Each(ctx context.Context, s Store, prefix string, page int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for after := ""; ; {
			recs, err := s.List(ctx, prefix, after, page)
			if err != nil {
				yield(Record{}, err)
				return
			}
			if len(recs) == 0 {
				return
			}
			for _, r := range recs {
				if after = r.Key; !yield(r, nil) {
					return
				}
			}
		}
	}
}
