package secret

import (
	"context"
	"errors"
	"maps"
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/lastuse"
)

// errTokensOnly keeps values out of browsers: a page that somebody's session is open in shows none, whatever runs in it.
var errTokensOnly = errs.New(errs.Unauthorized, "values are given to API tokens only, not to sessions: make a token that may use secrets (influx auth create --use-secrets)")

// Use gives out one value, to be used. It takes a token with the permission to use the secret, which no other permission
// holds (access.Use). A secret that the token may not use is errs.NotFound, like one that is not there.
func (s *Service) Use(ctx context.Context, c *access.Caller, org id.ID, key string) (Value, error) {
	values, err := s.UseAll(ctx, c, org, []string{key})
	return values[key], err
}

// UseAll gives out, to be used, the values of the keys, or, where there are none, of all the secrets that the token may
// use. Of the keys it gives all or nothing; errs.NotFound names the first that is not there, or not for this token.
//
// Which values there are is known when they have been read. So the record is made then; without it none is given out.
func (s *Service) UseAll(ctx context.Context, c *access.Caller, org id.ID, keys []string) (map[string]Value, error) {
	act := access.Act{Action: "secrets.use", Org: org, Keys: keys}
	if !c.AuthorizationID.Valid() {
		return nil, s.guard.Deny(ctx, c, act, errTokensOnly)
	}
	if !c.MaySome(access.Use, org) {
		return nil, s.guard.Deny(ctx, c, act, errs.New(errs.Unauthorized, "%s is unauthorized", need(access.Use, org, "")))
	}
	may := func(k string) bool { return c.May(need(access.Use, org, k)) }
	values, err := s.values(ctx, org, keys, may)
	if err != nil {
		return nil, s.guard.Done(ctx, c, act, err)
	}
	for _, k := range keys {
		if !may(k) {
			return nil, s.guard.Deny(ctx, c, act, NotFound(errs.Clip(k)))
		}
		if _, ok := values[k]; !ok {
			return nil, s.guard.Done(ctx, c, act, NotFound(errs.Clip(k)))
		}
	}
	act.Keys = slices.Sorted(maps.Keys(values))
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return nil, err
	}
	if s.uses != nil {
		s.uses.Mark(org, act.Keys...)
	}
	return values, nil
}

// values reads those that there are and that may be used.
func (s *Service) values(ctx context.Context, org id.ID, keys []string, may func(string) bool) (map[string]Value, error) {
	if err := s.orgs.OrgExists(ctx, org); err != nil {
		return nil, err
	}
	switch len(keys) {
	case 0:
		return UseAll(ctx, s.store, org, may)
	case 1:
		if !may(keys[0]) {
			return nil, nil
		}
		v, err := Use(ctx, s.store, org, keys[0])
		if errs.Is(err, errs.NotFound) {
			return nil, nil
		}
		return map[string]Value{keys[0]: v}, err
	default:
		named := make(map[string]bool, len(keys))
		for _, k := range keys {
			named[k] = true
		}
		return UseAll(ctx, s.store, org, func(k string) bool { return named[k] && may(k) })
	}
}

// lastUsed fills in when the secrets were last used.
func (s *Service) lastUsed(ctx context.Context, org id.ID, infos ...*Info) (err error) {
	if s.uses == nil {
		return nil
	}
	for _, info := range infos {
		if info.Used, err = s.uses.Last(ctx, org, info.Key); err != nil {
			return err
		}
	}
	return nil
}

// Remembered is a store with the book of its secrets' last uses, as far as the deletion of an organisation needs both.
type Remembered struct {
	Store
	Uses *lastuse.Book
}

// Purge removes what the store keeps for the organisation, and when its secrets were used.
func (r Remembered) Purge(ctx context.Context, org id.ID) error {
	return errors.Join(r.Store.Purge(ctx, org), r.Uses.Purge(ctx, org))
}

// Names are those that an organisation's secrets have, the deleted ones that can be brought back included.
func (s *Service) Names(ctx context.Context, org id.ID) ([]string, error) {
	names, err := s.keys(ctx, org)
	if err != nil {
		return nil, err
	}
	names = slices.Clone(names)
	h, ok := s.store.(Historian)
	if !ok || !KeepsHistory(s.store, org) {
		return names, nil
	}
	deleted, err := h.Deleted(ctx, org)
	if errs.Is(err, errs.NotImplemented) { // a store that keeps a history of other organisations' secrets
		return names, nil
	}
	for _, info := range deleted {
		names = append(names, info.Key)
	}
	return names, err
}
