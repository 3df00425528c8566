package keyring

import (
	"context"
	"errors"
	"slices"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/seal"
)

var errOthers = errors.New("other servers change the keys at the same time; try again")

// Term is what may be told of a term.
type Term struct {
	Number  uint32
	Created time.Time
}

// Terms lists the terms, oldest first. More than one means that values of an older one are still to be sealed anew.
func (k *Keyring) Terms() []Term {
	k.mu.RLock()
	defer k.mu.RUnlock()
	var all []Term
	for _, t := range k.content.Terms {
		all = append(all, Term{t.Term, t.Created})
	}
	slices.SortFunc(all, func(a, b Term) int { return int(a.Number) - int(b.Number) })
	return all
}

// RootSince is when the root key was made and sealed.
func (k *Keyring) RootSince() time.Time { return k.rootKey().since }

// KeyKept tells whether the seal's key is still where the next start looks for it, as far as the seal can tell: nil
// where it is. The keyring itself goes on without.
func (k *Keyring) KeyKept(ctx context.Context) error {
	if s, ok := k.rootKey().seal.(seal.Kept); ok {
		return s.Kept(ctx)
	}
	return nil
}

// Rotate adds a term with a new key, which seals from now on, and gives its number. What older terms sealed opens as
// before, until Retire. Sealed names go to the new term, too (see NamesMoved); ErrMoving while they go elsewhere.
func (k *Keyring) Rotate(ctx context.Context, now time.Time) (uint32, error) {
	next := uint32(0)
	var refused error
	err := k.change(ctx, func(c *content) bool {
		refused = nil
		names := c.names()
		if names.Moving {
			refused = ErrMoving
			return false
		}
		next = 1
		for _, t := range c.Terms {
			next = max(next, t.Term+1)
		}
		c.Current, c.Terms = next, append(c.Terms, term{Term: next, Key: newKey(), Created: now.UTC()})
		if names.Form != Clear {
			c.Names = &Names{Form: next, Moving: true, From: names.Form}
		}
		return true
	})
	return next, errors.Join(err, refused)
}

// Retire drops the terms before the given one, unless names are of their form. Nothing that is still sealed under one
// of them opens afterwards.
func (k *Keyring) Retire(ctx context.Context, before uint32) error {
	return k.change(ctx, func(c *content) bool {
		n := len(c.Terms)
		c.Terms = slices.DeleteFunc(c.Terms, func(t term) bool {
			return t.Term < before && t.Term != c.Current && !c.keepsNames(t.Term)
		})
		return len(c.Terms) != n
	})
}

// change writes what edit makes of the keyring, unless edit reports that there is nothing to write. With kv.ErrUnknown
// it may have been written: the next change, and Reload, read what there is.
func (k *Keyring) change(ctx context.Context, edit func(*content) bool) error {
	k.records.Lock()
	defer k.records.Unlock()
	for range attempts {
		c, rev, err := k.read(ctx)
		if err != nil {
			return err
		}
		root := k.rootKey()
		if !edit(c) {
			c.wipe()
			return nil
		}
		value, err := sealContent(root.aead, c)
		if err != nil {
			c.wipe()
			return err
		}
		conds := []kv.Cond{{Key: KeyringRecord, Rev: rev}, {Key: SealRecord, Rev: root.rev}}
		newRev, err := k.store.Txn(ctx, conds, []kv.Op{kv.Put(KeyringRecord, value)})
		if errors.Is(err, kv.ErrConflict) {
			c.wipe()
			continue
		}
		if err != nil {
			c.wipe()
			return err
		}
		k.adopt(c, newRev)
		return nil
	}
	return errOthers
}

// Reseal makes a new root key, wrapped by s, or, where s is nil, by the seal that wraps the present one. It is one
// transaction: afterwards the former root key, and the former seal's key, open nothing of these data any more; copies
// of the data from before stay theirs, but for what HandoverRecord says where there are several servers. Once s has
// wrapped the new root key, it goes on to its end though ctx ends. With
// kv.ErrUnknown the data may be sealed by the one or the other, and both keys have to be kept.
func (k *Keyring) Reseal(ctx context.Context, s seal.Seal, now time.Time) error {
	k.records.Lock()
	defer k.records.Unlock()
	if s == nil {
		s = k.rootKey().seal
	}
	for range attempts {
		c, rev, err := k.read(ctx)
		if err != nil {
			return err
		}
		old := k.rootKey()
		aead, root, sealValue, err := newRoot(ctx, s, now.UTC())
		if err != nil {
			c.wipe()
			return err
		}
		contentValue, err := sealContent(aead, c)
		ops := []kv.Op{kv.Put(SealRecord, sealValue), kv.Put(KeyringRecord, contentValue)}
		if err == nil && k.shared {
			var handed kv.Op
			handed, err = c.handOver(root, sealValue, now.UTC())
			ops = append(ops, handed)
		}
		clear(root)
		if err != nil {
			c.wipe()
			return err
		}
		k.offered = s
		newRev, err := k.store.Txn(ctx, []kv.Cond{{Key: KeyringRecord, Rev: rev}, {Key: SealRecord, Rev: old.rev}}, ops)
		if errors.Is(err, kv.ErrConflict) {
			c.wipe()
			continue
		}
		if err != nil {
			c.wipe()
			if errors.Is(err, kv.ErrUnknown) {
				k.look(ctx)
			}
			return err
		}
		k.mu.Lock()
		k.root = rootKey{aead: aead, seal: s, rev: newRev, since: now.UTC()}
		k.mu.Unlock()
		k.adopt(c, newRev)
		return nil
	}
	return errOthers
}

// look takes over what the data say after a change whose outcome is not known, as far as they can be read.
func (k *Keyring) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if c, rev, err := k.read(ctx); err == nil {
		k.adopt(c, rev)
	}
}
