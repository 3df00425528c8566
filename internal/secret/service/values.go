package service

import (
	"context"
	"errors"
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/lastuse"
)

// errTokensOnly keeps values out of browsers: a page that somebody's session is open in shows
// none, whatever runs in it.
var errTokensOnly = errs.New(errs.Unauthorized, "values are given to API tokens only, not to sessions: make a token "+
	"that may use secrets (influx auth create --use-secrets)")

// Use gives out one value, to be used. It takes a token with the permission to use the secret, which no other
// permission holds (access.Use). A secret that the token may not use is errs.NotFound, like one that is not there.
func (s *Service) Use(ctx context.Context, c *access.Caller, org id.ID, key string) (secret.Value, error) {
	values, err := s.UseAll(ctx, c, org, []string{key})
	return values[key], err
}

// UseAll gives out, to be used, the values of the keys, or, where there are none, of all the secrets that the token may
// use. Of the keys it gives all or nothing; errs.NotFound names the first that is not there, or not for this token.
//
// Which values there are is known when they have been read. So the record is made then; without it none is given out.
func (s *Service) UseAll(ctx context.Context, c *access.Caller, org id.ID,
	keys []string) (map[string]secret.Value, error) {
	snap, err := s.Snapshot(ctx, c, org, secret.Query{Keys: keys, ForUse: true})
	return snap.Values(), err
}

// Snapshot is UseAll for those who need the versions, too, or values that are not from memory: of q.Keys, or of all.
func (s *Service) Snapshot(ctx context.Context, c *access.Caller, org id.ID, q secret.Query) (secret.Snapshot, error) {
	return s.SnapshotUnless(ctx, c, org, q, nil)
}

// SnapshotUnless is Snapshot for those who may have the values already: where known says so of their versions, nothing
// is to be given out, the values may not even have been read, and no use is put on record. A caller who may not use
// the secrets is refused first. Known may be nil, and may be asked more than once.
func (s *Service) SnapshotUnless(ctx context.Context, c *access.Caller, org id.ID, q secret.Query,
	known func(secret.Snapshot) bool) (secret.Snapshot, error) {
	act := access.Act{Action: "secrets.use", Org: org, Keys: q.Keys}
	if !c.AuthorizationID.Valid() {
		return secret.Snapshot{}, s.guard.Deny(ctx, c, act, errTokensOnly)
	}
	if !c.MaySome(access.Use, org) {
		return secret.Snapshot{}, s.guard.Deny(ctx, c, act, errs.New(errs.Unauthorized, "%s is unauthorized",
			need(access.Use, org, "")))
	}
	may := each(c, access.Use, org)
	q.Enough = known
	if len(q.Keys) == 0 && !c.May(need(access.Use, org, "")) { // or else the list is the one that is kept
		q.Want = may
	}
	snap, err := s.read(ctx, org, q, may)
	if err != nil {
		return secret.Snapshot{}, s.guard.Done(ctx, c, act, err)
	}
	for _, k := range q.Keys {
		if !may(k) {
			return secret.Snapshot{}, s.guard.Deny(ctx, c, act, secret.NotFound(errs.Clip(k)))
		}
		if _, ok := snap.Secrets[k]; !ok {
			return secret.Snapshot{}, s.guard.Done(ctx, c, act, secret.NotFound(errs.Clip(k)))
		}
	}
	snap.Sorted = snap.Names()
	if snap.Unread || known != nil && known(snap) {
		return snap, nil
	}
	act.Keys = snap.Names()
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return secret.Snapshot{}, err
	}
	if s.uses != nil {
		s.uses.Mark(org, act.Keys...)
	}
	return snap, nil
}

// read reads those that there are and that may be used.
func (s *Service) read(ctx context.Context, org id.ID, q secret.Query, may func(string) bool) (secret.Snapshot, error) {
	if err := s.exists(ctx, org); err != nil {
		return secret.Snapshot{}, err
	}
	if len(q.Keys) == 0 {
		q.Keys = nil
		return s.store.Read(ctx, org, q)
	}
	keys := make([]string, 0, len(q.Keys))
	for _, k := range q.Keys {
		if may(k) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return secret.Snapshot{}, s.orgs.OrgExists(ctx, org)
	}
	slices.Sort(keys)
	q.Keys = slices.Compact(keys)
	return s.store.Read(ctx, org, q)
}

// Remembered is a store with the book of its secrets' last uses, as far as the deletion of an organisation needs both.
type Remembered struct {
	secret.Store
	Uses *lastuse.Book
}

// Purge removes what the store keeps for the organisation, and when its secrets were used.
func (r Remembered) Purge(ctx context.Context, org id.ID) error {
	return errors.Join(r.Store.Purge(ctx, org), r.Uses.Purge(ctx, org))
}

// Names returns the names of an organisation's secrets, the deleted ones that can be brought back included.
func (s *Service) Names(ctx context.Context, org id.ID) ([]string, error) {
	names, err := s.keys(ctx, org)
	if err != nil {
		return nil, err
	}
	names = slices.Clone(names)
	deleted, err := readKnown(ctx, s.deletedSizes, org, org.String(), secret.Page{}, s.store.Deleted)
	if errs.Is(err, errs.NotImplemented) { // a store that keeps no history of this organisation's secrets
		return names, nil
	}
	for _, info := range deleted {
		names = append(names, info.Key)
	}
	return names, err
}
