// Package barrier stands between an engine and the records of users, tokens and organisations. Whoever can write
// the data file, and has not the key, must be able neither to read those records nor to make one that is
// believed: each value is sealed by the keyring, for its key (AES-256-GCM, see package keyring), so that it is no
// good under another key.
//
// What the keyring cannot tell is that a record is an older one of the same key, or is missing: who can write the file
// can put back what was there once, and take away.
//
// Data that an older influxd has made have these records in clear. TakeIn seals them, once; the keyring says from then
// on that a record in clear is a forgery.
package barrier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/outage"
	"strongroom/internal/refused"
)

// kind is what the sealed values are, in their additional data. They belong to no organisation.
const kind = "identity"

// sealedByte is how a sealed value begins. No value in clear does: they are JSON, and hashes of bcrypt.
const sealedByte = 1

// Store is the engine behind the barrier. It is a kv.Store, which Settled leaves as it is.
type Store struct {
	kv.Store
	keys     *keyring.Keyring
	prefixes []string
	folders  map[string]bool
	forged   func(key, what string) // nil: a forged record is an error
	damage   *outage.Log            // nil: nobody is told of one that is an error
	refused  *refused.Records       // nil: they are not counted

	opened opened
	index  func() ([]byte, error) // the key of the indexes

	// writing is held for reading from when a value is sealed until it is written, so that Rewrite can wait for those
	// that were sealed under an older term.
	writing sync.RWMutex
}

// New puts the barrier before the engine, for the keys that begin with one of the prefixes: folders with their closing
// slash, and whole keys.
func New(store kv.Store, keys *keyring.Keyring, prefixes []string) *Store {
	s := &Store{Store: kv.Settled(store), keys: keys, prefixes: prefixes, folders: make(map[string]bool, len(prefixes)),
		opened: newOpened()}
	s.index = sync.OnceValues(func() ([]byte, error) { return keys.DeriveKey(indexLabel) })
	for _, p := range prefixes {
		s.folders[folder(p)] = true
	}
	return s
}

// Inspect is New for looking only: a record that does not open is told, once, and is then as if it were not there.
func Inspect(store kv.Store, keys *keyring.Keyring, prefixes []string, forged func(key, what string)) *Store {
	s := New(store, keys, prefixes)
	s.opened = opened{} // it is for what requests ask again and again
	told := make(map[string]bool)
	s.forged = func(key, what string) {
		if !told[key] {
			told[key] = true
			forged(key, what)
		}
	}
	return s
}

// Tell has what is forged counted, and logged once a minute for each record, whatever becomes of it: who meets it may
// be a stranger, who is refused and told nothing. Call it before the store is used.
func (s *Store) Tell(log *slog.Logger, count *refused.Records) {
	s.damage, s.refused = outage.New(log), count
}

// forgery is an error of a record that does not open. It is a kv.ErrForged.
type forgery struct {
	key string
	why error
}

func (f *forgery) Error() string { return fmt.Sprintf("record %q: %v", f.key, f.why) }

func (f *forgery) Unwrap() error { return f.why }

// told is err, of which the log is told where it is of a forged record.
func (s *Store) told(ctx context.Context, err error) error {
	if f := (*forgery)(nil); s.damage != nil && errors.As(err, &f) {
		s.refused.Add(folder(f.key))
		s.damage.Failed(ctx, slog.LevelError, err.Error(), "a record does not open, and is not believed", "error", err)
	}
	return err
}

// Settled marks its transactions as those of kv.Settled.
func (s *Store) Settled() {}

func folder(key string) string {
	if i := strings.IndexByte(key, '/'); i >= 0 {
		return key[:i]
	}
	return key
}

func (s *Store) covers(key string) bool { return s.folders[folder(key)] }

func belongs(key string) keyring.Belongs { return keyring.Belongs{Kind: kind, Key: key} }

// Open gives the record with its value in clear.
func (s *Store) Open(ctx context.Context, r kv.Record) (kv.Record, error) {
	if !s.covers(r.Key) {
		return r, nil
	}
	if len(r.Value) == 0 || r.Value[0] != sealedByte {
		if s.keys.IdentitiesSealed() {
			return kv.Record{}, &forgery{r.Key, kv.ErrForged}
		}
		return r, nil
	}
	term := s.keys.Term()
	if plain := s.opened.get(r, term); plain != nil {
		r.Value = plain
		return r, nil
	}
	plain, err := s.keys.OpenFresh(ctx, 0, belongs(r.Key), r.Value)
	switch {
	case err == nil:
		s.opened.put(r, plain, term)
	case errors.Is(err, keyring.ErrTerm):
		err = &forgery{r.Key, fmt.Errorf("%w (%w)", kv.ErrForged, err)}
	case errors.Is(err, keyring.ErrOpen):
		err = &forgery{r.Key, kv.ErrForged}
	}
	r.Value = plain
	return r, err
}

// Get is the engine's, with kv.ErrForged. The record has its key and revision alone then: enough to remove it, where it
// has not changed.
func (s *Store) Get(ctx context.Context, key string) (kv.Record, error) {
	r, err := s.findOpen(ctx, key)
	if errors.Is(err, keyring.ErrTerm) { // as in read
		r, err = s.findOpen(ctx, key)
	}
	switch {
	case s.forged != nil && errors.Is(err, kv.ErrForged):
		s.forged(r.Key, kv.ErrForged.Error())
		return kv.Record{}, kv.ErrNotFound
	case errors.Is(err, kv.ErrForged):
		return kv.Record{Key: key, Rev: r.Rev}, s.told(ctx, err)
	case err != nil:
		return kv.Record{}, s.told(ctx, err)
	}
	return r, nil
}

// findOpen is Get, once; with an error it tells the record's key in the engine. It makes no list of the one record, as
// read does: each request asks for its organisation's.
func (s *Store) findOpen(ctx context.Context, key string) (kv.Record, error) {
	r, err := s.find(ctx, key)
	if err != nil {
		return r, err
	}
	opened, err := s.Open(ctx, r)
	opened.Key, opened.Rev = r.Key, r.Rev
	return opened, err
}

// List is the engine's, with kv.ErrForged.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	return s.list(ctx, s.Store.List, prefix, after, limit)
}

// ListBack is the engine's, with kv.ErrForged.
func (s *Store) ListBack(ctx context.Context, prefix, before string, limit int) ([]kv.Record, error) {
	return s.list(ctx, s.Store.ListBack, prefix, before, limit)
}

// Skip is the engine's. What is passed over is not opened.
func (s *Store) Skip(ctx context.Context, prefix, from string, back bool, n int) (string, int, error) {
	return kv.Skip(ctx, s.Store, prefix, from, back, n)
}

func (s *Store) list(ctx context.Context, page func(context.Context, string, string, int) ([]kv.Record, error),
	prefix, after string, limit int) ([]kv.Record, error) {
	var all []kv.Record
	for {
		last, raw := "", 0
		rs, err := s.read(ctx, func() ([]kv.Record, error) {
			found, err := page(ctx, prefix, after, limit-len(all))
			if raw = len(found); raw > 0 {
				last = found[raw-1].Key
			}
			return found, err
		})
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = rs
		} else {
			all = append(all, rs...)
		}
		if len(rs) == raw || len(all) >= limit {
			return all, nil
		}
		after = last // some were forged, and a page that is not full would be taken for the last one
	}
}

// read gives the records in clear that get reads. What was read just before the end of a rotation may be of a term that
// is gone: it has been sealed anew by then, and is read again.
func (s *Store) read(ctx context.Context, get func() ([]kv.Record, error)) ([]kv.Record, error) {
	rs, err := s.openAll(ctx, get)
	if errors.Is(err, keyring.ErrTerm) {
		rs, err = s.openAll(ctx, get)
	}
	return rs, s.told(ctx, err)
}

func (s *Store) openAll(ctx context.Context, get func() ([]kv.Record, error)) ([]kv.Record, error) {
	raw, err := get()
	if err != nil {
		return nil, err
	}
	rs := raw[:0]
	for _, r := range raw {
		key := r.Key
		r, err := s.Open(ctx, r)
		if errors.Is(err, kv.ErrForged) && s.forged != nil {
			s.forged(key, kv.ErrForged.Error())
			continue
		}
		if err != nil {
			return nil, err
		}
		rs = append(rs, r)
	}
	return rs, nil
}

// attempts bounds how often a transaction is sealed anew because another server has changed the keyring meanwhile.
const attempts = 5

// Txn is the engine's, with what it puts sealed, and with the conditions that the keyring is the one it was sealed with
// and of kv.While.
func (s *Store) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	conds, ops, err := s.keyed(conds, ops)
	if err != nil {
		return 0, err
	}
	rev, err := s.write(ctx, kv.Standing(ctx, conds), ops)
	return rev, kv.Over(ctx, s.Store, err)
}

// write is Txn with the keys as they are in the engine.
func (s *Store) write(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	for range attempts {
		fence := s.keys.Fence()
		rev, fenced, err := s.txn(ctx, fence, conds, ops)
		if !fenced || !errors.Is(err, kv.ErrConflict) {
			return rev, err
		}
		if again, unread := s.keys.Refused(ctx, fence); unread != nil {
			return 0, unread
		} else if !again {
			return 0, err
		}
	}
	return 0, kv.ErrConflict
}

// txn seals and writes once. Fenced says that something was sealed, so that the transaction has the fence.
func (s *Store) txn(ctx context.Context, fence, conds []kv.Cond, ops []kv.Op) (rev int64, fenced bool, err error) {
	s.writing.RLock()
	defer s.writing.RUnlock()
	sealed := slices.Clone(ops)
	for i, op := range sealed {
		if op.Kind != kv.OpPut || !s.covers(op.Key) {
			continue
		}
		value, err := s.keys.Seal(0, belongs(op.Key), op.Value)
		if err != nil {
			return 0, false, err
		}
		sealed[i].Value, fenced = value, true
	}
	if fenced {
		conds = slices.Concat(conds, fence)
	}
	rev, err = s.Store.Txn(ctx, conds, sealed)
	return rev, fenced, err
}

// Watch is the engine's, with what was put in clear. One that does not open ends it with kv.ErrForged.
func (s *Store) Watch(ctx context.Context, prefix string, after int64, tell func(kv.Update)) error {
	callers := ctx
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	err := s.Store.Watch(ctx, prefix, after, func(u kv.Update) {
		if ctx.Err() != nil {
			return
		}
		u.Events = slices.Clone(u.Events)
		for i, e := range u.Events {
			if e.Deleted {
				continue
			}
			r, err := s.Open(ctx, e.Record)
			if err != nil {
				end(s.told(ctx, err))
				return
			}
			u.Events[i].Record = r
		}
		tell(u)
	})
	if callers.Err() == nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// TakeIn seals what is in clear in data that an older influxd has made, and says so in the keyring. It gives how many
// records that were. Cut short, it goes on when it is called again. Nobody else may be at work on the data.
func (s *Store) TakeIn(ctx context.Context) (int, error) {
	if s.keys.IdentitiesSealed() {
		return 0, nil
	}
	n, err := s.rewrite(ctx, func(r kv.Record) bool { return len(r.Value) == 0 || r.Value[0] != sealedByte })
	if err != nil {
		return n, err
	}
	return n, s.keys.SealIdentities(ctx)
}

// Rewrite seals anew what was sealed before the current term. When it returns, no record that opens is of an older one.
// One that does not open is told, and left. Reading and writing go on meanwhile.
func (s *Store) Rewrite(ctx context.Context, forged func(key string)) error {
	term := s.keys.Term()
	s.awaitWriters()
	lost := make(map[string]bool)
	for {
		n, err := s.rewrite(ctx, func(r kv.Record) bool {
			of, err := keyring.TermOf(r.Value)
			if err != nil || of >= term || lost[r.Key] {
				return false
			}
			if _, err := s.Open(ctx, r); errors.Is(err, kv.ErrForged) {
				lost[r.Key] = true
				forged(r.Key)
				return false
			}
			return true
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

// awaitWriters returns when all that was sealed before is written.
func (s *Store) awaitWriters() {
	s.writing.Lock()
	defer s.writing.Unlock()
}

// How many records a rewriting reads and writes at a time, and how many transactions it has under way: the engine
// commits them together.
const (
	rewritePage   = 4096
	rewriteBatch  = kv.MaxOps / 2
	rewriteAtOnce = 16
)

// rewrite writes anew the records for which old says so, and gives how many they are. One that somebody changes
// meanwhile is left: it is new then.
func (s *Store) rewrite(ctx context.Context, old func(kv.Record) bool) (int, error) {
	n := 0
	for _, prefix := range s.prefixes {
		for after := ""; ; {
			raw, err := s.Store.List(ctx, prefix, after, rewritePage)
			if err != nil {
				return n, err
			}
			if len(raw) == 0 {
				break
			}
			after = raw[len(raw)-1].Key
			raw = slices.DeleteFunc(raw, func(r kv.Record) bool { return !old(r) })
			n += len(raw)
			g, ctx := errgroup.WithContext(ctx)
			g.SetLimit(rewriteAtOnce)
			for batch := range slices.Chunk(raw, rewriteBatch) {
				g.Go(func() error { return s.renew(ctx, batch) })
			}
			if err := g.Wait(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// renew writes the records as they are, sealed under the current term, in as few transactions as they fit in.
func (s *Store) renew(ctx context.Context, batch []kv.Record) error {
	var conds []kv.Cond
	var ops []kv.Op
	size := 0
	for _, r := range batch {
		open, err := s.Open(ctx, r)
		if err != nil {
			return err
		}
		conds, ops = append(conds, kv.Unchanged(r)), append(ops, kv.Put(r.Key, open.Value))
		size += 2*len(r.Key) + len(r.Value) + keyring.Overhead
	}
	err := kv.ErrConflict
	if size <= kv.MaxTxnBytes {
		_, err = s.write(ctx, conds, ops)
	}
	switch {
	case !errors.Is(err, kv.ErrConflict):
		return err
	case len(batch) == 1:
		return nil
	}
	half := len(batch) / 2
	if err := s.renew(ctx, batch[:half]); err != nil {
		return err
	}
	return s.renew(ctx, batch[half:])
}
