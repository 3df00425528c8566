// Package embedded is the embedded secret.Store: values sealed by the keyring, over any kv.Store.
//
// Package records says where the records of an organisation are, and package content what they hold. Beside those
// there are
//
//	secrets/<org>/names           the head: the organisation's version, and whether a large change is under way
//	staged/<org>/…                a large change under way (package commitlog)
//
// A change reads the versions that are there and adds to them (package plan). The changes of one organisation are
// therefore made one after the other, those that wait together (change.go); the head's revision tells a change of
// another server's that came between. What does not fit one transaction is staged, committed by one small transaction,
// and carried out from there (package commitlog).
//
// Every change puts the head anew. So what was read while the head stayed the same is of one moment (read.go).
package embedded

import (
	"context"
	"errors"
	"sync"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/batch"
	"strongroom/internal/secret/embedded/cache"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/purge"
	"strongroom/internal/secret/embedded/records"
)

// attempts bounds how often an operation starts again because others were faster: a reader, because a change came
// between; a writer, because large changes follow each other.
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
	// Quota bounds what an organisation may have, and Beside tells how many bytes it has that are not in the store and
	// count all the same, and what must still be so for them to be no more; nil where there are none.
	Quota  secret.Quota
	Beside func(ctx context.Context, org id.ID) (bytes int64, still kv.Cond, err error)
	// Ample is KV where it takes large transactions, in which large changes then go; nil where they are to be staged.
	Ample kv.Ample
	// Far says that each read of the engine is a way over the network: what a change reads is asked for at the same
	// time.
	Far bool
	// Near has records of the engine in memory, and Stale is for how long values and names are read from it that the
	// engine has said nothing of; with 0 the engine is asked for them. Nil where there is none.
	Near  Near
	Stale time.Duration
	// Homes has the records without which an organisation does not exist, Home is their key, and Gone the error where
	// there is none: no change of its secrets is made then, and none is read. Nil where nobody asks for that.
	Homes Homes
	Home  func(id.ID) string
	Gone  error
	// Now gives the time of a change; nil is the wall clock.
	Now func() time.Time
}

// Homes are the records of organisations: an engine that gives what is sealed in it opened.
type Homes interface {
	Get(ctx context.Context, key string) (kv.Record, error)
	// Open opens a record as it is in the engine itself. It fails where somebody else has made it.
	Open(ctx context.Context, rec kv.Record) (kv.Record, error)
}

// Store is the embedded secret.Store.
type Store struct {
	kv       kv.Store
	ring     *keyring.Keyring
	from     content.Reader
	log      *commitlog.Log
	now      func() time.Time
	history  int
	quota    secret.Quota
	beside   func(ctx context.Context, org id.ID) (bytes int64, still kv.Cond, err error)
	far      bool
	near     Near
	stale    time.Duration
	homes    Homes
	home     func(id.ID) string
	gone     error
	page     int // namesPage; a test makes it small
	lists    *cache.Cache
	followed *cache.Followed
	made     content.Made
	queue    *batch.Queue[*change]
	writes   sync.RWMutex // held for reading from a change's planning until it is in; Rewrite waits for those
}

var _ secret.Store = (*Store)(nil)

// New returns a store over data of any age. Call Recover once before serving.
func New(cfg Config) *Store {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Store{kv: cfg.KV, ring: cfg.Keyring, from: content.Reader{KV: cfg.KV, Ring: cfg.Keyring},
		log: commitlog.New(cfg.KV, cfg.Ample, cfg.Keyring), now: cfg.Now,
		history: cfg.History, quota: cfg.Quota, beside: cfg.Beside, far: cfg.Far, near: cfg.Near, stale: cfg.Stale,
		homes: cfg.Homes, home: cfg.Home, gone: cfg.Gone, page: namesPage, lists: cache.New(cache.MaxLists),
		followed: cache.NewFollowed(cache.MaxFollowed)}
	s.queue = s.newQueue()
	return s
}

// Recover finishes what an earlier process left half-done. Call it at a start. Readers and writers do that for their
// organisation anyway, so that an error here need not keep the server from starting.
func (s *Store) Recover(ctx context.Context) error {
	if err := purge.Recover(ctx, s.kv); err != nil {
		return translate(err)
	}
	return translate(s.log.Recover(ctx))
}

// Close refuses changes that come later, and waits for those that are there. Reading goes on for
// as long as the engine's.
func (s *Store) Close() { s.queue.Close() }

// About tells what the store can do, which is the same for every organisation.
func (s *Store) About(id.ID) secret.About {
	return secret.About{OrgChecked: s.homes != nil, History: true, Versions: true, SecretVersions: true,
		ManyVersions: true, Moves: true}
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

// state is what a reader or writer starts from: the organisation's head, zero where there is none, its revision, and
// the large change that is pending and could not be carried out because the disk is full.
type state struct {
	commitlog.Head
	rev     int64
	home    kv.Cond // that the organisation is still there, as it was; zero without Config.Home
	pending commitlog.Records
}

// conds are the conditions that the organisation is still there, as it was; none without Config.Home.
func (at state) conds() []kv.Cond {
	if at.home == (kv.Cond{}) {
		return nil
	}
	return []kv.Cond{at.home}
}

// start is settle, and looks whether the organisation is there. Every list begins so: it makes nothing on the heap.
func (s *Store) start(ctx context.Context, org id.ID) (at state, err error) {
	switch {
	case s.homes == nil:
		return s.settle(ctx, org)
	case s.far:
		return s.startFar(ctx, org)
	}
	home, err := s.look(ctx, org)
	if err != nil {
		return state{}, err
	}
	at, err = s.settle(ctx, org)
	at.home = home
	return at, err
}

// startFar is start for an engine for which each read is a way over the network: it looks at both at the same time.
func (s *Store) startFar(ctx context.Context, org id.ID) (at state, err error) {
	var home kv.Cond
	var homeErr error
	var looking sync.WaitGroup
	looking.Go(func() { home, homeErr = s.look(ctx, org) })
	at, err = s.settle(ctx, org)
	looking.Wait()
	if homeErr != nil {
		return state{}, homeErr
	}
	at.home = home
	return at, err
}

// look gives the condition that the organisation is there as it is now, or Config.Gone.
func (s *Store) look(ctx context.Context, org id.ID) (kv.Cond, error) {
	home, err := s.homes.Get(ctx, s.home(org))
	switch {
	case errors.Is(err, kv.ErrNotFound):
		return kv.Cond{}, s.gone
	case err != nil:
		return kv.Cond{}, err
	}
	return kv.Unchanged(home), nil
}

// settle carries out a large change that is pending, and gives the state after it.
func (s *Store) settle(ctx context.Context, org id.ID) (state, error) {
	for range attempts {
		at, err := s.head(ctx, org)
		if err != nil || !at.Pending {
			return at, err
		}
		err = s.log.Finish(ctx, org)
		if errors.Is(err, kv.ErrFull) || errors.Is(err, kv.ErrFault) { // reading goes on over what cannot be written
			if at.pending, err = s.log.Pending(ctx, org); err != nil || at.pending != nil {
				return at, err
			}
			continue
		}
		if err != nil {
			return state{}, err
		}
	}
	return state{}, s.log.Lost(ctx, org)
}

func (s *Store) head(ctx context.Context, org id.ID) (state, error) {
	rec, err := s.kv.Get(ctx, records.Head(org))
	if errors.Is(err, kv.ErrNotFound) {
		return state{}, nil
	}
	if err != nil {
		return state{}, err
	}
	h, err := commitlog.ParseHead(rec)
	return state{Head: h, rev: rec.Rev}, err
}

// translate gives the engine's errors the codes of secret.Store; what has one, or is ctx's, stays.
func translate(err error) error { return kv.Coded(err) }
