package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// The refusals where there is no such user or organisation, in InfluxDB's words.
var (
	ErrUserNotFound = errs.New(errs.NotFound, "user not found")
	ErrOrgNotFound  = errs.New(errs.NotFound, "organization not found")
)

// OrgFolder is what the keys of organisations' records begin with.
const OrgFolder = "org/"

// OrgKey is the key of the record without which there is no such organisation.
func OrgKey(org id.ID) string { return OrgFolder + org.String() }

// OrgExists reports ErrOrgNotFound where there is no such organisation.
func OrgExists(ctx context.Context, store kv.Store, org id.ID) error {
	_, err := store.Get(ctx, OrgKey(org))
	if errors.Is(err, kv.ErrNotFound) {
		return ErrOrgNotFound
	}
	return kv.Coded(err)
}

// OrgOf is the organisation of the ID, or ErrOrgNotFound.
func OrgOf(ctx context.Context, store kv.Store, org id.ID) (Org, error) {
	o, _, err := record.Load[Org](ctx, store, OrgKey(org), ErrOrgNotFound)
	return o, err
}

// UserNamed is the user of the name, or ErrUserNotFound.
func UserNamed(ctx context.Context, store kv.Store, name string) (User, error) {
	uid, _, err := record.Load[id.ID](ctx, store, record.Key("username", name), ErrUserNotFound)
	if err != nil {
		return User{}, err
	}
	u, _, err := record.Load[User](ctx, store, record.Key("user", uid), ErrUserNotFound)
	return u, err
}

// FillSignIn fills in when the user last signed in. A record of that which cannot be read keeps nobody from the user.
func FillSignIn(ctx context.Context, store kv.Store, u *User) error {
	at, _, ok, err := record.Find[time.Time](ctx, store, record.Key("signedin", u.ID))
	if errs.Is(err, errs.Internal) {
		return nil
	}
	if ok {
		u.SignedInAt = &at
	}
	return err
}

// FillSignIns is FillSignIn for several.
func FillSignIns(ctx context.Context, store kv.Store, users []User) error {
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(record.Together)
	for i := range users {
		reads.Go(func() error { return FillSignIn(ctx, store, &users[i]) })
	}
	return reads.Wait()
}

// OrgNamed is the ID of the organisation with the name, or NoOrgNamed.
func OrgNamed(ctx context.Context, store kv.Store, name string) (id.ID, error) {
	o, _, err := record.Load[id.ID](ctx, store, record.Key("orgname", name), NoOrgNamed(name))
	return o, err
}

// NoOrgNamed is the refusal where no organisation has the name.
func NoOrgNamed(name string) *errs.Error {
	return errs.New(errs.NotFound, "organization name %q not found", errs.Clip(name))
}

// RolesOf calls f for every organisation in which the user has a role.
func RolesOf(ctx context.Context, store kv.Store, user id.ID, f func(id.ID, Role)) error {
	return record.Scan(ctx, store, record.Folder("memberof", user), "", func(r kv.Record) (bool, error) {
		role, err := record.Decode[Role](r)
		if err != nil {
			return false, err
		}
		org, err := id.Parse(record.Last(r.Key))
		if err != nil {
			return false, err
		}
		f(org, role)
		return true, nil
	})
}

// OrgName is an organisation's name for display; "" where it is gone.
func OrgName(ctx context.Context, store kv.Store, org id.ID) (string, error) {
	o, _, err := record.Load[Org](ctx, store, record.Key("org", org), ErrOrgNotFound)
	if errs.Is(err, errs.NotFound) {
		return "", nil
	}
	return o.Name, err
}

// Orgs are all organisations, for a command that looks into the data itself. With kv.ErrForged they are those whose
// records open.
func Orgs(ctx context.Context, store kv.Store) ([]Org, error) {
	var all []Org
	err := record.ScanWhole(ctx, store, "org/", func(r kv.Record) (bool, error) {
		o, err := record.Decode[Org](r)
		if err == nil && record.Key("org", o.ID) != r.Key {
			err = fmt.Errorf("record %s: it is of another organisation", r.Key)
		}
		all = append(all, o)
		return err == nil, err
	})
	return all, err
}
