// Package rewrite seals the records of the embedded store anew, and brings the names of secrets into another form.
package rewrite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/plan"
	"strongroom/internal/secret/embedded/records"
)

// Record says how far a rewriting has come, so that the next process goes on from there. It changes in the
// transactions that rewrite.
const Record = "core/rewrite"

// page is how many records are read at a time; each may hold the longest value.
const page = 32

// attempts bounds how often a record is tried that others change all the while.
const attempts = 50

// Progress tells how far a rewriting has come.
type Progress struct {
	Orgs    int `json:"orgs"`    // organisations that are done
	AllOrgs int `json:"allOrgs"` // organisations with secrets, when it began
	Records int `json:"records"` // records sealed anew
	// Damaged is how many records do not open. They stay as they are, and the older terms with them.
	Damaged int `json:"damaged,omitempty"`
}

// rewriting is what Record holds.
type rewriting struct {
	Term  uint32 `json:"term"` // what is sealed under an older one is rewritten
	After string `json:"after"`
	// Unopened are the first of the damaged records.
	Unopened []string `json:"unopened,omitempty"`
	Progress
}

// maxUnopened is how many damaged records are named.
const maxUnopened = 10

// passes takes note of a record that does not open, and reports whether it was that.
func (r *rewriting) passes(key string, err error) bool {
	if !errors.Is(err, keyring.ErrOpen) && !errors.Is(err, keyring.ErrTerm) && !errors.Is(err, errNameless) {
		return false
	}
	if r.Damaged++; len(r.Unopened) < maxUnopened {
		r.Unopened = append(r.Unopened, key)
	}
	return true
}

// damage is the error of what has passed records by. Rest says what became of all others, and has a place for them.
func (r *rewriting) damage(rest, what string) error {
	names := make([]string, 0, len(r.Unopened))
	for _, key := range r.Unopened {
		names = append(names, fmt.Sprintf("%q", key))
	}
	more := ""
	if r.Damaged > len(r.Unopened) {
		more = " and others"
	}
	return errs.New(errs.Internal, rest+": %s%s; restore a backup from before they were damaged, or set or remove for "+
		"good the secrets that they are of, and the %s ends by itself",
		fmt.Sprintf("%d records do not open", r.Damaged), strings.Join(names, ", "), more, what)
}

// Store is what rewriting needs of the store over the records.
type Store interface {
	// Recover carries out or removes the large changes that were left half-done.
	Recover(ctx context.Context) error
	// AwaitChanges returns when the changes are in that were begun before it was called.
	AwaitChanges()
	// Change has a change planned and made in the organisation's turn.
	Change(ctx context.Context, org id.ID, plan func(*plan.Plan) error) error
	// AllNames gives the names of the organisation's secrets, the deleted ones too, at one moment, but for those that
	// do not open.
	AllNames(ctx context.Context, org id.ID) ([]string, error)
}

type rewriter struct {
	content.Reader
	store Store
}

// Secrets seals anew what was sealed before the current term, and gives that term: when it returns, nothing in the
// store is of an older one, and no name is of another form than the keyring wants them in. Reading and writing go on
// meanwhile. Cut short, it goes on where it was when it is called again, by whichever process. Report hears how far it
// has come after every page. Records that do not open are passed by, and told in the end by an error.
//
// It is for data that this process alone writes to: another one may seal under an older term until it has heard of the
// new one.
func Secrets(ctx context.Context, from content.Reader, store Store, report func(Progress)) (uint32, error) {
	s := &rewriter{from, store}
	term := s.Ring.Term()
	names := s.Ring.Names()
	// Changes that were sealed under an older term, or planned in another form, are in when this returns, those begun
	// later are of the new ones.
	s.store.AwaitChanges()
	// Their large ones may still be staged, and are then carried out or removed.
	if err := s.store.Recover(ctx); err != nil {
		return term, err
	}
	var passed error
	if names.Moving {
		if passed = s.moveNames(ctx, names, report); passed != nil && !errs.Is(passed, errs.Internal) {
			return term, passed
		}
	}
	// What is moved is sealed anew, and nothing of a sealed form was written before its term.
	if names.Form == term || len(s.Ring.Terms()) == 1 {
		return term, passed
	}
	at, err := s.resume(ctx, term)
	if err != nil {
		return term, err
	}
	for {
		recs, err := s.KV.List(ctx, records.Root, at.After, page)
		if err != nil {
			return term, kv.Coded(err)
		}
		if len(recs) == 0 {
			break
		}
		if err := s.rewritePage(ctx, &at, recs); err != nil {
			return term, kv.Coded(err)
		}
		report(at.Progress)
	}
	if _, err = s.KV.Txn(ctx, nil, []kv.Op{kv.Delete(Record)}); err != nil {
		return term, kv.Coded(err)
	}
	// Changes under way may have read records before those were sealed anew, and need the older terms to open them.
	s.store.AwaitChanges()
	if at.Damaged > 0 {
		passed = errors.Join(passed, at.damage("all the rest is sealed anew, but %s, and the older keys are kept for "+
			"them", "rotation"))
	}
	return term, passed
}

// resume gives where an earlier rewriting to the same term stopped, or the beginning.
func (s *rewriter) resume(ctx context.Context, term uint32) (rewriting, error) {
	at := rewriting{Term: term}
	rec, err := s.KV.Get(ctx, Record)
	switch {
	case err == nil:
		var earlier rewriting
		if err := json.Unmarshal(rec.Value, &earlier); err == nil && earlier.Term == term {
			return earlier, nil
		}
	case !errors.Is(err, kv.ErrNotFound):
		return at, kv.Coded(err)
	}
	orgs, err := s.orgs(ctx)
	at.AllOrgs = len(orgs)
	return at, err
}

// rewritePage rewrites those of the records that need it, in as few transactions as they fit in,
// and moves at past them.
func (s *rewriter) rewritePage(ctx context.Context, at *rewriting, recs []kv.Record) error {
	fence := s.Ring.Fence()
	var conds []kv.Cond
	var ops []kv.Op
	size := 0
	flush := func(last string) error {
		at.After, at.Records = last, at.Records+len(ops)
		note, err := json.Marshal(at)
		if err != nil {
			return err
		}
		_, err = s.KV.Txn(ctx, slices.Concat(conds, fence), append(ops, kv.Put(Record, note)))
		if errors.Is(err, kv.ErrConflict) {
			for _, c := range conds {
				if err := s.rewriteOne(ctx, c.Key, at.Term); err != nil && !at.passes(c.Key, err) {
					return err
				}
			}
			err = nil
		}
		conds, ops, size = nil, nil, 0
		return err
	}
	before := at.After
	for _, rec := range recs {
		org, _, err := records.OrgOf(records.Root, rec.Key)
		if err != nil {
			return err
		}
		if strings.HasPrefix(rec.Key, records.Head(org)) {
			// The names follow all that is sealed.
			if len(ops) > 0 {
				if err := flush(before); err != nil {
					return err
				}
			}
			at.After = records.Prefix(org) + records.BehindAll
			at.Orgs++
			return nil
		}
		value, err := s.sealAnew(ctx, rec, at.Term)
		if err != nil && !at.passes(rec.Key, err) {
			return err
		}
		if value != nil {
			more := 2*len(rec.Key) + len(value)
			if len(ops) > 0 && size+more > commitlog.MaxBytes {
				if err := flush(before); err != nil {
					return err
				}
			}
			conds, ops, size = append(conds, kv.Unchanged(rec)), append(ops, kv.Put(rec.Key, value)), size+more
		}
		before = rec.Key
	}
	if len(ops) > 0 {
		return flush(before)
	}
	at.After = before
	return nil
}

// rewriteOne rewrites a record that somebody has changed meanwhile, should it still need it.
func (s *rewriter) rewriteOne(ctx context.Context, key string, term uint32) error {
	for range attempts {
		rec, err := s.KV.Get(ctx, key)
		if errors.Is(err, kv.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		fence := s.Ring.Fence()
		value, err := s.sealAnew(ctx, rec, term)
		if err != nil || value == nil {
			return err
		}
		conds := append([]kv.Cond{kv.Unchanged(rec)}, fence...)
		if _, err = s.KV.Txn(ctx, conds, []kv.Op{kv.Put(key, value)}); !errors.Is(err, kv.ErrConflict) {
			return err
		}
		if _, err := s.Ring.Refused(ctx, fence); err != nil {
			return err
		}
	}
	return commitlog.ErrTooMany
}

// sealAnew gives the record's value sealed under the current term; nil where it is of the term, or a newer one.
func (s *rewriter) sealAnew(ctx context.Context, rec kv.Record, term uint32) ([]byte, error) {
	fail := func(err error) ([]byte, error) { return nil, fmt.Errorf("record %q: %w", rec.Key, err) }
	place, kind, err := records.Parse(rec.Key)
	if err != nil {
		return nil, err
	}
	org, as := place.Org, place.Slot(kind).As
	switch of, err := keyring.TermOf(rec.Value); {
	case err != nil:
		return fail(err)
	case of >= term:
		return nil, nil
	}
	plain, err := s.Ring.OpenFresh(ctx, org, as, rec.Value)
	if err != nil {
		return fail(err)
	}
	defer clear(plain)
	return s.Ring.Seal(org, as, plain)
}
