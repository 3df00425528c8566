package service

import (
	"context"
	"maps"
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// tries bounds how often a change is decided anew because others changed the same meanwhile.
const tries = 20

// Fingerprint tells two values of one name apart and says nothing of either.
type Fingerprint [32]byte

// Replacement is what the secrets that the caller may use are to become.
type Replacement struct {
	Values map[string]secret.Value
	// At is the version that the organisation must have; nil for any.
	At *int64
	// Merge, where it is set, lets through what was made of an earlier version, if what it changes of that version and
	// what others have changed since are different secrets.
	Merge Merger
}

// Merger knows what an organisation's secrets were.
type Merger interface {
	// At gives the fingerprints of all values of a version; ok is false where they are not known.
	At(org id.ID, version int64) (was map[string]Fingerprint, ok bool)
	Of(key string, v secret.Value) Fingerprint
}

// Replace makes the secrets that the caller may use become what is given, in one change: it sets what differs and
// deletes what is missing. What the caller may not use stays as it is. It takes a token that may use what it sets, and
// write what changes. It gives errs.PreconditionFailed where the organisation has another version than it must have,
// and errs.Conflict where others kept changing it.
func (s *Service) Replace(ctx context.Context, c *access.Caller, org id.ID, r Replacement) (secret.Outcome, error) {
	act := access.Act{Action: "secrets.apply", Org: org, Keys: slices.Sorted(maps.Keys(r.Values))}
	if err := s.mayReplace(c, org, act.Keys); err != nil {
		return secret.Outcome{}, s.guard.Deny(ctx, c, act, err)
	}
	err := s.check(secret.Change{Set: r.Values})
	if err == nil {
		err = s.orgs.OrgExists(ctx, org)
	}
	if err != nil {
		return secret.Outcome{}, s.guard.Done(ctx, c, act, err)
	}
	end, err := s.turns.Take(ctx, org)
	if err != nil {
		return secret.Outcome{}, s.guard.Done(ctx, c, act, err)
	}
	defer end()
	for range tries {
		var change secret.Change
		if change, act.Keys, err = s.difference(ctx, c, org, r); err != nil {
			break
		}
		for _, k := range act.Keys {
			if p := need(access.Write, org, k); !c.May(p) {
				return secret.Outcome{}, s.guard.Deny(ctx, c, act, errs.New(errs.Unauthorized, "%s is unauthorized", p))
			}
		}
		if err := s.guard.Allow(ctx, c, act); err != nil {
			return secret.Outcome{}, err
		}
		out, err := s.store.Apply(ctx, org, change)
		if err = s.written(ctx, org, err); errs.Is(err, errs.PreconditionFailed) && (r.At == nil || r.Merge != nil) {
			continue // others were faster: the difference is another one now
		}
		if change.Empty() && change.At != nil {
			out.Version = *change.At
		}
		return out, s.guard.Done(ctx, c, act, err)
	}
	if err == nil {
		err = errs.New(errs.Conflict, "others kept changing the same secrets; try again")
	}
	return secret.Outcome{}, s.guard.Done(ctx, c, act, err)
}

func (s *Service) mayReplace(c *access.Caller, org id.ID, keys []string) error {
	if !c.AuthorizationID.Valid() {
		return errTokensOnly
	}
	for _, a := range []access.Action{access.Use, access.Write} {
		if !c.MaySome(a, org) {
			return errs.New(errs.Unauthorized, "%s is unauthorized", need(a, org, ""))
		}
	}
	for _, k := range keys {
		if p := need(access.Use, org, k); !c.May(p) {
			return errs.New(errs.Unauthorized, "%s is unauthorized", p)
		}
	}
	return nil
}

// difference is the change that makes of the secrets what is to be, at the version at which they were read.
func (s *Service) difference(ctx context.Context, c *access.Caller, org id.ID,
	r Replacement) (secret.Change, []string, error) {
	may := each(c, access.Use, org)
	snap, err := s.store.Read(ctx, org, secret.Query{Want: may})
	if err != nil {
		return secret.Change{}, nil, err
	}
	change := secret.Change{Set: make(map[string]secret.Value), By: c.User}
	versions := s.store.About(org).Versions
	switch {
	case !versions && r.At != nil:
		return secret.Change{}, nil, errs.New(errs.NotImplemented,
			"where each secret is an entry of its own in Vault (--vault-layout secret), all of an organization's "+
				"have no version that cas could name; write single secrets")
	case versions:
		change.At = &snap.Version
	}
	changes := func(k string) bool { return true }
	if r.At != nil && *r.At != snap.Version {
		if changes, err = r.merged(c, org, snap); err != nil {
			return secret.Change{}, nil, err
		}
	}
	for k, v := range r.Values {
		if old, ok := snap.Secrets[k]; changes(k) && (!ok || !old.Value.Shown().Equal(v)) {
			change.Set[k] = v
		}
	}
	for k := range snap.Secrets {
		if _, stays := r.Values[k]; !stays && changes(k) {
			change.Delete = append(change.Delete, k)
		}
	}
	return change, change.Keys(), nil
}

// merged tells which secrets a replacement changes that was made of an earlier version. It gives
// errs.PreconditionFailed where that version is not known, or where others have changed one of them
// to something else since.
func (r Replacement) merged(c *access.Caller, org id.ID, now secret.Snapshot) (changes func(string) bool, err error) {
	mismatch := secret.Change{At: r.At}.CheckAt(now.Version)
	if r.Merge == nil || *r.At > now.Version || !c.May(need(access.Use, org, "")) {
		return nil, mismatch
	}
	was, ok := r.Merge.At(org, *r.At)
	if !ok {
		return nil, mismatch
	}
	mine := make(map[string]bool)
	for k, v := range r.Values {
		if old, ok := was[k]; !ok || old != r.Merge.Of(k, v) {
			mine[k] = true
		}
	}
	for k := range was {
		if _, stays := r.Values[k]; !stays {
			mine[k] = true
		}
	}
	for k := range mine {
		got, there := now.Secrets[k]
		old, was := was[k]
		if there != was || there && old != r.Merge.Of(k, got.Value.Shown()) {
			return nil, mismatch
		}
	}
	return func(k string) bool { return mine[k] }, nil
}

// Update makes a secret's next value of its present one: f is given that, and may be called again. It takes the
// permission to write the secret, and to use it or read of it, since the outcome tells what is there. At is the version
// that the secret must have, nil for any. What is not there, or deleted, is errs.NotFound; another version is
// errs.PreconditionFailed.
func (s *Service) Update(ctx context.Context, c *access.Caller, org id.ID, key string, at *int,
	f func(secret.Value) (secret.Value, error)) (secret.Outcome, error) {
	act := access.Act{Action: "secrets.apply", Org: org, Keys: []string{key}}
	read := need(access.Read, org, key)
	if !c.May(read) && !c.May(need(access.Use, org, key)) {
		return secret.Outcome{}, s.guard.Deny(ctx, c, act, errs.New(errs.Unauthorized, "%s is unauthorized", read))
	}
	if err := s.guard.Allow(ctx, c, act, need(access.Write, org, key)); err != nil {
		return secret.Outcome{}, err
	}
	out, err := s.update(ctx, c, org, key, at, f)
	return out, s.guard.Done(ctx, c, act, err)
}

func (s *Service) update(ctx context.Context, c *access.Caller, org id.ID, key string, at *int,
	f func(secret.Value) (secret.Value, error)) (secret.Outcome, error) {
	if err := s.orgs.OrgExists(ctx, org); err != nil {
		return secret.Outcome{}, err
	}
	for range tries {
		snap, err := s.store.Read(ctx, org, secret.Query{Keys: []string{key}, Versions: true})
		if err != nil {
			return secret.Outcome{}, err
		}
		now, there := snap.Secrets[key]
		if !there {
			return secret.Outcome{}, secret.NotFound(errs.Clip(key))
		}
		if at != nil && *at != now.Version && s.store.About(org).SecretVersions {
			return secret.Outcome{}, secret.Change{Versions: map[string]int{key: *at}}.CheckVersion(key, now.Version)
		}
		next, err := f(now.Value)
		if err != nil {
			return secret.Outcome{}, err
		}
		if err := s.Valid(key, next); err != nil {
			return secret.Outcome{}, err
		}
		change := secret.Change{Set: map[string]secret.Value{key: next}, By: c.User}
		switch about := s.store.About(org); {
		case about.SecretVersions || at != nil: // where there are none, the store says so
			change.Versions = map[string]int{key: now.Version}
		case about.Versions:
			change.At = &snap.Version
		}
		out, err := s.store.Apply(ctx, org, change)
		if err = s.written(ctx, org, err); at == nil && errs.Is(err, errs.PreconditionFailed) {
			continue
		}
		return out, err
	}
	return secret.Outcome{}, errs.New(errs.Conflict, "others kept changing the same secret; try again")
}

// Outline is an organisation's version and the names that the caller may read of, deleted ones that can be brought back
// included; no value.
type Outline struct {
	secret.Snapshot
	Deleted []string
}

// outlineSize is about what a secret takes in memory without its name and value, in bytes.
const outlineSize = 128

// Outline tells what there is of an organisation's secrets without their values.
func (s *Service) Outline(ctx context.Context, c *access.Caller, org id.ID) (Outline, error) {
	act := access.Act{Action: "secrets.list", Org: org}
	if !c.MaySome(access.Read, org) {
		return Outline{}, s.guard.Deny(ctx, c, act, errs.New(errs.Unauthorized, "%s is unauthorized",
			need(access.Read, org, "")))
	}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return Outline{}, err
	}
	o, err := s.outline(ctx, c, org)
	return o, s.guard.Done(ctx, c, act, err)
}

func (s *Service) outline(ctx context.Context, c *access.Caller, org id.ID) (o Outline, err error) {
	if err := s.orgs.OrgExists(ctx, org); err != nil {
		return o, err
	}
	may := each(c, access.Read, org)
	if err := s.outlineSizes.Reading(ctx, Scope(c, access.Read, org), func() (size int64, err error) {
		o.Snapshot, err = s.store.Read(ctx, org, secret.Query{Want: may})
		for k, got := range o.Secrets {
			size += int64(len(k) + got.Value.Len() + outlineSize)
		}
		return size, err
	}); err != nil {
		return o, err
	}
	values := int64(0)
	for k, got := range o.Secrets {
		values += int64(got.Value.Len())
		got.Value = secret.Value{}
		o.Secrets[k] = got
	}
	s.outlineSizes.Spare(ctx, values)
	deleted, err := readKnown(ctx, s.deletedSizes, org, org.String(), secret.Page{}, s.store.Deleted)
	if errs.Is(err, errs.NotImplemented) { // a store that keeps no history
		return o, nil
	}
	for _, info := range deleted {
		if may(info.Key) {
			o.Deleted = append(o.Deleted, info.Key)
		}
	}
	return o, err
}
