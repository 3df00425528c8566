package transfer

import (
	"context"
	"fmt"
	"slices"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// Copy brings the secrets of one store into another.
type Copy struct {
	From, To         secret.Store
	FromName, ToName string // for the report
	DryRun           bool
	// Overwrite replaces what has another value in To, where it is otherwise left and told as a conflict.
	Overwrite bool
	// DeleteSource deletes from From what was found to be the same in To.
	DeleteSource bool
	// Whole copies an organisation's secrets in one change, all of them or none.
	Whole bool
	// Foreign names what is kept among an organisation's secrets in From and is none; it is told, and not copied. nil where
	// nothing can be.
	Foreign func(ctx context.Context, org id.ID) ([]string, error)
	// PurgeSource removes an organisation from From with all earlier versions, once DeleteSource has left nothing of it.
	PurgeSource bool
	// Progress hears how far it has come; nil for nobody.
	Progress func(done, orgs, secrets int)
}

// one is a secret that is being copied.
type one struct {
	key   string
	value secret.Value
}

// Run copies the organisations' secrets. What is there already is not written again, so that a copy that was cut short
// goes on when it is run again. Everything written is read back. The report is of what was done also where there is an
// error.
func (c Copy) Run(ctx context.Context, orgs []id.ID) (*Report, error) {
	r := &Report{From: c.FromName, To: c.ToName, DryRun: c.DryRun}
	secrets := 0
	for n, org := range orgs {
		count, err := c.org(ctx, r, org)
		if err != nil {
			return r, fmt.Errorf("organization %s: %w", org, err)
		}
		secrets += count
		if c.Progress != nil {
			c.Progress(n+1, len(orgs), secrets)
		}
	}
	return r, nil
}

// org copies one organisation's secrets, a bounded number of values at a time.
func (c Copy) org(ctx context.Context, r *Report, org id.ID) (int, error) {
	keys, err := c.From.Keys(ctx, org)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", c.FromName, err)
	}
	have, err := c.To.Keys(ctx, org)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", c.ToName, err)
	}
	var same, batch []one
	size := 0
	flush := func() error {
		if err := c.write(ctx, r, org, batch); err != nil {
			return err
		}
		if err := c.deleteSource(ctx, org, same); err != nil {
			return err
		}
		batch, same, size = nil, nil, 0
		return nil
	}
	foreign, err := c.foreign(ctx, r, org)
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		if slices.Contains(foreign, key) {
			continue
		}
		value, err := c.From.Get(ctx, org, key)
		if errs.Is(err, errs.NotFound) {
			continue // deleted since
		}
		if err != nil {
			return 0, fmt.Errorf("reading %s: %w", c.FromName, err)
		}
		if _, found := slices.BinarySearch(have, key); found {
			there, err := c.To.Get(ctx, org, key)
			if err != nil && !errs.Is(err, errs.NotFound) {
				return 0, fmt.Errorf("reading %s: %w", c.ToName, err)
			}
			switch {
			case err == nil && there.Equal(value):
				c.tell(r, org, key, Present, "")
				if same = append(same, one{key, value}); len(same) >= changeKeys {
					if err := flush(); err != nil {
						return 0, err
					}
				}
				continue
			case err == nil && !c.Overwrite:
				c.tell(r, org, key, Conflicted, "it has another value there; --overwrite replaces it")
				continue
			}
		}
		batch, size = append(batch, one{key, value}), size+value.Len()
		if !c.Whole && (len(batch) == changeKeys || size > changeBytes) {
			if err := flush(); err != nil {
				return 0, err
			}
		}
	}
	if err := flush(); err != nil {
		return 0, err
	}
	return len(keys), c.purgeSource(ctx, org, foreign)
}

// foreign finds and tells what is no secret.
func (c Copy) foreign(ctx context.Context, r *Report, org id.ID) ([]string, error) {
	if c.Foreign == nil {
		return nil, nil
	}
	names, err := c.Foreign(ctx, org)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", c.FromName, err)
	}
	for _, name := range names {
		c.tell(r, org, name, Skipped, "its value is not a text, so that it is somebody else's; it stays where it is")
	}
	return names, nil
}

// purgeSource removes what is left of an organisation that has no secrets in From any more.
func (c Copy) purgeSource(ctx context.Context, org id.ID, foreign []string) error {
	if !c.PurgeSource || !c.DeleteSource || c.DryRun || len(foreign) > 0 {
		return nil
	}
	if left, err := c.From.Keys(ctx, org); err != nil || len(left) > 0 {
		return err
	}
	if err := c.From.Purge(ctx, org); err != nil {
		return fmt.Errorf("removing earlier versions from %s: %w", c.FromName, err)
	}
	return nil
}

func (c Copy) tell(r *Report, org id.ID, key string, result Result, why string) {
	r.add(Item{Kind: "secret", ID: org.String(), Name: key, Result: result, Why: why, Count: 1})
}

// write writes some secrets in one change, and reads them back.
func (c Copy) write(ctx context.Context, r *Report, org id.ID, batch []one) error {
	if len(batch) == 0 {
		return nil
	}
	if !c.DryRun {
		change := secret.Change{Set: make(map[string]secret.Value, len(batch))}
		for _, o := range batch {
			change.Set[o.key] = o.value
		}
		err := c.To.Apply(ctx, org, change)
		if errs.Is(err, errs.RequestTooLarge) {
			for _, o := range batch {
				c.tell(r, org, o.key, Skipped, errs.Message(err))
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("writing to %s: %w", c.ToName, err)
		}
		for _, o := range batch {
			there, err := c.To.Get(ctx, org, o.key)
			if err != nil {
				return fmt.Errorf("reading back from %s: %w", c.ToName, err)
			}
			if !there.Equal(o.value) {
				return fmt.Errorf("secret %q reads otherwise from %s than it was written: somebody else changes it, or the store is at fault; nothing was deleted", o.key, c.ToName)
			}
		}
		if err := c.deleteSource(ctx, org, batch); err != nil {
			return err
		}
	}
	for _, o := range batch {
		c.tell(r, org, o.key, Brought, "")
	}
	return nil
}

// deleteSource deletes what has been found the same on the other side, unless it has changed here meanwhile.
func (c Copy) deleteSource(ctx context.Context, org id.ID, verified []one) error {
	if !c.DeleteSource || c.DryRun || len(verified) == 0 {
		return nil
	}
	var change secret.Change
	for _, o := range verified {
		now, err := c.From.Get(ctx, org, o.key)
		if errs.Is(err, errs.NotFound) || err == nil && !now.Equal(o.value) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", c.FromName, err)
		}
		change.Delete = append(change.Delete, o.key)
	}
	if change.Empty() {
		return nil
	}
	if err := c.From.Apply(ctx, org, change); err != nil {
		return fmt.Errorf("deleting from %s: %w", c.FromName, err)
	}
	return nil
}
