package rolelogin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// NewSecretID is a wish for a secret ID of a role; what is zero is as the role says.
type NewSecretID struct {
	Uses int
	TTL  time.Duration
	From []string
}

// MakeSecretID makes a secret ID of a role and returns it, which is not kept and cannot be shown again.
func (s *Service) MakeSecretID(ctx context.Context, c *access.Caller, name string,
	n NewSecretID) (identity.SecretID, string, error) {
	act := access.Act{Action: "approle.secret-id", Target: errs.Clip(name),
		Detail: describeSecretID(n.Uses, n.TTL, n.From)}
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
	err = record.ScanFound(ctx, s.kv, record.Folder("secretid", role.ID), func(r kv.Record) (bool, error) {
		k, err := record.Decode[identity.SecretID](r)
		all = append(all, k)
		return err == nil, err
	})
	return all, err
}

// DestroySecretID removes one of a role's secret IDs. Where there is none, nothing.
func (s *Service) DestroySecretID(ctx context.Context, c *access.Caller, name string, which id.ID) error {
	act := access.Act{Action: "approle.destroy-secret-id", Target: errs.Clip(name), Detail: which.String()}
	role, _, err := s.role(ctx, c, &act, name)
	if err != nil {
		return err
	}
	err = record.ScanFound(ctx, s.kv, record.Folder("secretid", role.ID), func(r kv.Record) (bool, error) {
		k, err := record.Decode[identity.SecretID](r)
		if err == nil && k.ID == which {
			_, err = s.kv.Txn(ctx, nil, []kv.Op{kv.Delete(r.Key)})
		}
		return err == nil, kv.Coded(err)
	})
	return s.guard.Done(ctx, c, act, err)
}
