package transfer

import (
	"context"
	"fmt"
	"slices"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/secret"
	"strongroom/internal/transfer/lastcopy"
	"strongroom/internal/transfer/report"
)

// Copy brings the secrets of one store into another.
type Copy struct {
	From, To         secret.Store
	FromName, ToName string // for the report
	// Book remembers what earlier copies left alike, by the names that FromPlace and ToPlace give the stores for an
	// organisation; "" for a place that has none. Without it a copy takes each difference for the target's own.
	Book               *lastcopy.Book
	FromPlace, ToPlace func(org id.ID) string
	// Missing are the organisations of the source that the target has not; their secrets are told.
	Missing []identity.Org
	// Ended copies, as deletions, the end of organisations that were copied and that orgs do not name any more.
	Ended  bool
	DryRun bool
	// Overwrite replaces and deletes what the target has changed by itself, where it is otherwise left and told as a
	// conflict.
	Overwrite bool
	// DeleteSource deletes from From what was found to be the same in To.
	DeleteSource bool
	// Whole copies an organisation's secrets in one change, all of them or none.
	Whole bool
	// Foreign names what is kept among an organisation's secrets in From and is none; it is told, and not copied. nil
	// where nothing can be.
	Foreign func(ctx context.Context, org id.ID) ([]string, error)
	// Emptied reports whether From, in which an organisation has no secrets, had some. It keeps a source that is the
	// wrong one, or lost, from emptying the target. nil where From cannot be another than it was.
	Emptied func(ctx context.Context, org id.ID) (bool, error)
	// PurgeSource removes an organisation from From with all earlier versions, once DeleteSource has left nothing of
	// it.
	PurgeSource bool
	// Progress hears how far it has come; nil for nobody.
	Progress func(done, orgs, secrets int)
}

// Pair is an organisation in the source, and which one it is in the target.
type Pair struct{ From, To id.ID }

// step is what is to become of one secret in the target: the value, or nil for none. It builds on what the target held.
type step struct {
	key    string
	value  *secret.Value
	was    *secret.Value
	result report.Result
}

// The bounds of one change of secrets.
const (
	changeKeys  = 256
	changeBytes = 1 << 20
)

// Run brings the target to what the source holds: what is new there is written, what has changed there since the last
// copy is replaced, and what was deleted there since is deleted. What the target has changed by itself is a conflict.
// What is the same already is not written again, so that a copy that was cut short goes on when it is run again.
// Everything written is read back. The report is of what was done also where there is an error.
func (c Copy) Run(ctx context.Context, orgs []Pair) (*report.Report, error) {
	r := &report.Report{From: c.FromName, To: c.ToName, DryRun: c.DryRun}
	if c.DeleteSource && !c.DryRun {
		r.Source = new(report.SourceCount)
	}
	ended, err := c.ended(ctx, orgs)
	if err != nil {
		return r, err
	}
	for _, o := range c.Missing {
		keys, err := c.From.Keys(ctx, o.ID)
		if err != nil {
			return r, fmt.Errorf("organization %s: reading %s: %w", o.ID, c.FromName, err)
		}
		if len(keys) > 0 {
			r.Skip(Missed(o, len(keys)))
		}
	}
	secrets := 0
	for n, p := range slices.Concat(orgs, ended) {
		o := &copying{Copy: c, Pair: p, r: r, ended: n >= len(orgs)}
		if err := o.run(ctx); err != nil {
			return r, fmt.Errorf("organization %s: %w", p.From, err)
		}
		secrets += o.count
		if c.Progress != nil {
			c.Progress(n+1, len(orgs)+len(ended), secrets)
		}
	}
	return r, nil
}

// ended are the organisations that were copied and are not among those to copy.
func (c Copy) ended(ctx context.Context, orgs []Pair) ([]Pair, error) {
	if !c.Ended || c.Book == nil {
		return nil, nil
	}
	all, err := c.Book.Pairs(ctx, c.FromPlace, c.ToPlace)
	pairs := make([]Pair, len(all))
	for i, p := range all {
		pairs[i] = Pair(p)
	}
	return slices.DeleteFunc(pairs, func(p Pair) bool {
		return slices.ContainsFunc(orgs, func(o Pair) bool { return o.From == p.From || o.To == p.To }) ||
			slices.ContainsFunc(c.Missing, func(o identity.Org) bool { return o.ID == p.From })
	}), err
}

// copying is the copy of one organisation's secrets, a bounded number of values at a time.
type copying struct {
	Copy
	Pair
	r      *report.Report
	ended  bool
	common *lastcopy.Common

	count int
	same  []lastcopy.Secret // found the same on both sides
	batch []step            // to be made
	size  int
}

func (c *copying) run(ctx context.Context) (err error) {
	var from, to lastcopy.Place
	if c.FromPlace != nil && c.ToPlace != nil {
		from, to = lastcopy.Place{Store: c.FromPlace(c.Pair.From), Org: c.Pair.From},
			lastcopy.Place{Store: c.ToPlace(c.Pair.To), Org: c.Pair.To}
	}
	if from.Store != "" && from.Store == to.Store {
		return fmt.Errorf("%s and %s keep its secrets in the same place", c.FromName, c.ToName)
	}
	if c.common, err = c.Book.Between(ctx, from, to); err != nil {
		return err
	}
	var keys, foreign []string
	if !c.ended {
		if keys, err = c.Copy.From.Keys(ctx, c.Pair.From); err != nil {
			return fmt.Errorf("reading %s: %w", c.FromName, err)
		}
	}
	have, err := c.Copy.To.Keys(ctx, c.Pair.To)
	if err != nil {
		return fmt.Errorf("reading %s: %w", c.ToName, err)
	}
	if !c.ended {
		if foreign, err = c.foreign(ctx); err != nil {
			return err
		}
	}
	c.count = len(keys)
	there := make(map[string]bool, len(keys)) // what is known of after this copy, on either side
	for _, key := range foreign {
		there[key] = true
	}
	for _, key := range keys {
		if there[key] {
			continue
		}
		value, err := secret.Get(ctx, c.Copy.From, c.Pair.From, key)
		if errs.Is(err, errs.NotFound) {
			continue // deleted since
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", c.FromName, err)
		}
		there[key] = true
		_, has := slices.BinarySearch(have, key)
		if err := c.compare(ctx, lastcopy.Secret{Key: key, Value: value}, has); err != nil {
			return err
		}
		if err := c.flushFull(ctx); err != nil {
			return err
		}
	}
	sure, err := c.sure(ctx, len(there))
	if err != nil {
		return err
	}
	for _, key := range have {
		if there[key] || !c.common.Has(key) {
			continue
		}
		there[key] = true
		if err := c.gone(ctx, key, sure); err != nil {
			return err
		}
		if err := c.flushFull(ctx); err != nil {
			return err
		}
	}
	if err := c.flush(ctx); err != nil {
		return err
	}
	if !c.DryRun && sure {
		if err := c.common.Keep(ctx, there); err != nil {
			return err
		}
	}
	return c.purgeSource(ctx, foreign)
}

// compare decides what becomes of a secret of the source.
func (c *copying) compare(ctx context.Context, o lastcopy.Secret, has bool) error {
	if !has {
		if c.common.Has(o.Key) && !c.Overwrite {
			c.tell(o.Key, report.Conflicted, "it was copied before and has been deleted in "+c.ToName+" since; "+
				"--overwrite brings it back")
			return nil
		}
		c.plan(step{key: o.Key, value: &o.Value, result: report.Brought})
		return nil
	}
	there, err := secret.Get(ctx, c.Copy.To, c.Pair.To, o.Key)
	switch {
	case errs.Is(err, errs.NotFound):
		return c.compare(ctx, o, false) // deleted since
	case err != nil:
		return fmt.Errorf("reading %s: %w", c.ToName, err)
	case there.Equal(o.Value):
		c.tell(o.Key, report.Present, "")
		c.same = append(c.same, o)
	case c.common.Is(o.Key, there), c.Overwrite:
		c.plan(step{key: o.Key, value: &o.Value, was: &there, result: report.Replaced})
	case c.common.Has(o.Key):
		c.tell(o.Key, report.Conflicted,
			"it has been changed in "+c.ToName+" since it was copied; --overwrite replaces it")
	default:
		c.tell(o.Key, report.Conflicted, "it has another value there; --overwrite replaces it")
	}
	return nil
}

// sure reports whether what the source has not was deleted there, and is not merely kept elsewhere.
func (c *copying) sure(ctx context.Context, found int) (bool, error) {
	if found > 0 || c.ended || c.Emptied == nil || c.common.Empty() {
		return true, nil
	}
	is, err := c.Emptied(ctx, c.Pair.From)
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", c.FromName, err)
	}
	return is || c.Overwrite, nil
}

// gone decides what becomes of a secret that was copied and is not in the source any more.
func (c *copying) gone(ctx context.Context, key string, sure bool) error {
	there, err := secret.Get(ctx, c.Copy.To, c.Pair.To, key)
	switch {
	case errs.Is(err, errs.NotFound):
	case err != nil:
		return fmt.Errorf("reading %s: %w", c.ToName, err)
	case !sure:
		c.tell(key, report.Conflicted, c.FromName+" knows nothing of the organization any more; if its secrets were "+
			"deleted there, --overwrite deletes them here")
	case c.common.Is(key, there), c.Overwrite:
		c.plan(step{key: key, was: &there, result: report.Deleted})
	default:
		c.tell(key, report.Conflicted, "it was deleted in "+c.FromName+", and has been changed in "+c.ToName+
			" since it was copied; --overwrite deletes it")
	}
	return nil
}

// foreign finds and tells what is no secret.
func (c *copying) foreign(ctx context.Context) ([]string, error) {
	if c.Foreign == nil {
		return nil, nil
	}
	names, err := c.Foreign(ctx, c.Pair.From)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", c.FromName, err)
	}
	for _, name := range names {
		c.tell(name, report.Skipped, "its value is not a text, so that it is somebody else's; it stays where it is")
	}
	return names, nil
}

func (c *copying) tell(key string, result report.Result, why string) {
	c.r.Add(report.Item{Kind: "secret", ID: c.Pair.To.String(), Name: key, Result: result, Why: why, Count: 1})
}

func (c *copying) plan(s step) {
	c.batch = append(c.batch, s)
	if s.value != nil {
		c.size += s.value.Len()
	}
}

func (c *copying) flushFull(ctx context.Context) error {
	if c.Whole || len(c.batch) < changeKeys && c.size <= changeBytes && len(c.same) < changeKeys {
		return nil
	}
	return c.flush(ctx)
}

func (c *copying) flush(ctx context.Context) error {
	if c.DryRun {
		for _, s := range c.batch {
			c.tell(s.key, s.result, "")
		}
	} else if err := c.write(ctx, c.batch); err != nil {
		return err
	} else if err := c.common.Note(ctx, c.same); err != nil {
		return err
	} else if err := c.describe(ctx, c.same); err != nil {
		return fmt.Errorf("bringing descriptions from %s to %s: %w", c.FromName, c.ToName, err)
	} else if err := c.deleteSource(ctx, c.same); err != nil {
		return err
	}
	c.batch, c.same, c.size = nil, nil, 0
	return nil
}

// write makes some steps in one change, and reads them back. What somebody has changed meanwhile is told and left.
func (c *copying) write(ctx context.Context, steps []step) error {
	if len(steps) == 0 {
		return nil
	}
	change := secret.Change{Set: make(map[string]secret.Value), Was: make(map[string]*secret.Value)}
	for _, s := range steps {
		if change.Was[s.key] = s.was; s.value != nil {
			change.Set[s.key] = *s.value
		} else {
			change.Delete = append(change.Delete, s.key)
		}
	}
	_, err := c.Copy.To.Apply(ctx, c.Pair.To, change)
	refused := errs.Is(err, errs.PreconditionFailed) || errs.Is(err, errs.RequestTooLarge)
	switch {
	case refused && len(steps) > 1 && !c.Whole: // the others need not fail for one
		if err := c.write(ctx, steps[:len(steps)/2]); err != nil {
			return err
		}
		return c.write(ctx, steps[len(steps)/2:])
	case refused:
		result, why := report.Skipped, errs.Message(err)
		if errs.Is(err, errs.PreconditionFailed) {
			result, why = report.Conflicted, "somebody changed it, or another of the organization's, in "+c.ToName+
				" at the same time; copy again"
		}
		for _, s := range steps {
			c.tell(s.key, result, why)
		}
		return nil
	case err != nil:
		return fmt.Errorf("writing to %s: %w", c.ToName, err)
	}
	return c.readBack(ctx, steps)
}

// readBack compares what was written with what is there, and remembers it.
func (c *copying) readBack(ctx context.Context, steps []step) error {
	var verified []lastcopy.Secret
	var deleted []string
	for _, s := range steps {
		there, err := secret.Get(ctx, c.Copy.To, c.Pair.To, s.key)
		switch {
		case s.value == nil && errs.Is(err, errs.NotFound):
			deleted = append(deleted, s.key)
			continue
		case err != nil && !errs.Is(err, errs.NotFound):
			return fmt.Errorf("reading back from %s: %w", c.ToName, err)
		case err != nil || s.value == nil || !there.Equal(*s.value):
			return fmt.Errorf("secret %q reads otherwise from %s than it was written: somebody else changes it, "+
				"or the store is at fault; nothing was deleted", s.key, c.ToName)
		}
		verified = append(verified, lastcopy.Secret{Key: s.key, Value: *s.value})
	}
	if err := c.common.Note(ctx, verified); err != nil {
		return err
	}
	if err := c.common.Forget(ctx, deleted...); err != nil {
		return err
	}
	if err := c.describe(ctx, verified); err != nil {
		return fmt.Errorf("bringing descriptions from %s to %s: %w", c.FromName, c.ToName, err)
	}
	for _, s := range steps {
		c.tell(s.key, s.result, "")
	}
	return c.deleteSource(ctx, verified)
}
