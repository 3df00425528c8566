// Package rolelogin gives programs tokens by a role, as Vault's AppRole does: it keeps the roles and their secret IDs,
// logs in who has both, and hands something over once, wrapped under a token.
package rolelogin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// Service is the roles over one KV engine. Make it with New.
type Service struct {
	kv    kv.Store
	guard *access.Guard
	authn *authn.Service
	now   func() time.Time
	ids   *id.Generator
}

// New makes the service. The authn.Service is told of whatever changes what a role's tokens may do.
func New(store kv.Store, guard *access.Guard, logins *authn.Service, now func() time.Time,
	ids *id.Generator) *Service {
	return &Service{kv: store, guard: guard, authn: logins, now: now, ids: ids}
}

// The refusals of a log-in, in the words that clients know.
var (
	errRoleID     = errs.New(errs.Invalid, "invalid role ID")
	errSecretID   = errs.New(errs.Invalid, "invalid secret id")
	errNoSecretID = errs.New(errs.Invalid, "missing secret_id")
	errFrom       = errs.New(errs.Invalid, "source address unauthorized through CIDR restrictions on the secret ID")
	errRole       = errs.New(errs.NotFound, "role not found")
)

// defaultRoleTTL is how long a log-in lasts where its role says nothing.
const defaultRoleTTL = time.Hour

// maxLogins bounds how many tokens of a role may be there at a time, and maxSecretIDs how many secret IDs.
const (
	maxLogins    = 10000
	maxSecretIDs = 1000
)

var roleName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

// SetRole makes a role, or changes the one of that name, which keeps its ID. The caller must hold the
// permissions that it has, or may grant them, and may write authorizations in the organisation of the caller's
// own token, which is the role's.
func (s *Service) SetRole(ctx context.Context, c *access.Caller, want identity.AppRole) (identity.AppRole, error) {
	act := access.Act{Action: "approle.set", Target: errs.Clip(want.Name),
		Detail: describeRole(want)}
	own, _, err := record.Load[identity.Authorization](
		ctx,
		s.kv,
		record.Key("auth", c.AuthorizationID),
		authn.ErrUnauthorized,
	)
	if err != nil {
		return want, s.guard.Deny(ctx, c, act, err)
	}
	act.Org = own.OrgID
	for _, p := range want.Permissions {
		if !c.MayGrant(p) {
			return want, s.guard.Deny(ctx, c, act, errs.New(errs.Forbidden, "permission %s is not allowed", p))
		}
	}
	if err := s.guard.Allow(ctx, c, act, writeAuths(own.OrgID)); err != nil {
		return want, err
	}
	r, err := s.setRole(ctx, c, own, want)
	s.authn.Forget() // also where it is not known whether it was changed
	return r, s.guard.Done(ctx, c, act, err)
}

// describeRole says for the record what a role is to be.
func describeRole(r identity.AppRole) string {
	what := access.Describe(r.Permissions[:min(len(r.Permissions), authorizations.MaxPermissions)])
	return fmt.Sprintf("token_ttl=%v token_max_ttl=%v %s: %s", r.TTL, r.MaxTTL,
		describeSecretID(r.SecretIDUses, r.SecretIDTTL, r.SecretIDFrom), what)
}

// describeSecretID says for the record how far secret IDs go; 0 is without an end.
func describeSecretID(uses int, ttl time.Duration, from []string) string {
	return fmt.Sprintf("secret_id_num_uses=%d secret_id_ttl=%v secret_id_bound_cidrs=%q", uses, ttl,
		from[:min(len(from), maxNetworks)])
}

func writeAuths(org id.ID) access.Permission {
	return access.To(access.Write, access.Resource{Type: access.Authorizations, OrgID: org})
}

func (s *Service) setRole(ctx context.Context, c *access.Caller, own identity.Authorization,
	want identity.AppRole) (identity.AppRole, error) {
	if err := validRole(want); err != nil {
		return want, err
	}
	err := record.Update(ctx, func() error {
		key := record.Key("approle", want.Name)
		was, r, found, err := record.Find[identity.AppRole](ctx, s.kv, key)
		switch {
		case err != nil:
			return err
		case found && was.OrgID != own.OrgID:
			return errs.New(errs.Invalid, "there is a role of this name already; choose another name")
		case found:
			want.ID, want.CreatedAt = was.ID, was.CreatedAt
		default:
			want.ID, want.CreatedAt = s.ids.Next(), s.now().UTC()
		}
		want.OrgID, want.UserID = own.OrgID, c.UserID
		_, err = s.kv.Txn(ctx, []kv.Cond{{Key: key, Rev: r.Rev}},
			[]kv.Op{record.Put(key, want), record.Put(record.Key("approleid", want.ID), want.Name)})
		return err
	})
	return want, err
}

func validRole(r identity.AppRole) error {
	if !roleName.MatchString(r.Name) {
		return errs.New(errs.Invalid, "a role is called by up to 128 letters, digits, and _ . -")
	}
	if len(r.Permissions) == 0 {
		return errs.New(errs.Invalid, "a role must have permissions (token_policies)")
	}
	if len(r.Permissions) > authorizations.MaxPermissions {
		return errs.New(errs.Invalid, "a role has at most %d permissions", authorizations.MaxPermissions)
	}
	if r.TTL < 0 || r.MaxTTL < 0 || r.SecretIDTTL < 0 || r.SecretIDUses < 0 {
		return errs.New(errs.Invalid, "times and numbers of uses must not be negative")
	}
	return errors.Join(identity.ValidPermissions(r.Permissions), validNetworks(r.SecretIDFrom))
}

// maxNetworks bounds from where a secret ID may come.
const maxNetworks = 64

func validNetworks(networks []string) error {
	if len(networks) > maxNetworks {
		return errs.New(errs.Invalid, "at most %d networks can be named", maxNetworks)
	}
	for _, n := range networks {
		if _, err := netip.ParsePrefix(n); err != nil {
			return errs.New(errs.Invalid, "%q is no network such as 10.0.0.0/8", errs.Clip(n))
		}
	}
	return nil
}

// role loads one that the caller may manage. What the caller may not is as if it were not there.
func (s *Service) role(ctx context.Context, c *access.Caller, act *access.Act,
	name string) (identity.AppRole, kv.Record, error) {
	r, rec, err := record.Load[identity.AppRole](ctx, s.kv, record.Key("approle", name), errRole)
	if err == nil {
		act.Org = r.OrgID
	}
	if err != nil && !errs.Is(err, errs.NotFound) {
		return r, rec, err
	}
	// Without a role it takes the permission for all organisations to be told so.
	if denied := s.guard.Allow(ctx, c, *act, writeAuths(act.Org)); denied != nil {
		return identity.AppRole{}, rec, denied
	}
	return r, rec, err
}

// RoleNamed returns one role.
func (s *Service) RoleNamed(ctx context.Context, c *access.Caller, name string) (identity.AppRole, error) {
	act := access.Act{Action: "approle.read", Target: errs.Clip(name)}
	r, _, err := s.role(ctx, c, &act, name)
	return r, err
}

// Roles lists those that the caller may manage, by name.
func (s *Service) Roles(ctx context.Context, c *access.Caller) ([]identity.AppRole, error) {
	if err := s.guard.Allow(ctx, c, access.Act{Action: "approle.list"}); err != nil {
		return nil, err
	}
	var roles []identity.AppRole
	err := record.ScanFound(ctx, s.kv, "approle/", func(r kv.Record) (bool, error) {
		role, err := record.Decode[identity.AppRole](r)
		if err == nil && c.May(writeAuths(role.OrgID)) {
			roles = append(roles, role)
		}
		return err == nil, err
	})
	return roles, err
}

// DeleteRole removes a role with its secret IDs. Its tokens are refused from the next request on.
func (s *Service) DeleteRole(ctx context.Context, c *access.Caller, name string) error {
	act := access.Act{Action: "approle.delete", Target: errs.Clip(name)}
	r, rec, err := s.role(ctx, c, &act, name)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	err = s.authn.Change(ctx, func(ctx context.Context) error {
		_, err := s.kv.Txn(ctx, nil, removed(r, rec))
		return err
	})
	return s.guard.Done(ctx, c, act, err)
}

// Delete removes the roles that gone chooses, with their secret IDs. One that does not open lets nobody in, and stays.
func Delete(ctx context.Context, store kv.Store, gone func(identity.AppRole) bool) error {
	return record.ScanFound(ctx, store, "approle/", func(rec kv.Record) (bool, error) {
		r, err := record.Decode[identity.AppRole](rec)
		if err != nil || !gone(r) {
			return err == nil, err
		}
		_, err = store.Txn(ctx, []kv.Cond{kv.Unchanged(rec)}, removed(r, rec))
		return err == nil, err
	})
}

// removed is what removes a role with its secret IDs.
func removed(r identity.AppRole, rec kv.Record) []kv.Op {
	return []kv.Op{kv.Delete(rec.Key), kv.Delete(record.Key("approleid", r.ID)),
		kv.DeletePrefix(record.Folder("secretid", r.ID))}
}
