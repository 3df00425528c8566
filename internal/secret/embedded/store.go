// Package embedded is the embedded secret.Store: values sealed by the keyring, over any kv.Store.
//
// Package layout says which records an organisation has. Beside those there are
//
//	secrets/<org>/names           the head, whose value tells whether a large change is under way
//	staged/<org>/…                a large change under way (package journal)
//
// A change reads the versions that are there and adds to them. The changes of one organisation are therefore made one
// after the other, those that wait together (queue.go); the head's revision tells a change of another server's that came
// between. What does not fit one transaction is staged, committed by one small transaction, and carried out from there
// (package journal).
package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

// attempts bounds how often an operation starts again because others were faster: a reader, because a large change
// came between; a writer, because large changes follow each other.
const attempts = 50

// namesPage is how many names are listed in one call, which is one consistent view.
const namesPage = 5000

// Config is what a store is made with.
type Config struct {
	KV      kv.Store
	Keyring *keyring.Keyring
	// History is how many versions of a secret are kept, the current one included. With 0, there is none but that one,
	// and what is deleted is gone at once.
	History int
	// Now gives the time of a change; nil is the wall clock.
	Now func() time.Time
}

// Store is the embedded secret.Store.
type Store struct {
	kv      kv.Store
	ring    *keyring.Keyring
	journal *commitlog.Journal
	now     func() time.Time
	history int
	page    int // namesPage; a test makes it small
	lists   cache
	made    made
	queue   queue
	sealing sync.RWMutex // held for reading from a change's sealing until it is in; Rewrite waits for those
}

var (
	_ secret.Store  = (*Store)(nil)
	_ secret.Lister = (*Store)(nil)
)

// New returns a store over data of any age. Call Recover once before serving.
func New(cfg Config) *Store {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Store{kv: cfg.KV, ring: cfg.Keyring, journal: commitlog.New(cfg.KV, cfg.Keyring), now: cfg.Now, history: cfg.History, page: namesPage,
		lists: newCache(maxCached), queue: queue{waiting: map[id.ID][]*change{}}}
}

// Keys lists the names.
func (s *Store) Keys(ctx context.Context, org id.ID) ([]string, error) {
	keys, err := s.SharedKeys(ctx, org)
	return slices.Clone(keys), err
}

// SharedKeys lists the names, in a list that nobody may change. What it needs most of the time is one read of the head.
func (s *Store) SharedKeys(ctx context.Context, org id.ID) ([]string, error) {
	return current(s, func(keyring.Names) ([]string, error) { return s.keys(ctx, org) })
}

func (s *Store) keys(ctx context.Context, org id.ID) ([]string, error) {
	for range attempts {
		at, err := s.settle(ctx, org)
		if err != nil {
			return nil, translate(err)
		}
		if at.rev == 0 {
			return []string{}, nil
		}
		if keys, ok := s.lists.get(org, at.rev); ok {
			return keys, nil
		}
		keys, rev, err := s.list(ctx, org, at.pending != nil)
		switch {
		case err != nil:
			return nil, translate(err)
		case keys == nil:
			continue
		case at.pending == nil:
			s.lists.put(org, rev, packed(keys))
			return keys, nil
		case rev == at.rev:
			keys, err = s.over(ctx, org, at.pending, keys)
			return keys, err
		}
	}
	return nil, errs.New(errs.Unavailable, "the organisation's secrets change too fast to be listed; try again")
}

// state is what a reader starts from: the head's revision, 0 where there is none, and the large change that is pending
// and could not be carried out because the disk is full.
type state struct {
	rev     int64
	pending commitlog.Records
}

// settle carries out a large change that is pending, and gives the state after it.
func (s *Store) settle(ctx context.Context, org id.ID) (state, error) {
	for range attempts {
		head, err := s.kv.Get(ctx, records.Head(org))
		if errors.Is(err, kv.ErrNotFound) {
			return state{}, nil
		}
		if err != nil {
			return state{}, err
		}
		if !commitlog.IsPending(head) {
			return state{rev: head.Rev}, nil
		}
		err = s.journal.Finish(ctx, org)
		if errors.Is(err, kv.ErrFull) {
			change, err := s.journal.Pending(ctx, org)
			if err != nil || change != nil {
				return state{head.Rev, change}, err
			}
			continue
		}
		if err != nil {
			return state{}, err
		}
	}
	return state{}, errs.New(errs.Unavailable, "large changes of the organisation's secrets follow each other too fast; try again")
}

// list reads the names, and the revision of the head they belong to. The names are nil where a change came between, or
// the head is not, as the caller expects it, pending or at rest.
// The first page has the head and the names in one view; further pages are right if the head is the same after the
// last.
func (s *Store) list(ctx context.Context, org id.ID, pending bool) ([]string, int64, error) {
	headKey := records.Head(org)
	recs, err := s.kv.List(ctx, headKey, "", s.page)
	if err != nil {
		return nil, 0, err
	}
	if len(recs) == 0 {
		return []string{}, 0, nil
	}
	head := recs[0]
	if head.Key != headKey {
		return nil, 0, fmt.Errorf("the names of organisation %s have no head record", org)
	}
	if commitlog.IsPending(head) != pending {
		return nil, 0, nil
	}
	recs = recs[1:]
	keys := make([]string, 0, len(recs))
	pages := 1
	for after := headKey; ; pages++ {
		if keys, err = s.listedIn(ctx, org, recs, keys); err != nil {
			return nil, 0, err
		}
		if len(keys)+1 < pages*s.page {
			break
		}
		if len(recs) > 0 {
			after = recs[len(recs)-1].Key
		}
		if recs, err = s.kv.List(ctx, headKey, after, s.page); err != nil {
			return nil, 0, err
		}
	}
	if pages > 1 {
		now, err := s.kv.Get(ctx, headKey)
		if errors.Is(err, kv.ErrNotFound) || err == nil && now.Rev != head.Rev {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, err
		}
	}
	// Names in clear are in order; sealed ones are in that of what stands for them.
	if !slices.IsSorted(keys) {
		slices.Sort(keys)
	}
	return slices.Compact(keys), head.Rev, nil
}

// Get reads a value. The head is read first: of a large change that is being carried out, a caller that has seen one
// value must not find the old one under another name after it.
func (s *Store) Get(ctx context.Context, org id.ID, name string) (secret.Value, error) {
	return current(s, func(names keyring.Names) (secret.Value, error) { return s.get(ctx, org, name, names) })
}

func (s *Store) get(ctx context.Context, org id.ID, name string, names keyring.Names) (secret.Value, error) {
	at, err := s.settle(ctx, org)
	if err != nil {
		return secret.Value{}, translate(err)
	}
	places, err := s.places(org, name, names)
	if err != nil {
		return secret.Value{}, err
	}
	record, err := s.find(ctx, at.pending, places, records.Value)
	if err != nil {
		return secret.Value{}, translate(err)
	}
	if record.sealed == nil {
		return secret.Value{}, secret.NotFound(name)
	}
	value, err := s.openValue(ctx, org, record)
	if err != nil {
		return secret.Value{}, fmt.Errorf("secret %q of organisation %s: %w", name, org, err)
	}
	return value, nil
}

// Recover finishes what an earlier process left half-done. Call it at a start. Readers and writers do that for their
// organisation anyway, so that an error here need not keep the server from starting.
func (s *Store) Recover(ctx context.Context) error { return translate(s.journal.Recover(ctx)) }

var errTooMany = errs.New(errs.Conflict, "others change the organisation's secrets at the same time; try again")

// Purge removes everything, a large change under way included: whoever carries it out finds its journal gone. It waits
// for the changes that came before it, whose callers may have left.
func (s *Store) Purge(ctx context.Context, org id.ID) error {
	return s.submit(ctx, org, change{alone: func(ctx context.Context) error {
		_, err := s.kv.Txn(ctx, nil, []kv.Op{kv.DeletePrefix(records.Prefix(org)), commitlog.Purge(org), kv.DeletePrefix(records.TrashPrefix(org))})
		if err == nil {
			s.lists.drop(org)
		}
		return err
	}})
}

// Check reads one record, as a list: an engine may give a single one from memory.
func (s *Store) Check(ctx context.Context) error {
	_, err := s.kv.List(ctx, keyring.KeyringRecord, "", 1)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return errs.Wrap(err, errs.Unavailable, "the embedded store cannot be read")
}

// translate gives the engine's errors the codes of secret.Store; what has one, or is ctx's, stays.
func translate(err error) error { return kv.Coded(err) }
