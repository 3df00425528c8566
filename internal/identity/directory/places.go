package directory

import (
	"context"
	"fmt"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// placesOf is where secrets are, as far as that depends on organisations' names.
type placesOf struct{ Places }

// comes is held while an organisation comes to a place, by one server of all.
const comes = "places"

func (p *placesOf) named(org id.ID) bool { return p.Places != nil && p.Named(org) }

func (p *placesOf) routed() bool { return p.Places != nil && p.Routed() }

// come holds the places while an organisation is made or renamed, and refuses a name by which its secrets and another's
// would be in one place.
func (s *Service) come(ctx context.Context, org id.ID, name string) (leave func(), err error) {
	if !s.places.routed() {
		return func() {}, nil
	}
	_, leave, err = s.kv.Hold(ctx, comes)
	if err != nil {
		return nil, kv.Coded(err)
	}
	err = record.Scan(ctx, s.kv, "org/", "", func(r kv.Record) (bool, error) {
		o, err := record.Decode[identity.Org](r)
		if err == nil && o.ID != org && s.places.Meet(org, name, o.ID, o.Name) {
			return false, errs.New(errs.Conflict, "secrets of the organization would be kept where those of "+
				"another are; "+
				"choose another name")
		}
		return err == nil, err
	})
	if err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// CheckPlaces refuses settings by which the secrets of two of the organisations are in one place.
func (s *Service) CheckPlaces(ctx context.Context) error {
	if !s.places.routed() {
		return nil
	}
	all, err := identity.Orgs(ctx, s.kv)
	if err != nil {
		return err
	}
	for i, a := range all {
		for _, b := range all[:i] {
			if s.places.Meet(a.ID, a.Name, b.ID, b.Name) {
				return fmt.Errorf("the secrets of the organizations %s (%q) and %s (%q) would be in one place; "+
					"give one of them another route",
					b.ID, errs.Clip(b.Name), a.ID, errs.Clip(a.Name))
			}
		}
	}
	return nil
}

// maxFormerNames bounds how many names an organisation can hold.
const maxFormerNames = 32

// rename says what a new name changes of the places, where the name is part of one. To rename is then to reach for what
// lies under the new name: that is for those who may do so for all organisations. The old name stays the
// organisation's while there may be secrets of it there.
func (s *Service) rename(ctx context.Context, c *access.Caller, o identity.Org, name string) ([]kv.Cond, []kv.Op,
	error) {
	free := record.Key("orgplace", name)
	of, r, held, err := record.Find[id.ID](ctx, s.kv, free)
	switch {
	case err != nil:
		return nil, nil, err
	case held && of != o.ID:
		return nil, nil, errNamePlace
	}
	conds, ops := []kv.Cond{kv.Missing(free)}, []kv.Op{}
	if held {
		conds, ops = []kv.Cond{kv.Unchanged(r)}, []kv.Op{kv.Delete(free)}
	}
	if !s.places.named(o.ID) {
		return conds, ops, nil
	}
	if all := access.To(access.Write, access.Resource{Type: access.Orgs}); !c.May(all) {
		return nil, nil, errs.New(errs.Unauthorized,
			"%s is unauthorized: secrets are kept under the organization's name, which "+
				"only those can change who may write all organizations", all)
	}
	holds, err := s.places.Holds(ctx, o.ID)
	if err != nil {
		return nil, nil, err
	}
	if holds {
		former, err := identity.FormerNames(ctx, s.kv, o.ID)
		if err != nil {
			return nil, nil, err
		}
		if len(former) >= maxFormerNames {
			return nil, nil, errs.New(errs.Conflict,
				"there may be secrets of the organization under %d names already; take one of "+
					"them again, and remove its secrets", len(former))
		}
		ops = append(ops, record.Put(record.Key("orgplace", o.Name), o.ID))
	}
	return conds, ops, nil
}
