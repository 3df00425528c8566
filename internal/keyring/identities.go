package keyring

import "context"

// IdentitiesSealed reports whether all records of users, tokens and organisations are sealed. It is kept in the
// keyring, sealed, so that who can write the file cannot have records taken that they have made themselves. Data that
// an older influxd has made say no until those records have been taken in (package barrier).
func (k *Keyring) IdentitiesSealed() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.content.Identities
}

// SetUp reports whether the data have been set up.
func (k *Keyring) SetUp() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.content.SetUp
}

// MarkSetUp says that they have. It is kept as IdentitiesSealed is: who takes all users out of the file must not have
// the next who asks for a set-up become the operator of what else is in it.
func (k *Keyring) MarkSetUp(ctx context.Context) error {
	return k.change(ctx, func(c *content) bool {
		if c.SetUp {
			return false
		}
		c.SetUp = true
		return true
	})
}

// SealIdentities says that all of them are sealed, from now on and for ever.
func (k *Keyring) SealIdentities(ctx context.Context) error {
	return k.change(ctx, func(c *content) bool {
		if c.Identities {
			return false
		}
		c.Identities = true
		return true
	})
}
