package service

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// Entry is one version of a secret, with its value where that is given out.
type Entry struct {
	Value     secret.Value
	Version   int
	At        time.Time // when it was set
	Deleted   time.Time // zero where it is not deleted; the value is then missing
	Destroyed bool      // the value is gone for good
}

// About tells what the store can do for the organisation.
func (s *Service) About(org id.ID) secret.About { return s.store.About(org) }

// Entry gives out one version of a secret, to be used: the present one where version is 0. It takes a token that may
// use the secret, else it is errs.Unauthorized, whether there is such a secret or not. Of a version that is deleted or
// destroyed it tells so; what is not there, or not kept any more, is errs.NotFound.
func (s *Service) Entry(ctx context.Context, c *access.Caller, org id.ID, key string, version int) (Entry, error) {
	act := access.Act{Action: "secrets.use", Org: org, Keys: []string{key}}
	if !c.AuthorizationID.Valid() {
		return Entry{}, s.guard.Deny(ctx, c, act, errTokensOnly)
	}
	if p := need(access.Use, org, key); !c.May(p) {
		return Entry{}, s.guard.Deny(ctx, c, act, errs.New(errs.Unauthorized, "%s is unauthorized", p))
	}
	e, err := s.entry(ctx, org, key, version)
	if err != nil {
		return Entry{}, s.guard.Done(ctx, c, act, err)
	}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return Entry{}, err
	}
	if s.uses != nil && e.Deleted.IsZero() && !e.Destroyed {
		s.uses.Mark(org, key)
	}
	return e, nil
}

func (s *Service) entry(ctx context.Context, org id.ID, key string, version int) (Entry, error) {
	if err := s.orgs.OrgExists(ctx, org); err != nil {
		return Entry{}, err
	}
	snap, err := s.store.Read(ctx, org, secret.Query{Keys: []string{key}, Versions: true, ForUse: version == 0})
	if err != nil {
		return Entry{}, err
	}
	now, there := snap.Secrets[key]
	if there && (version == 0 || version == now.Version) {
		return Entry{Value: now.Value, Version: now.Version, At: now.Updated}, nil
	}
	if !s.store.About(org).History {
		if there && version > 0 && version < now.Version {
			return Entry{}, errs.New(errs.NotImplemented, "earlier versions of this secret are not kept here")
		}
		return Entry{}, secret.NotFound(errs.Clip(key))
	}
	info, err := s.store.Info(ctx, org, key)
	if err != nil {
		return Entry{}, err
	}
	if version == 0 {
		version = info.Version
	}
	e, err := entryOf(info, version)
	if err != nil || !e.Deleted.IsZero() || e.Destroyed {
		return e, err
	}
	got, err := s.store.ReadVersion(ctx, org, key, version)
	e.Value = got.Value
	return e, err
}

// entryOf is what is known of one of the secret's versions.
func entryOf(i secret.Info, version int) (Entry, error) {
	for _, v := range i.Versions {
		if v.Number != version {
			continue
		}
		e := Entry{Version: v.Number, At: v.At, Deleted: v.Deleted, Destroyed: v.Destroyed}
		if v.Number == i.Version && e.Deleted.IsZero() {
			e.Deleted = i.Deleted
		}
		if e.Deleted.IsZero() && !e.Destroyed && !v.Restorable {
			break
		}
		return e, nil
	}
	return Entry{}, secret.NotFound(errs.Clip(i.Key))
}

// maxRecorded is how many numbers of versions the record of an act names.
const maxRecorded = 100

// Mark deletes, undeletes or destroys versions of a secret. What is not there is no error.
func (s *Service) Mark(ctx context.Context, c *access.Caller, org id.ID, key string, m secret.Marking) error {
	m.By = c.User
	actions := map[secret.Mark]string{secret.DeleteVersion: "secrets.delete", secret.UndeleteVersion: "secrets.restore",
		secret.DestroyVersion: "secrets.destroy"}
	act := access.Act{Action: actions[m.Mark], Org: org, Keys: []string{key},
		Detail: fmt.Sprintf("versions=%v", m.Versions[:min(len(m.Versions), maxRecorded)])}
	return s.write(ctx, c, act, func() error {
		_, err := s.store.Mark(ctx, org, key, m)
		if errs.Is(err, errs.NotFound) {
			return nil
		}
		return err
	})
}

// Remove removes a secret with all its versions, for good; with deletedOnly one that is deleted. What is not there is
// no error.
func (s *Service) Remove(ctx context.Context, c *access.Caller, org id.ID, key string, deletedOnly bool) error {
	act := access.Act{Action: "secrets.remove", Org: org, Keys: []string{key}}
	return s.write(ctx, c, act, func() error { return s.store.Remove(ctx, org, key, deletedOnly) })
}

// PurgeAll removes all of an organisation's secrets with all their versions, for good. It takes the
// permission to write all.
func (s *Service) PurgeAll(ctx context.Context, c *access.Caller, org id.ID) error {
	act := access.Act{Action: "secrets.remove", Org: org}
	if err := s.guard.Allow(ctx, c, act, need(access.Write, org, "")); err != nil {
		return err
	}
	err := s.orgs.OrgExists(ctx, org)
	if err == nil {
		err = s.store.Purge(ctx, org)
	}
	return s.guard.Done(ctx, c, act, err)
}

// Shape gives one version of a secret without what it says: the members of the object that it is, each leaf nil. Where
// depth is not 0, nothing deeper is told. It takes the permission to read of the secret.
func (s *Service) Shape(ctx context.Context, c *access.Caller, org id.ID, key string,
	version, depth int) (Entry, map[string]any, error) {
	act := access.Act{Action: "secrets.info", Org: org, Keys: []string{key}}
	if err := s.guard.Allow(ctx, c, act, need(access.Read, org, key)); err != nil {
		return Entry{}, nil, err
	}
	e, err := s.entry(ctx, org, key, version)
	if err != nil {
		return Entry{}, nil, s.guard.Done(ctx, c, act, err)
	}
	value := e.Value
	e.Value = secret.Value{}
	if !e.Deleted.IsZero() || e.Destroyed {
		return e, nil, nil
	}
	object, ok := value.Document()
	if !ok {
		return e, map[string]any{"value": nil}, nil
	}
	var members map[string]any
	if err := json.Unmarshal(object, &members); err != nil {
		return Entry{}, nil, s.guard.Done(ctx, c, act, errs.New(errs.Internal, "a document is none"))
	}
	return e, leaves(members, depth), nil
}

// leaves takes the values out of an object. A depth below 0 is that of the first members alone.
func leaves(members map[string]any, depth int) map[string]any {
	for k, v := range members {
		inner, ok := v.(map[string]any)
		if ok && len(inner) > 0 && depth != 1 && depth >= 0 {
			members[k] = leaves(inner, max(depth-1, 0))
			continue
		}
		members[k] = nil
	}
	return members
}
