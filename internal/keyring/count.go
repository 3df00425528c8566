package keyring

import "context"

// Sealed is how many values were sealed under the current term: those that have been counted, and those since.
func (k *Keyring) Sealed() uint64 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	sealed := k.unsaved.Load()
	for _, t := range k.content.Terms {
		if t.Term == k.content.Current {
			sealed += t.Sealed
		}
	}
	return sealed
}

// Unsaved is how many of them a process that is killed now forgets.
func (k *Keyring) Unsaved() uint64 { return k.unsaved.Load() }

// SaveCount keeps the count with the data. What was sealed under the term before, just now, counts for the current one.
func (k *Keyring) SaveCount(ctx context.Context) error {
	n := k.unsaved.Swap(0)
	if n == 0 {
		return nil
	}
	err := k.change(ctx, func(c *content) bool {
		for i := range c.Terms {
			if c.Terms[i].Term == c.Current {
				c.Terms[i].Sealed += n
			}
		}
		return true
	})
	if err != nil {
		k.unsaved.Add(n)
	}
	return err
}
