package secret

import (
	"context"

	"strongroom/internal/id"
)

// As finds in a store, or in what it decorates (by a method Unwrap), what can do T: what few stores can and Store
// therefore does not ask for.
func As[T any](s Store) (T, bool) {
	for {
		if t, ok := s.(T); ok {
			return t, true
		}
		decorator, ok := s.(interface{ Unwrap() Store })
		if !ok {
			var none T
			return none, false
		}
		s = decorator.Unwrap()
	}
}

// Dated is a Store that knows which organisations have secrets with a date by which to replace them.
type Dated interface {
	// DatedOrgs gives the organisations that may have some, those of earlier data included.
	DatedOrgs(ctx context.Context) ([]id.ID, error)
	// DatedInfos tells what is known of an organisation's secrets with a date, without their versions. Those of which
	// it is not known, since their records do not open, are Unread, and the others given.
	DatedInfos(ctx context.Context, org id.ID) ([]Info, error)
}

// Placed is a Store that keeps each organisation's secrets at a place which the configuration chooses, and which may
// depend on the organisation's name.
type Placed interface {
	// Named reports whether the organisation's name is part of the place, so that another name is another place.
	Named(org id.ID) bool
	// Routed reports whether single organisations have places of their own: else no two places meet.
	Routed() bool
	// Meet reports whether two organisations of these names would be kept in one place, or in each other's.
	Meet(a id.ID, aName string, b id.ID, bName string) bool
	// Holds reports whether there is anything at the organisation's place, or was. Errors are those of Keys.
	Holds(ctx context.Context, org id.ID) (bool, error)
}

// PlacedOf finds a Placed in a store; nil where places do not depend on anything.
func PlacedOf(s Store) Placed {
	placed, _ := As[Placed](s)
	return placed
}

// Watched is a store that tells of changes.
type Watched interface {
	// Watch calls tell once it has begun, and after each change of the organisation's secrets, whichever server made
	// it. It ends with ctx's error, or when it cannot tell of all any more.
	Watch(ctx context.Context, org id.ID, tell func()) error
}

// Ordered is a Store that may keep secrets in another order than that of their names: to write many is faster where
// those of one change lie together.
type Ordered interface {
	// Order gives what sorts as the organisation's secrets lie; nil where that is their names. It may be of a former
	// order, where that changes meanwhile.
	Order(org id.ID) (place func(name string) (string, error))
}
