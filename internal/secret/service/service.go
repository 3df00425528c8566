// Package service is what callers reach an organisation's secrets by: it checks permission, writes the audit record and
// enforces the limits, over whichever store keeps them.
package service

import (
	"context"
	"slices"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/inflight"
	"strongroom/internal/secret"
	"strongroom/internal/secret/lastuse"
	"strongroom/internal/secret/notice"
	"strongroom/internal/secret/turns"
)

// Orgs tells whether an organisation exists: nil, or errs.NotFound.
type Orgs interface {
	OrgExists(ctx context.Context, org id.ID) error
}

// Service is what the API uses: every method checks the caller's permission and puts the act on record first, then the
// input and that the organisation exists, and only then asks the store. (UseAll can make its record only in the end.)
type Service struct {
	store   secret.Store
	guard   *access.Guard
	orgs    Orgs
	uses    *lastuse.Book
	limits  secret.Limits
	notices *notice.Hub[secret.Snapshot] // nil: nobody is told of changes
	turns   turns.Turns
	// How large what is read of all of an organisation's secrets is: what is known of them, of deleted ones, their
	// values.
	infoSizes, deletedSizes, outlineSizes *inflight.Sizes
}

// New makes the service over a store. Where uses is nil, nothing is known of when secrets were used.
func New(store secret.Store, guard *access.Guard, orgs Orgs, uses *lastuse.Book, limits secret.Limits) *Service {
	return &Service{store: store, guard: guard, orgs: orgs, uses: uses, limits: limits,
		infoSizes: inflight.NewSizes(), deletedSizes: inflight.NewSizes(), outlineSizes: inflight.NewSizes()}
}

// Keys returns the names of the organisation's secrets that the caller may read of, sorted. A permission narrowed to
// some names shows those. The list is the store's own: nobody may change it.
func (s *Service) Keys(ctx context.Context, c *access.Caller, org id.ID) ([]string, error) {
	act := access.Act{Action: "secrets.list", Org: org}
	all := need(access.Read, org, "")
	narrowed := false
	var err error
	if may := c.May(all); may || c.MaySome(access.Read, org) {
		narrowed = !may
		err = s.guard.Allow(ctx, c, act)
	} else {
		err = s.guard.Allow(ctx, c, act, all)
	}
	if err != nil {
		return nil, err
	}
	keys, err := s.keys(ctx, org)
	if err == nil && narrowed {
		keys = slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !c.May(need(access.Read, org, k)) })
	}
	return keys, s.guard.Done(ctx, c, act, err)
}

// Versions returns the versions of the organisation's secrets that the caller may read of, by their names, and how many
// bytes were read for that. It gives errs.NotImplemented where the store's secrets have none.
func (s *Service) Versions(ctx context.Context, c *access.Caller,
	org id.ID) (versions map[string]int, size int64, err error) {
	act := access.Act{Action: "secrets.list", Org: org}
	var needed []access.Permission
	if !c.MaySome(access.Read, org) {
		needed = append(needed, need(access.Read, org, ""))
	}
	if err := s.guard.Allow(ctx, c, act, needed...); err != nil {
		return nil, 0, err
	}
	versions, size, err = s.versions(ctx, c, org)
	return versions, size, s.guard.Done(ctx, c, act, err)
}

func (s *Service) versions(ctx context.Context, c *access.Caller,
	org id.ID) (versions map[string]int, size int64, err error) {
	if err := s.orgs.OrgExists(ctx, org); err != nil {
		return nil, 0, err
	}
	if !s.store.About(org).SecretVersions {
		return nil, 0, errs.New(errs.NotImplemented, "the secrets of this organization have no versions of their "+
			"own, because they are kept in one entry; leave versions out")
	}
	may := func(k string) bool { return c.May(need(access.Read, org, k)) }
	snap, err := s.store.Read(ctx, org, secret.Query{Want: may, Versions: true})
	if err != nil {
		return nil, 0, err
	}
	versions = make(map[string]int, len(snap.Secrets))
	for k, got := range snap.Secrets {
		versions[k] = got.Version
		size += int64(len(k) + got.Value.Len() + 128)
	}
	return versions, size, nil
}

// exists looks whether the organisation does, unless the store looks itself.
func (s *Service) exists(ctx context.Context, org id.ID) error {
	if s.store.About(org).OrgChecked {
		return nil
	}
	return s.orgs.OrgExists(ctx, org)
}

func (s *Service) keys(ctx context.Context, org id.ID) ([]string, error) {
	if err := s.exists(ctx, org); err != nil {
		return nil, err
	}
	return s.store.Keys(ctx, org)
}

// MayApply refuses a caller who may not change any secret of the organisation, before what they want is read.
func (s *Service) MayApply(ctx context.Context, c *access.Caller, org id.ID) error {
	if c.MaySome(access.Write, org) {
		return nil
	}
	return s.guard.Deny(ctx, c, access.Act{Action: "secrets.apply", Org: org},
		errs.New(errs.Unauthorized, "%s is unauthorized", need(access.Write, org, "")))
}

// Apply carries out a change, all of it or nothing. The caller needs the permission to write every key named; to set
// what one can never read is allowed, unless it depends on what there is, which the outcome tells.
func (s *Service) Apply(ctx context.Context, c *access.Caller, org id.ID,
	change secret.Change) (secret.Outcome, error) {
	act := access.Act{Action: "secrets.apply", Org: org, Keys: change.Keys()}
	if len(change.Set) == 0 {
		act.Action = "secrets.delete"
	}
	return s.applyAs(ctx, c, act, change)
}

// applyAs is Apply with what is put on record.
func (s *Service) applyAs(ctx context.Context, c *access.Caller, act access.Act,
	change secret.Change) (secret.Outcome, error) {
	if err := s.mayApply(c, act.Org, change, act.Keys); err != nil {
		return secret.Outcome{}, s.guard.Deny(ctx, c, act, err)
	}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return secret.Outcome{}, err
	}
	out, err := s.apply(ctx, act.Org, change, c.User)
	return out, s.guard.Done(ctx, c, act, err)
}

// mayApply says why the caller may not make a change of the keys; nil where he may.
func (s *Service) mayApply(c *access.Caller, org id.ID, change secret.Change, keys []string) error {
	if all := need(access.Write, org, ""); !c.May(all) {
		// In InfluxDB's words, which name no key; a permission narrowed to other names gets them too.
		refused := errs.New(errs.Unauthorized, "%s is unauthorized", all)
		if !c.MaySome(access.Write, org) {
			return refused
		}
		for _, k := range keys {
			if !c.May(need(access.Write, org, k)) {
				return refused
			}
		}
	}
	unread := errs.New(errs.Unauthorized, "%s is unauthorized", need(access.Read, org, ""))
	if change.Only != secret.Anyway {
		for k := range change.Set {
			if !c.May(need(access.Read, org, k)) {
				return unread
			}
		}
	}
	// Whoever reads values sees the versions beside them.
	for k := range change.Versions {
		if !c.May(need(access.Read, org, k)) && !c.May(need(access.Use, org, k)) {
			return unread
		}
	}
	if change.At != nil && !c.MaySome(access.Read, org) && !c.MaySome(access.Use, org) {
		return unread
	}
	return nil
}

func (s *Service) apply(ctx context.Context, org id.ID, change secret.Change, by string) (secret.Outcome, error) {
	if err := s.check(change); err != nil {
		return secret.Outcome{}, err
	}
	if change.Empty() && !change.Depends() {
		return secret.Outcome{}, s.orgs.OrgExists(ctx, org)
	}
	if err := s.exists(ctx, org); err != nil {
		return secret.Outcome{}, err
	}
	change.By = by
	out, err := s.store.Apply(ctx, org, change)
	return out, s.written(ctx, org, err)
}

// lookTime bounds the look at what a change has come to.
const lookTime = time.Minute

// written passes on how a change of the store ended, unless the organisation was deleted meanwhile: what came in behind
// the deletion would stay in the store for ever, and is removed.
func (s *Service) written(ctx context.Context, org id.ID, err error) error {
	if s.store.About(org).OrgChecked { // no change comes in behind the deletion
		return err
	}
	// The caller may have left, and the change have been made all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTime)
	defer cancel()
	gone := s.orgs.OrgExists(ctx, org)
	if !errs.Is(gone, errs.NotFound) {
		return err
	}
	if err := s.store.Purge(ctx, org); err != nil {
		return err
	}
	return gone
}

// check refuses what no store may be given. Keys that cannot exist are not refused in deletions, where InfluxDB's users
// expect silence: they are dropped.
func (s *Service) check(change secret.Change) error {
	for k, v := range change.Set {
		if err := s.Valid(k, v); err != nil {
			return err
		}
	}
	for _, k := range change.Delete {
		if _, both := change.Set[k]; both {
			return errs.New(errs.Invalid, "the key %q is both set and deleted", errs.Clip(k))
		}
	}
	for k := range change.Versions {
		if _, set := change.Set[k]; !set && !slices.Contains(change.Delete, k) {
			return errs.New(errs.Invalid, "the change names the version of the key %q and neither sets "+
				"nor deletes it", errs.Clip(k))
		}
	}
	return nil
}

// Valid says why no store may be given the secret; nil where it may.
func (s *Service) Valid(key string, v secret.Value) error { return s.limits.Check(key, v) }

// each tells of each secret of an organisation whether the caller may do the action. Who may do so with all, as most
// may, is asked about once: with a thousand secrets that was an eighth of the time.
func each(c *access.Caller, a access.Action, org id.ID) func(key string) bool {
	if c.May(need(a, org, "")) {
		return func(string) bool { return true }
	}
	return func(key string) bool { return c.May(need(a, org, key)) }
}

// Scope names what of an organisation's secrets a caller may have, for who remembers how much that is: all of them, or
// what this one may.
func Scope(c *access.Caller, a access.Action, org id.ID) string {
	switch {
	case c.May(need(a, org, "")):
		return org.String()
	case c.AuthorizationID.Valid():
		return org.String() + " " + string(a) + " " + c.AuthorizationID.String()
	}
	return org.String() + " " + string(a) + " " + c.UserID.String()
}

func need(a access.Action, org id.ID, key string) access.Permission {
	return access.To(a, access.Resource{Type: access.Secrets, OrgID: org, Name: key})
}

// Usage tells how much the organisation has of what it may have, to whoever may list all its secrets.
func (s *Service) Usage(ctx context.Context, c *access.Caller, org id.ID) (u secret.Usage, err error) {
	act := access.Act{Action: "secrets.list", Org: org}
	if err := s.guard.Allow(ctx, c, act, need(access.Read, org, "")); err != nil {
		return u, err
	}
	if err = s.orgs.OrgExists(ctx, org); err == nil {
		u, err = secret.UsageOf(ctx, s.store, org)
	}
	return u, s.guard.Done(ctx, c, act, err)
}
