package rolelogin

import (
	"context"
	"net/netip"
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

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
		u, ur, err := record.Proof[identity.User](ctx, s.kv, record.Key("user", role.UserID), errRoleID)
		if err != nil {
			return err
		}
		if u.Status != identity.Active {
			return errRoleID
		}
		known.Principal = &access.Principal{UserID: u.ID, User: u.Name}
		_, or, err := record.Proof[identity.Org](ctx, s.kv, record.Key("org", role.OrgID), errRoleID)
		if err != nil {
			return err
		}
		now := s.now().UTC()
		lease := &identity.Lease{Role: role.Name, TTL: role.TTL, Until: now.Add(authorizations.Bounded(role.MaxTTL)),
			Renewable: true, Display: "approle", Path: "auth/approle/login",
			Meta: map[string]string{"role_name": role.Name}}
		if lease.TTL == 0 {
			lease.TTL = defaultRoleTTL
		}
		ends := authorizations.Earlier(now.Add(lease.TTL), lease.Until)
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
	name, _, err := record.Proof[string](ctx, s.kv, record.Key("approleid", rid), errRoleID)
	if err != nil {
		return role, nil, nil, err
	}
	role, rr, err := record.Proof[identity.AppRole](ctx, s.kv, record.Key("approle", name), errRoleID)
	if err != nil {
		return role, nil, nil, err
	}
	kept, kr, err := record.Proof[identity.SecretID](ctx, s.kv,
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
