// Package secret is the project's main job: an organisation's secrets, kept in one of several stores behind one
// service that checks permission, writes the audit record and enforces the limits.
package secret

import (
	"context"

	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// Change is one change of an organisation's secrets. Set and Delete name no key in common.
type Change struct {
	Set    map[string]Value
	Delete []string
	// Only says what must be so for the change to be made.
	Only Condition
	// Was says of keys that the change names what they hold at the moment when it is made, nil for one that does not
	// exist. Where that is not so, nothing is changed: a change that builds on what was read goes over nobody's later one.
	Was map[string]*Value
	// By is the user who makes it, for the history; the service fills it in.
	By string
}

// Empty reports whether the change changes nothing.
func (c Change) Empty() bool { return len(c.Set) == 0 && len(c.Delete) == 0 }

// Depends reports whether the change is made only where something is so.
func (c Change) Depends() bool { return c.Only != Anyway || len(c.Was) > 0 }

// Built says why the change may not be made, for what a key holds now; nil where it may. A key that is there and holds no
// value of ours has now nil and exists true.
func (c Change) Built(key string, now *Value, exists bool) error {
	was, says := c.Was[key]
	if !says || was == nil && !exists || was != nil && now != nil && was.Equal(*now) {
		return nil
	}
	return errs.New(errs.PreconditionFailed, "the secret %q has been changed since it was read; nothing was changed", errs.Clip(key))
}

// Condition is what must be so of the keys that a change sets, all of them, at the moment when it is made.
type Condition int

// The conditions.
const (
	Anyway     Condition = iota // nothing
	IfNew                       // none of them exists
	IfExisting                  // each of them exists
)

// Allows says why a key may not be set that exists or not; nil where it may.
func (c Condition) Allows(key string, exists bool) error {
	switch {
	case c == IfNew && exists:
		return errs.New(errs.PreconditionFailed, "the secret %q exists already; nothing was changed", errs.Clip(key))
	case c == IfExisting && !exists:
		return errs.New(errs.PreconditionFailed, "the secret %q does not exist; nothing was changed", errs.Clip(key))
	}
	return nil
}

// Store keeps secrets. What it is given has been checked by the service: IDs are valid, keys to set are not empty, valid
// UTF-8, free of control characters and within the limits, as are the values. Keys to delete may be any text: others may
// have stored what this server would refuse. It is safe for use by many goroutines.
//
// Every method ends when ctx ends, with ctx's error. Errors carry a code of package errs:
//
//	errs.NotFound            the secret does not exist (Get only)
//	errs.Unavailable         the store cannot be reached, is sealed, or refuses us; the message names no address
//	errs.RequestTooLarge     the change does not fit the store, and the message says which limit
//	errs.Forbidden           the organisation's secrets are read-only here (Apply only; Purge leaves them and gives nil)
//	errs.Invalid             the organisation's name cannot be part of the path that the store is told to keep secrets at
//	errs.Conflict            others changed the same secrets at the same time and the store's own retries ran out
//	errs.PreconditionFailed  the change's condition does not hold (Apply only; Condition.Allows and Change.Built make the error)
//
// An error without a code is a fault whose text is for the log only. None holds a value, token, key or address.
type Store interface {
	// Keys returns the names of the organisation's secrets in the order of their bytes. An organisation that has none,
	// or of which the store has never heard, gives an empty list that is not nil.
	Keys(ctx context.Context, org id.ID) ([]string, error)

	// Get returns one value.
	Get(ctx context.Context, org id.ID, key string) (Value, error)

	// Apply carries out the whole change or none of it. Keys to delete that do not exist are no error. After it has
	// returned nil, every Keys and Get on any client of the same data sees the change. When it returns ctx's error or
	// errs.Unavailable, the change may or may not have been made, but never half of it.
	Apply(ctx context.Context, org id.ID, change Change) error

	// Purge removes everything the store keeps for the organisation, earlier versions included. It is safe to repeat.
	Purge(ctx context.Context, org id.ID) error

	// Check reports whether the store can serve now: nil, or errs.Unavailable with a message fit for operators'
	// health checks (a state, no address).
	Check(ctx context.Context) error
}

// Lister is a Store that keeps its lists and can hand one out without a copy of it: most requests want the list, and to
// copy a thousand names takes longer than all else about it.
type Lister interface {
	// SharedKeys is Keys, but nobody may change the list. Where nothing has changed, it is the very list of the last call.
	SharedKeys(ctx context.Context, org id.ID) ([]string, error)
}

// sharedKeys asks for a list that nobody may change.
func sharedKeys(ctx context.Context, s Store, org id.ID) ([]string, error) {
	if l, ok := s.(Lister); ok {
		return l.SharedKeys(ctx, org)
	}
	return s.Keys(ctx, org)
}

// NotFound is the error of Get for a secret that does not exist.
func NotFound(key string) error { return errs.New(errs.NotFound, "secret %q not found", key) }
