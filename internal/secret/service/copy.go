package service

import (
	"context"
	"slices"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// Place is where a secret is.
type Place struct {
	Org id.ID
	Key string
}

// onRecord is the place as the target of an act.
func (p Place) onRecord() string { return p.Org.String() + "/" + errs.Clip(p.Key) }

// Copy sets a secret's value at a place where there is none, and with move deletes it where it was. Where both
// organisations keep a history, the description and the earlier versions go along, in their order: they count from 1,
// and are of now and of the caller. It returns how many versions the copy has.
// The caller must be able to come by the value, as whoever may read of the secret and write it can by a token, and
// to set the other. A move within an organisation is one change. Only where the store has a history that does not go
// along (About.Moves), earlier versions are set before it; as with every other copy of several versions, one that fails
// may leave some of them at the new place.
func (s *Service) Copy(ctx context.Context, c *access.Caller, from, to Place, move bool) (versions int, err error) {
	act := access.Act{Action: "secrets.copy", Org: from.Org, Keys: []string{from.Key},
		Target: to.onRecord()}
	if !c.MayGrant(need(access.Use, from.Org, from.Key)) {
		return 0, s.guard.Deny(ctx, c, act, errs.New(errs.Unauthorized, "%s is unauthorized",
			need(access.Use, from.Org, "")))
	}
	needed := []access.Permission{need(access.Read, to.Org, to.Key), need(access.Write, to.Org, to.Key)}
	if move {
		needed = append(needed, need(access.Write, from.Org, from.Key))
	}
	if err := s.guard.Allow(ctx, c, act, needed...); err != nil {
		return 0, err
	}
	set := access.Act{Action: "secrets.apply", Org: to.Org, Keys: []string{to.Key}, Target: from.onRecord(),
		Detail: access.PartOf(move)}
	if from.Org != to.Org { // whose owners read no names there
		set.Target = from.Org.String()
	}
	if err := s.guard.Allow(ctx, c, set); err != nil {
		return 0, err
	}
	if move && from.Org == to.Org {
		versions, err := s.rename(ctx, c, from.Org, from.Key, to.Key)
		return versions, s.guard.Done(ctx, c, act, s.guard.Done(ctx, c, set, s.written(ctx, to.Org, err)))
	}
	versions, current, err := s.copy(ctx, c, from, to)
	if err != nil && versions > 0 {
		err = halfway(err, from.Key, to.Key)
	}
	err = s.guard.Done(ctx, c, set, s.written(ctx, to.Org, err))
	if err != nil || !move {
		return versions, s.guard.Done(ctx, c, act, err)
	}
	// What somebody has set since is not deleted unseen.
	_, err = s.applyAs(ctx, c, access.Act{Action: "secrets.delete", Org: from.Org, Keys: []string{from.Key},
		Target: to.onRecord(), Detail: access.PartOfMove},
		secret.Change{Delete: []string{from.Key}, Was: map[string]*secret.Value{from.Key: &current}})
	if errs.Is(err, errs.PreconditionFailed) {
		err = errs.New(errs.Conflict, "%q was copied, and not deleted: somebody has changed it meanwhile",
			errs.Clip(from.Key))
	} else if err != nil {
		err = halfway(err, from.Key, to.Key)
	}
	return versions, s.guard.Done(ctx, c, act, err)
}

// rename moves a secret within its organisation, and gives how many versions it has.
func (s *Service) rename(ctx context.Context, c *access.Caller, org id.ID, from, to string) (int, error) {
	del := access.Act{Action: "secrets.delete", Org: org, Keys: []string{from}, Target: Place{org, to}.onRecord(),
		Detail: access.PartOfMove}
	if err := s.guard.Allow(ctx, c, del); err != nil {
		return 0, err
	}
	if from == to {
		return 0, s.guard.Done(ctx, c, del, secret.IfNew.Allows(to, true))
	}
	n, err := s.moveWithin(ctx, c, org, from, to)
	if errs.Is(err, errs.PreconditionFailed) {
		switch _, gone := secret.Get(ctx, s.store, org, to); {
		case errs.Is(gone, errs.NotFound):
			err = errs.New(errs.Conflict, "%q was not moved: somebody has changed it meanwhile", errs.Clip(from))
		case n > 0:
			err = errs.New(errs.Conflict, "%q was not moved: somebody has changed it meanwhile. %q has earlier values "+
				"of it by now: delete that, and try again", errs.Clip(from), errs.Clip(to))
		}
	} else if err != nil && n > 0 {
		err = halfway(err, from, to)
	}
	return n, s.guard.Done(ctx, c, del, err)
}

// made is how many versions were made before the one that ended with err: that one counts where it was the first and is
// there all the same.
func (s *Service) made(ctx context.Context, at Place, n int, err error) int {
	if n > 0 || !errs.Is(err, errs.Unavailable) {
		return n
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second) // also where whoever asked has gone
	defer cancel()
	if _, none := secret.Get(ctx, s.store, at.Org, at.Key); none != nil {
		return 0
	}
	return 1
}

// halfway says of an error that ended a move or a copy that something of it was made.
func halfway(err error, from, to string) error {
	return errs.Wrap(err, errs.CodeOf(err), "%s. %q has values of %q by now: look at both, and delete the one that is "+
		"not to stay", errs.Message(err), errs.Clip(to), errs.Clip(from))
}

// moveWithin gives how many versions the secret has under its new name, with an error, too.
func (s *Service) moveWithin(ctx context.Context, c *access.Caller, org id.ID, from, to string) (int, error) {
	if err := s.exists(ctx, org); err != nil {
		return 0, err
	}
	current, err := secret.Get(ctx, s.store, org, from)
	if err != nil {
		return 0, err
	}
	// What somebody has set since is not deleted unseen.
	change := secret.Change{Set: map[string]secret.Value{to: current}, Delete: []string{from}, Only: secret.IfNew,
		Was: map[string]*secret.Value{from: &current}, Moved: map[string]string{to: from}, By: c.User}
	if err := s.check(change); err != nil {
		return 0, err
	}
	about, n := s.store.About(org), 1
	var info secret.Info
	if about.History {
		if info, err = s.store.Info(ctx, org, from); err != nil {
			return 0, err
		}
	}
	if about.History && !about.Moves {
		earlier, err := s.earlier(ctx, Place{org, from}, info)
		if err != nil {
			return 0, err
		}
		for _, v := range earlier {
			before := secret.Change{Set: map[string]secret.Value{to: v}, Only: change.Only, By: c.User}
			if _, err := s.store.Apply(ctx, org, before); err != nil {
				return s.made(ctx, Place{org, to}, n-1, err), err
			}
			n, change.Only = n+1, secret.IfExisting
		}
	}
	if _, err = s.store.Apply(ctx, org, change); err != nil {
		return n - 1, err
	}
	switch {
	case about.Moves:
		if info, err := s.store.Info(ctx, org, to); err == nil { // or else it was changed already
			n = len(info.Versions)
		}
	case about.History && info.Description != (secret.Description{}):
		err = s.store.Describe(ctx, org, to, info.Description)
	}
	return n, err
}

// copy gives the value that was current.
func (s *Service) copy(ctx context.Context, c *access.Caller, from, to Place) (n int, current secret.Value, err error) {
	for _, org := range []id.ID{from.Org, to.Org} {
		if err := s.orgs.OrgExists(ctx, org); err != nil {
			return 0, current, err
		}
	}
	if current, err = secret.Get(ctx, s.store, from.Org, from.Key); err != nil {
		return 0, current, err
	}
	var info secret.Info
	history := s.store.About(from.Org).History && s.store.About(to.Org).History
	if history {
		if info, err = s.store.Info(ctx, from.Org, from.Key); err != nil {
			return 0, current, err
		}
	}
	values, err := s.earlier(ctx, from, info)
	if err != nil {
		return 0, current, err
	}
	values = append(values, current)
	for _, v := range values {
		change := secret.Change{Set: map[string]secret.Value{to.Key: v}, Only: secret.IfNew, By: c.User}
		if n > 0 {
			change.Only = secret.IfExisting
		}
		if err = s.check(change); err == nil {
			_, err = s.store.Apply(ctx, to.Org, change)
		}
		if err != nil {
			return s.made(ctx, to, n, err), current, err
		}
		n++
	}
	if history && info.Description != (secret.Description{}) {
		err = s.store.Describe(ctx, to.Org, to.Key, info.Description)
	}
	return n, current, err
}

// earlier are the values of the versions before the current one that are still given out, the oldest first.
func (s *Service) earlier(ctx context.Context, from Place, info secret.Info) ([]secret.Value, error) {
	var values []secret.Value
	for _, v := range info.Versions {
		if v.Number >= info.Version || !v.Restorable {
			continue
		}
		got, err := s.store.ReadVersion(ctx, from.Org, from.Key, v.Number)
		if errs.Is(err, errs.NotFound) { // too old by now
			continue
		}
		if err != nil {
			return nil, err
		}
		values = append(values, got.Value)
	}
	return slices.Clip(values), nil
}
