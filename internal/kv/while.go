package kv

import (
	"context"
	"errors"
	"slices"

	"strongroom/internal/errs"
)

// ErrOver ends what may be done only while a record stays as it was read (While), and it is another now. That is no
// fault of who does it.
var ErrOver = errs.New(errs.PreconditionFailed, "what this was done for is over")

type whileKey struct{}

// While gives a context for what may be done only while a record stays as it was read: what goes on for long, in many
// transactions, in a process that may stand still meanwhile. Each transaction of it has that condition (Standing), and
// ends with ErrOver where it does not hold.
func While(ctx context.Context, r Record) context.Context {
	return context.WithValue(ctx, whileKey{}, Unchanged(r))
}

// WhileOf gives ctx the condition of another context, which is of the caller that something is done for.
func WhileOf(ctx, caller context.Context) context.Context {
	if c := caller.Value(whileKey{}); c != nil {
		return context.WithValue(ctx, whileKey{}, c)
	}
	return ctx
}

// Standing are the conditions, and that of the context.
func Standing(ctx context.Context, conds []Cond) []Cond {
	c, ok := ctx.Value(whileKey{}).(Cond)
	if !ok || slices.Contains(conds, c) {
		return conds
	}
	return append(slices.Clip(conds), c)
}

// Over is the error of a transaction with the conditions of Standing: ErrOver in place of a conflict where that of the
// context does not hold any more.
func Over(ctx context.Context, s Store, err error) error {
	c, ok := ctx.Value(whileKey{}).(Cond)
	if !ok || !errors.Is(err, ErrConflict) {
		return err
	}
	switch r, unread := s.Get(ctx, c.Key); {
	case errors.Is(unread, ErrNotFound), unread == nil && r.Rev != c.Rev:
		return ErrOver
	case unread != nil:
		return unread
	}
	return err
}
