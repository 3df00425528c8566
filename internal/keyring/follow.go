package keyring

import (
	"context"
	"errors"
	"sync"
	"time"

	"strongroom/internal/kv"
)

// followPause is how long a watch that has ended waits before it begins again.
const followPause = time.Second

// Follow takes over what other servers change of the keyring, as soon as the engine tells of it, until ctx ends.
// What goes wrong is told to report, and tried again. A server that is behind all the same writes nothing under keys
// that are gone: see Fence.
func (k *Keyring) Follow(ctx context.Context, report func(error)) {
	var looking sync.WaitGroup
	defer looking.Wait()
	looking.Go(func() {
		tick := time.NewTicker(handoverLook)
		defer tick.Stop()
		for {
			if err := k.EndHandover(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, kv.ErrUnavailable) {
				report(err)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	for ctx.Err() == nil {
		err := k.store.Watch(ctx, KeyringRecord, 0, func(kv.Update) {
			if k.behind(ctx) {
				if err := k.Reload(ctx); err != nil && ctx.Err() == nil {
					report(err)
				}
			}
		})
		if ctx.Err() == nil && !errors.Is(err, kv.ErrUnavailable) {
			report(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(followPause):
		}
	}
}

// behind reports whether the keyring's record is another than the one in memory.
func (k *Keyring) behind(ctx context.Context) bool {
	rec, err := k.store.Get(ctx, KeyringRecord)
	return err == nil && rec.Rev != k.revision()
}

func (k *Keyring) revision() int64 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.rev
}

// Fence is the condition that nobody has changed the keyring since this server read it; none where no other server can.
// Every transaction that puts what is sealed has it: a server that does not know yet of a rotation would else seal
// under a term that is dropped, and what it seals would never open again.
func (k *Keyring) Fence() []kv.Cond {
	if !k.shared {
		return nil
	}
	return []kv.Cond{{Key: KeyringRecord, Rev: k.revision()}}
}

// Refused tells what to do after a transaction with the fence was refused. It reports true where the fence was the
// reason, and has read the keyring anew then, so that whoever sealed seals once more.
func (k *Keyring) Refused(ctx context.Context, fence []kv.Cond) (again bool, err error) {
	if len(fence) == 0 {
		return false, nil
	}
	if k.behind(ctx) {
		if err := k.Reload(ctx); err != nil {
			return false, err
		}
	}
	return k.revision() != fence[0].Rev, nil
}
