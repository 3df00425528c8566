package transfer

import (
	"context"
	"fmt"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/transfer/lastcopy"
	"strongroom/internal/transfer/report"
)

// deleteSource deletes from the source what has been found the same in the target. What somebody has changed in the
// source since it was read stays there, and is told.
func (c *copying) deleteSource(ctx context.Context, verified []lastcopy.Secret) error {
	if !c.DeleteSource || c.DryRun || c.ended || len(verified) == 0 {
		return nil
	}
	change := secret.Change{Was: make(map[string]*secret.Value)}
	for _, o := range verified {
		change.Delete = append(change.Delete, o.Key)
		change.Was[o.Key] = &o.Value
	}
	// Before: what is missing in the source from now on was moved, not deleted, and the next copy must not delete it in
	// the target.
	if err := c.common.Forget(ctx, change.Delete...); err != nil {
		return err
	}
	_, err := c.Copy.From.Apply(ctx, c.Pair.From, change)
	switch {
	case err == nil:
		c.r.Source.Deleted += len(verified)
		return nil
	case errs.Is(err, errs.PreconditionFailed) && len(verified) > 1:
		if err := c.deleteSource(ctx, verified[:len(verified)/2]); err != nil {
			return err
		}
		return c.deleteSource(ctx, verified[len(verified)/2:])
	case errs.Is(err, errs.PreconditionFailed):
		return c.changedMeanwhile(ctx, verified[0])
	}
	return fmt.Errorf("deleting from %s: %w", c.FromName, err)
}

// changedMeanwhile tells of a secret that the source holds otherwise than it was copied. One that is not there any more
// has only gone before.
func (c *copying) changedMeanwhile(ctx context.Context, o lastcopy.Secret) error {
	_, err := secret.Get(ctx, c.Copy.From, c.Pair.From, o.Key)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", c.FromName, err)
	}
	c.r.Source.Kept++
	c.tell(o.Key, report.Conflicted,
		"it was changed in "+c.FromName+" after it was copied, and stays there; copy again")
	return c.common.Note(ctx, []lastcopy.Secret{o})
}

// purgeSource removes what is left of an organisation that has no secrets in the source any more.
func (c *copying) purgeSource(ctx context.Context, foreign []string) error {
	if !c.PurgeSource || !c.DeleteSource || c.DryRun || c.ended || len(foreign) > 0 {
		return nil
	}
	if left, err := c.Copy.From.Keys(ctx, c.Pair.From); err != nil || len(left) > 0 {
		return err
	}
	if err := c.Copy.From.Purge(ctx, c.Pair.From); err != nil {
		return fmt.Errorf("removing earlier versions from %s: %w", c.FromName, err)
	}
	return nil
}
