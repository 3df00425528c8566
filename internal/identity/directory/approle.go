package directory

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

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
	act := access.Act{Action: "approle.set", Target: errs.Clip(want.Name)}
	own, _, err := s.self(ctx, c)
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
			return errs.New(errs.Conflict, "there is a role of this name already")
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
	if len(r.Permissions) > maxPermissions {
		return errs.New(errs.Invalid, "a role has at most %d permissions", maxPermissions)
	}
	if r.TTL < 0 || r.MaxTTL < 0 || r.SecretIDTTL < 0 || r.SecretIDUses < 0 {
		return errs.New(errs.Invalid, "times and numbers of uses must not be negative")
	}
	return errors.Join(identity.ValidPermissions(r.Permissions), validNetworks(r.SecretIDFrom))
}

func validNetworks(networks []string) error {
	if len(networks) > 64 {
		return errs.New(errs.Invalid, "at most 64 networks can be named")
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
	err := record.Scan(ctx, s.kv, "approle/", "", func(r kv.Record) (bool, error) {
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

// deleteRoles removes the roles that gone chooses, with their secret IDs.
func (s *Service) deleteRoles(ctx context.Context, gone func(identity.AppRole) bool) error {
	return record.Scan(ctx, s.kv, "approle/", "", func(rec kv.Record) (bool, error) {
		r, err := record.Decode[identity.AppRole](rec)
		if err != nil || !gone(r) {
			return err == nil, err
		}
		_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(rec)}, removed(r, rec))
		return err == nil, err
	})
}

// removed is what removes a role with its secret IDs.
func removed(r identity.AppRole, rec kv.Record) []kv.Op {
	return []kv.Op{kv.Delete(rec.Key), kv.Delete(record.Key("approleid", r.ID)),
		kv.DeletePrefix(record.Folder("secretid", r.ID))}
}

// NewSecretID is a wish for a secret ID of a role; what is zero is as the role says.
type NewSecretID struct {
	Uses int
	TTL  time.Duration
	From []string
}

// MakeSecretID makes a secret ID of a role and returns it, which is not kept and cannot be shown again.
func (s *Service) MakeSecretID(ctx context.Context, c *access.Caller, name string,
	n NewSecretID) (identity.SecretID, string, error) {
	act := access.Act{Action: "approle.secret-id", Target: errs.Clip(name)}
	role, rec, err := s.role(ctx, c, &act, name)
	if err != nil {
		return identity.SecretID{}, "", err
	}
	for _, p := range role.Permissions { // whoever has a secret ID has them
		if !c.MayGrant(p) {
			return identity.SecretID{}, "",
				s.guard.Deny(ctx, c, act, errs.New(errs.Forbidden, "permission %s is not allowed", p))
		}
	}
	kept, secretID, err := s.makeSecretID(ctx, role, rec, n)
	return kept, secretID, s.guard.Done(ctx, c, act, err)
}

func (s *Service) makeSecretID(ctx context.Context, role identity.AppRole, rec kv.Record,
	n NewSecretID) (identity.SecretID, string, error) {
	if n.Uses < 0 || n.TTL < 0 {
		return identity.SecretID{}, "", errs.New(errs.Invalid, "times and numbers of uses must not be negative")
	}
	if err := validNetworks(n.From); err != nil {
		return identity.SecretID{}, "", err
	}
	// What the role bounds, a wish can only bound more.
	n.Uses, n.TTL = tighter(n.Uses, role.SecretIDUses), tighter(n.TTL, role.SecretIDTTL)
	if len(n.From) == 0 {
		n.From = role.SecretIDFrom
	}
	there, err := s.kv.List(ctx, record.Folder("secretid", role.ID), "", maxSecretIDs)
	if err != nil {
		return identity.SecretID{}, "", kv.Coded(err)
	}
	if len(there) >= maxSecretIDs {
		return identity.SecretID{}, "", errs.New(errs.Invalid,
			"a role has at most %d secret IDs; destroy some, or let them end", maxSecretIDs)
	}
	now := s.now().UTC()
	kept := identity.SecretID{ID: s.ids.Next(), Role: role.ID, CreatedAt: now, Uses: n.Uses, From: n.From}
	if n.TTL > 0 {
		kept.ExpiresAt = now.Add(n.TTL)
	}
	secretID := randomText()
	key := record.Key("secretid", role.ID, identity.HashOf(secretID))
	_, err = s.kv.Txn(ctx, []kv.Cond{kv.Missing(key), kv.Unchanged(rec)}, []kv.Op{record.Put(key, kept)})
	if errors.Is(err, kv.ErrConflict) {
		err = errs.New(errs.Conflict, "others are changing the same role; try again")
	}
	return kept, secretID, kv.Coded(err)
}

// tighter is the smaller of two bounds, of which 0 is none.
func tighter[T int | time.Duration](a, b T) T {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// randomText is 256 random bits in hexadecimal.
func randomText() string {
	var b [32]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// SecretIDs lists what is kept of a role's.
func (s *Service) SecretIDs(ctx context.Context, c *access.Caller, name string) ([]identity.SecretID, error) {
	act := access.Act{Action: "approle.read", Target: errs.Clip(name)}
	role, _, err := s.role(ctx, c, &act, name)
	if err != nil {
		return nil, err
	}
	var all []identity.SecretID
	err = record.Scan(ctx, s.kv, record.Folder("secretid", role.ID), "", func(r kv.Record) (bool, error) {
		k, err := record.Decode[identity.SecretID](r)
		all = append(all, k)
		return err == nil, err
	})
	return all, err
}

// DestroySecretID removes one of a role's secret IDs. Where there is none, nothing.
func (s *Service) DestroySecretID(ctx context.Context, c *access.Caller, name string, which id.ID) error {
	act := access.Act{Action: "approle.destroy-secret-id", Target: errs.Clip(name)}
	role, _, err := s.role(ctx, c, &act, name)
	if err != nil {
		return err
	}
	err = record.Scan(ctx, s.kv, record.Folder("secretid", role.ID), "", func(r kv.Record) (bool, error) {
		k, err := record.Decode[identity.SecretID](r)
		if err == nil && k.ID == which {
			_, err = s.kv.Txn(ctx, nil, []kv.Op{kv.Delete(r.Key)})
		}
		return err == nil, kv.Coded(err)
	})
	return s.guard.Done(ctx, c, act, err)
}

// LogIn gives a token to whoever has a role's ID and one of its secret IDs, which may be bound to networks, uses and a
// time. It returns whose the token is with a refusal, too, as far as that is known.
func (s *Service) LogIn(ctx context.Context,
	from, roleID, secretID string) (identity.Authorization, string, *access.Caller, error) {
	known := &access.Caller{Principal: &access.Principal{}, Address: from}
	if roleID == "" {
		return identity.Authorization{}, "", known, errs.New(errs.Invalid, "missing role_id")
	}
	if secretID == "" {
		return identity.Authorization{}, "", known, errNoSecretID
	}
	token := authn.NewToken()
	var a identity.Authorization
	err := record.Update(ctx, func() error {
		role, conds, ops, err := s.checkLogin(ctx, from, roleID, secretID)
		if err != nil {
			return err
		}
		u, ur, err := record.Load[identity.User](ctx, s.kv, record.Key("user", role.UserID), errRoleID)
		if err != nil {
			return err
		}
		if u.Status != identity.Active {
			return errRoleID
		}
		known.Principal = &access.Principal{UserID: u.ID, User: u.Name}
		_, or, err := record.Load[identity.Org](ctx, s.kv, record.Key("org", role.OrgID), errRoleID)
		if err != nil {
			return err
		}
		now := s.now().UTC()
		lease := &identity.Lease{Role: role.Name, TTL: role.TTL, Until: now.Add(bounded(role.MaxTTL)), Renewable: true,
			Display: "approle", Path: "auth/approle/login", Meta: map[string]string{"role_name": role.Name}}
		if lease.TTL == 0 {
			lease.TTL = defaultRoleTTL
		}
		ends := earlier(now.Add(lease.TTL), lease.Until)
		h := identity.HashOf(token)
		a = identity.Authorization{ID: s.ids.Next(), Hash: h[:], Status: identity.Active, OrgID: role.OrgID,
			UserID: role.UserID, Description: "log-in of the role " + role.Name, Permissions: role.Permissions,
			CreatedAt: now, UpdatedAt: now, ExpiresAt: &ends, Lease: lease}
		known.Principal = &access.Principal{UserID: u.ID, User: u.Name, AuthorizationID: a.ID}
		made, puts := a.Creation()
		_, err = s.kv.Txn(ctx, append(append(conds, made...), kv.Unchanged(ur), kv.Unchanged(or)), append(ops, puts...))
		return err
	})
	return a, token, known, err
}

// checkLogin finds the role and the secret ID, and gives the conditions under which they are
// good, and what uses one up.
func (s *Service) checkLogin(ctx context.Context,
	from, roleID, secretID string) (role identity.AppRole, conds []kv.Cond, ops []kv.Op, err error) {
	rid, err := id.Parse(roleID)
	if err != nil {
		return role, nil, nil, errRoleID
	}
	name, _, err := record.Load[string](ctx, s.kv, record.Key("approleid", rid), errRoleID)
	if err != nil {
		return role, nil, nil, err
	}
	role, rr, err := record.Load[identity.AppRole](ctx, s.kv, record.Key("approle", name), errRoleID)
	if err != nil {
		return role, nil, nil, err
	}
	kept, kr, err := record.Load[identity.SecretID](ctx, s.kv,
		record.Key("secretid", role.ID, identity.HashOf(secretID)), errSecretID)
	switch {
	case err != nil:
		return role, nil, nil, err
	case !kept.ExpiresAt.IsZero() && !s.now().Before(kept.ExpiresAt):
		return role, nil, nil, errSecretID
	case !within(from, kept.From):
		return role, nil, nil, errFrom
	}
	there, err := s.kv.List(ctx, identity.Logins(role.Name), "", maxLogins)
	if err != nil {
		return role, nil, nil, err
	}
	if len(there) >= maxLogins {
		return role, nil, nil, errs.New(errs.Unavailable, "a role has at most %d tokens that have not ended; revoke "+
			"some, or let them end sooner", maxLogins)
	}
	conds = []kv.Cond{kv.Unchanged(rr), kv.Unchanged(kr)}
	switch kept.Uses {
	case 0:
	case 1:
		ops = []kv.Op{kv.Delete(kr.Key)}
	default:
		kept.Uses--
		ops = []kv.Op{record.Put(kr.Key, kept)}
	}
	return role, conds, ops, nil
}

// within reports whether an address is of one of the networks; with none named, any is.
func within(address string, networks []string) bool {
	if len(networks) == 0 {
		return true
	}
	at, err := netip.ParseAddr(address)
	return err == nil && slices.ContainsFunc(networks, func(n string) bool {
		p, err := netip.ParsePrefix(n)
		return err == nil && p.Contains(at.Unmap())
	})
}
