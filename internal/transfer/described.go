package transfer

import (
	"context"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/transfer/lastcopy"
)

// described is what is noted of a secret, nothing where the store keeps no such notes.
func described(ctx context.Context, store secret.Store, org id.ID, key string) (secret.Description, error) {
	if !store.About(org).History {
		return secret.Description{}, nil
	}
	info, err := store.Info(ctx, org, key)
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.NotImplemented) {
		return secret.Description{}, nil
	}
	return info.Description, err
}

// mayDescribe reports whether a description that is not empty is to be written: where the store keeps such notes, and
// has none of the secret, or is to have another's.
func mayDescribe(ctx context.Context, store secret.Store, org id.ID, key string, d secret.Description,
	overwrite bool) (bool, error) {
	if d == (secret.Description{}) || !store.About(org).History {
		return false, nil
	}
	has, err := described(ctx, store, org, key)
	return err == nil && !sameDescription(has, d) && (has == secret.Description{} || overwrite), err
}

func sameDescription(a, b secret.Description) bool {
	return a.Text == b.Text && a.Expires.Equal(b.Expires)
}

// describe brings the descriptions of secrets that are the same on both sides. The target's own stay, unless they are
// to be overwritten.
func (c *copying) describe(ctx context.Context, all []lastcopy.Secret) error {
	if c.DryRun {
		return nil
	}
	for _, o := range all {
		d, err := described(ctx, c.Copy.From, c.Pair.From, o.Key)
		if err != nil {
			return err
		}
		write, err := mayDescribe(ctx, c.Copy.To, c.Pair.To, o.Key, d, c.Overwrite)
		if err == nil && write {
			err = c.Copy.To.Describe(ctx, c.Pair.To, o.Key, d)
		}
		if err != nil && !errs.Is(err, errs.NotFound) { // it has been deleted since
			return err
		}
	}
	return nil
}
