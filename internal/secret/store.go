// Package secret is the project's main job: an organisation's secrets. It says what a secret is, and what each store
// that keeps some can and must. Callers reach them by package service, which checks permission, writes the audit record
// and enforces the limits.
package secret

import (
	"context"
	"maps"
	"slices"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// Change is one change of an organisation's secrets. Set and Delete name no key in common.
type Change struct {
	Set    map[string]Value
	Delete []string
	// Only says what must be so of the secrets that are set for the change to be made.
	Only Condition
	// Was says of keys that the change names what they hold at the moment when it is made, nil for one that does not
	// exist. Where that is not so, nothing is changed: a change that builds on what was read goes
	// over nobody's later one.
	Was map[string]*Value
	// At is the version that the organisation must have, 0 where nothing of it must be there; nil for any.
	At *int64
	// Versions are the versions that single secrets must have: Info.Version, so that a deleted one counts with its last
	// version as long as it can be brought back. 0 is a secret of which nothing is kept.
	Versions map[string]int
	// Moved names, for a key that is set, another whose earlier versions and description it takes over with the value:
	// the name under which the secret was. Where About.Moves is false, it counts for nothing.
	Moved map[string]string
	// By is the user who makes it, for the history; the service fills it in.
	By string
}

// changeCost is about how many bytes of memory each secret of a change takes until it is made, beside its name and
// value: as a member of the map, a record, a place in the file's tree and a part of the audit log's line.
const changeCost = 2 << 10

// MaxChange is how many secrets one request may set and delete. What else takes more memory than there is for all goes
// alone: without a bound, one request of short names took over 1 GiB.
const MaxChange = 50_000

// HoldChange has a request hold the memory for n secrets of a change, beside those that it had before. It gives
// errs.RequestTooLarge where they are more than MaxChange, or hold's error.
func HoldChange(hold func(bytes int64) error, had, n int) error {
	if had+n > MaxChange {
		return errs.New(errs.RequestTooLarge, "a request can set and delete %d secrets at most; divide it; nothing "+
			"was changed", MaxChange)
	}
	return hold(changeCost * int64(n))
}

// Empty reports whether the change changes nothing.
func (c Change) Empty() bool { return len(c.Set) == 0 && len(c.Delete) == 0 }

// Keys are the names of all that is set or deleted, sorted.
func (c Change) Keys() []string {
	keys := slices.AppendSeq(make([]string, 0, len(c.Set)+len(c.Delete)), maps.Keys(c.Set))
	keys = append(keys, c.Delete...)
	slices.Sort(keys)
	return keys
}

// Depends reports whether the change is made only where something is so.
func (c Change) Depends() bool {
	return c.Only != Anyway || len(c.Was) > 0 || c.At != nil || len(c.Versions) > 0
}

// Built says why the change may not be made, for what a key holds now; nil where it may. A key that is there and holds
// no value of ours has now nil and exists true.
func (c Change) Built(key string, now *Value, exists bool) error {
	was, says := c.Was[key]
	if !says || was == nil && !exists || was != nil && now != nil && was.Equal(*now) {
		return nil
	}
	return errs.New(errs.PreconditionFailed, "the secret %q has been changed since it was read; nothing was changed",
		errs.Clip(key))
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

// CheckAt says why a change may not be made of an organisation at the version; nil where it may.
func (c Change) CheckAt(version int64) error {
	if c.At == nil || *c.At == version {
		return nil
	}
	return errs.New(errs.PreconditionFailed, "the organization's secrets are at version %d and not %d; nothing "+
		"was changed", version, *c.At)
}

// CheckVersion says why a change may not be made where the secret is at the version; nil where it may.
func (c Change) CheckVersion(key string, version int) error {
	want, ok := c.Versions[key]
	if !ok || want == version {
		return nil
	}
	return errs.New(errs.PreconditionFailed, "the secret %q is at version %d and not %d; nothing was changed",
		errs.Clip(key), version, want)
}

// Clone copies what the caller of Apply may change once it has returned.
func (c Change) Clone() Change {
	c.Set, c.Delete = maps.Clone(c.Set), slices.Clone(c.Delete)
	c.Was, c.Versions, c.Moved = maps.Clone(c.Was), maps.Clone(c.Versions), maps.Clone(c.Moved)
	return c
}

// Outcome is what a change has come to.
type Outcome struct {
	// Version is the organisation's version with the change, 0 where About says that it has none.
	Version int64
	// Versions are those of the secrets that were set or brought back, nil where About says that they have none.
	Versions map[string]int
}

// Query says what to read of an organisation's secrets.
type Query struct {
	// Keys are the secrets' names. What is not there is left out of the answer.
	Keys []string
	// Want chooses them, where Keys is nil: nil is all of them. It may be called more than once.
	Want func(key string) bool
	// Versions asks for the secrets' versions and times; without it they may be missing.
	Versions bool
	// ForUse takes values from memory where the store does that: within a time that its configuration bounds, such a
	// snapshot may be of before what another client of the same data has changed since. What was changed through the
	// store itself is seen at once. Where values are managed, it is false.
	ForUse bool
	// Enough, where it is given, may be asked about a snapshot of the secrets' versions without their values, by a
	// store that has those in memory: where it says yes, that is the answer. It may be called more than once.
	Enough func(Snapshot) bool
}

// Snapshot is an organisation's secrets at one moment.
type Snapshot struct {
	// Version is the organisation's version, and Changed when it became that. Both are zero where About says that there
	// is none, and where nothing is kept of the organisation; Changed also where it is not known.
	Version int64
	Changed time.Time
	Secrets map[string]Secret
	// Sorted are the names of Secrets in order, where the store has them so, and may be in use elsewhere: nobody may
	// change the list. Names is for reading it.
	Sorted []string
	// Unread says that the values were not read, since Enough has said so: those in Secrets are empty.
	Unread bool
}

// Names gives the names of the secrets in order. Nobody may change the list.
func (s Snapshot) Names() []string {
	if s.Sorted != nil && len(s.Sorted) == len(s.Secrets) {
		return s.Sorted
	}
	return slices.Sorted(maps.Keys(s.Secrets))
}

// Values returns the values of the snapshot's secrets as texts, which is what all but Vault's API give out.
func (s Snapshot) Values() map[string]Value {
	values := make(map[string]Value, len(s.Secrets))
	for k, got := range s.Secrets {
		values[k] = got.Value.Shown()
	}
	return values
}

// WithoutValues is the snapshot with all else that it tells.
func (s Snapshot) WithoutValues() Snapshot {
	secrets := make(map[string]Secret, len(s.Secrets))
	for key, got := range s.Secrets {
		got.Value = Value{}
		secrets[key] = got
	}
	s.Secrets = secrets
	return s
}

// Secret is a secret that is there.
type Secret struct {
	Value            Value
	Version          int       // 0 where it was not asked for, or is not known
	Created, Updated time.Time // zero where they were not asked for, or would take another request to a server
}

// About is what a store can do for an organisation.
type About struct {
	// History says that the calls of History are answered. Else they give errs.NotImplemented and say what to change.
	History bool
	// OrgChecked says that the store looks itself whether the organisation exists: nothing is read or changed of one
	// that does not, and that is told with the error that Orgs.OrgExists gives.
	OrgChecked bool
	// ReadOnly says that every change is refused with errs.Forbidden, because others manage the secrets.
	ReadOnly bool
	// Versions says that the organisation has a version, which Change.At can name. Without one, a snapshot shows
	// changes of several secrets whole; of changes of single secrets, each made after the other, it may show a later
	// one and not the earlier.
	Versions bool
	// SecretVersions says that secrets have versions, and ManyVersions that Change.Versions may name those of several,
	// or of deletions. Without the latter it may name that of a secret which is all that the change sets.
	SecretVersions, ManyVersions bool
	// Moves says that what Change.Moved names goes along, in the same change.
	Moves bool
	// Details are what the store tells of itself beyond Check, for health checks. They name no address.
	Details []Detail
}

// Detail is one thing that a store knows of its state.
type Detail struct {
	Name    string // such as vault-token
	OK      bool
	Message string
}

// Store keeps secrets. What it is given has been checked by the service: IDs are valid, keys to set are not
// empty, valid UTF-8, free of control characters and within the limits, as are the values. Keys to delete, to
// read and to describe may be any text: others may have stored what this server would refuse. It is safe for
// use by many goroutines.
//
// Every method but About ends when ctx ends, with ctx's error. Errors carry a code of package errs:
//
//	errs.NotFound            there is nothing of the secret, or not of the version (History only)
//	errs.Unavailable         the store cannot be reached, is sealed, or refuses us; the message names no address
//	errs.RequestTooLarge     the change does not fit the store, and the message says which limit
//	errs.Forbidden           the organisation's secrets are read-only here (changes only; Purge leaves them and gives
//	                         nil)
//	errs.Invalid             the organisation's name cannot be part of the path that the store is told to keep secrets
//	                         at
//	errs.Conflict            others changed the same secrets at the same time and the store's own retries ran out;
//	                         nothing was changed, and a later try may
//	errs.Unprocessable       others keep something else than a secret under the name, or at the organisation's place;
//	                         nothing was changed, and no later try does before that is settled
//	errs.PreconditionFailed  a condition of the change does not hold (Apply only)
//	errs.NotImplemented      the store cannot do that for the organisation, as About says
//
// An error without a code is a fault whose text is for the log only. None holds a value, token, key or address.
//
// # The organisation's version
//
// The version tells whether an organisation's secrets are still those that somebody has seen. It is 1 after the first
// change, and one higher after each later one that sets a value or deletes or brings back a secret, also where the
// store writes several changes together. What changes nothing, such as the deletion of what is not there, does not
// raise it, nor does a description. Purge ends it: the next change begins at 1. Where the data are Vault's, it is
// Vault's version of the entry.
//
// A backup brings back an earlier version, from which other changes would lead to the same numbers again. Restoring one
// therefore raises all versions beyond any that were given out after the backup (package commitlog).
type Store interface {
	// Keys returns the names of the organisation's secrets in the order of their bytes. Nobody may change the list:
	// where nothing has changed, it may be that of the last call. An organisation that has none, or of which the store
	// has never heard, gives an empty list that is not nil.
	Keys(ctx context.Context, org id.ID) ([]string, error)

	// Read returns the values that q names, all as they were at one moment (About.Versions says of which changes).
	Read(ctx context.Context, org id.ID, q Query) (Snapshot, error)

	// Apply carries out the whole change or none of it. Keys to delete that do not exist are no error. After it has
	// returned nil, every Keys and Read on any client of the same data sees the change. When it returns ctx's error or
	// errs.Unavailable, the change may or may not have been made, but never half of it: it comes once, at any time
	// after the call, or never. Conditions are judged in the write's own transaction.
	Apply(ctx context.Context, org id.ID, change Change) (Outcome, error)

	// Purge removes everything the store keeps for the organisation, earlier versions included. It is safe to repeat.
	Purge(ctx context.Context, org id.ID) error

	// Check reports whether the store can serve now: nil, or errs.Unavailable with a message fit for operators'
	// health checks (a state, no address).
	Check(ctx context.Context) error

	// About tells what the store can do for the organisation. It asks nobody.
	About(org id.ID) About

	History
}

// History is what a Store does with earlier versions and descriptions. For all that changes something,
// the rules of Apply hold.
type History interface {
	// Info tells what is known of a secret, also of one that is deleted and can be brought back.
	Info(ctx context.Context, org id.ID, key string) (Info, error)

	// Infos tells what is known of the organisation's secrets that are there, a page of them, in as few requests as the
	// store needs to read their values. Versions is nil, and Created may be zero.
	Infos(ctx context.Context, org id.ID, page Page) ([]Info, error)

	// Deleted lists the secrets that can be brought back, a page of them.
	Deleted(ctx context.Context, org id.ID, page Page) ([]Info, error)

	// ReadVersion returns one version's value, that of the present one included. It gives errs.NotFound for one that is
	// deleted, destroyed or not kept any more.
	ReadVersion(ctx context.Context, org id.ID, key string, version int) (Secret, error)

	// Describe replaces the description of a secret.
	Describe(ctx context.Context, org id.ID, key string, d Description) error

	// Restore sets the value of an earlier version as a new one, which also brings back a deleted secret. Version 0 is
	// the newest: it brings back what is deleted at that moment, and leaves a secret that is there as it is.
	Restore(ctx context.Context, org id.ID, key string, version int, by string) (Outcome, error)

	// Mark deletes, brings back or destroys single versions, as KV version 2 means that. Versions that are not kept are
	// no error. Deleting or destroying the present version deletes the secret; undeleting the newest version of a
	// deleted secret brings it back, under the same number where the store can.
	Mark(ctx context.Context, org id.ID, key string, m Marking) (Outcome, error)

	// Remove removes one secret for good: its versions, its description, and that it was there. The secret may be
	// deleted; with deletedOnly it must be, or errs.Conflict is given. What is not there is no error.
	Remove(ctx context.Context, org id.ID, key string, deletedOnly bool) error
}

// ErrNotDeleted is given where only a deleted secret may be removed, and it has a value.
var ErrNotDeleted = errs.New(errs.Conflict, "the secret has been restored or set anew; nothing was removed")

// ErrAnother is given where versions of a secret are named that was made anew meanwhile.
var ErrAnother = errs.New(errs.Conflict, "the secret was removed for good and made anew meanwhile: its versions are "+
	"others")

// Marking is what is done to single versions of a secret.
type Marking struct {
	Mark     Mark
	Versions []int
	// Created, where it is not zero, is when the secret must have been made (Info.Created), or ErrAnother is given: one
	// that was removed for good and made anew counts its versions from 1 again.
	Created time.Time
	By      string // the user who does it; the service fills it in
}

// Of says why versions of a secret that was made at the time may not be marked; nil where they may.
func (m Marking) Of(created time.Time) error {
	if m.Created.IsZero() || m.Created.Equal(created) {
		return nil
	}
	return ErrAnother
}

// Clone copies what the caller of Store.Mark may change once it has returned.
func (m Marking) Clone() Marking {
	m.Versions = slices.Clone(m.Versions)
	return m
}

// Mark is what is done to a version.
type Mark int

// The marks.
const (
	DeleteVersion   Mark = iota + 1 // its value is not given out until it is undeleted
	UndeleteVersion                 // the reverse
	DestroyVersion                  // its value is removed for good
)

// Get reads one value: errs.NotFound where there is no such secret.
func Get(ctx context.Context, s Store, org id.ID, key string) (Value, error) {
	return get(ctx, s, org, Query{Keys: []string{key}})
}

func get(ctx context.Context, s Store, org id.ID, q Query) (Value, error) {
	snap, err := s.Read(ctx, org, q)
	if err != nil {
		return Value{}, err
	}
	got, ok := snap.Secrets[q.Keys[0]]
	if !ok {
		return Value{}, NotFound(q.Keys[0])
	}
	return got.Value, nil
}

// Wants reports whether the query asks for the key.
func (q Query) Wants(key string) bool {
	switch {
	case q.Keys != nil:
		return slices.Contains(q.Keys, key)
	case q.Want != nil:
		return q.Want(key)
	}
	return true
}

// NotFound is the error for a secret that does not exist.
func NotFound(key string) error { return errs.New(errs.NotFound, "secret %q not found", key) }
