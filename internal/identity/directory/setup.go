package directory

import (
	"context"
	"errors"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/buckets"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

var errSetupDone = errs.New(errs.Conflict, "onboarding has already been completed")

// Setup is a wish for the first user, organisation, bucket and token.
type Setup struct {
	User      string
	Password  string // may be empty: the user then has the token only
	Org       string
	Bucket    string
	Retention time.Duration
	Token     string // a given token, or empty
}

// Onboarded is what the setup made. The token is not kept and cannot be shown again.
type Onboarded struct {
	User          identity.User
	Org           identity.Org
	Bucket        identity.Bucket
	Authorization identity.Authorization
	Token         string
}

// SetupAllowed reports whether there is neither a user nor an organisation, nor has been one.
func (s *Service) SetupAllowed(ctx context.Context) (bool, error) {
	empty, err := s.empty(ctx)
	return empty && !s.mark.SetUp(), err
}

// markSetUp notes that the data have been set up, where they have: by a request, an older influxd or an import.
func (s *Service) markSetUp(ctx context.Context) error {
	if s.mark.SetUp() {
		return nil
	}
	empty, err := s.empty(ctx)
	if err != nil || empty {
		return err
	}
	return s.mark.MarkSetUp(ctx)
}

func (s *Service) empty(ctx context.Context) (bool, error) {
	for _, pre := range []string{"user/", "org/"} {
		rs, err := s.kv.List(ctx, pre, "", 1)
		if err != nil || len(rs) > 0 {
			return false, kv.Coded(err)
		}
	}
	return true, nil
}

// Onboard carries out the setup, all of it or nothing; errs.Conflict where it is not allowed any more.
func (s *Service) Onboard(ctx context.Context, c *access.Caller, w Setup) (Onboarded, error) {
	act := access.Act{Action: "setup", Target: errs.Clip(w.Org), Detail: identity.Changed("user", &w.User)}
	allowed, err := s.SetupAllowed(ctx)
	if err != nil {
		return Onboarded{}, err
	}
	if !allowed {
		return Onboarded{}, s.guard.TurnAway(ctx, c, act, errSetupDone)
	}
	if w.User == "" || w.Org == "" || w.Bucket == "" {
		return Onboarded{}, errs.New(errs.EmptyValue,
			"onboard failed, missing value: username, org and bucket are required")
	}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return Onboarded{}, err
	}
	o, err := s.onboard(ctx, w)
	return o, s.guard.Done(ctx, c, act, err)
}

func (s *Service) onboard(ctx context.Context, w Setup) (Onboarded, error) {
	now := s.now().UTC()
	o := Onboarded{
		User: identity.User{ID: s.ids.Next(), Name: w.User, Status: identity.Active, Operator: true, PasswordAt: now},
		Org:  identity.Org{ID: s.ids.Next(), Name: w.Org, CreatedAt: now, UpdatedAt: now},
		Bucket: identity.Bucket{ID: s.ids.Next(), Type: "user", Name: w.Bucket, Retention: w.Retention, CreatedAt: now,
			UpdatedAt: now},
	}
	o.Bucket.OrgID = o.Org.ID
	err := errors.Join(identity.ValidNewUserName(w.User), identity.ValidName("organization", w.Org),
		buckets.Check(o.Bucket), authorizations.CheckGiven(w.Token))
	if err != nil {
		return Onboarded{}, err
	}
	var ops []kv.Op
	if w.Password != "" {
		h, err := s.authn.HashPassword(ctx, w.Password)
		if err != nil {
			return Onboarded{}, err
		}
		ops = append(ops, kv.Put(record.Key("password", o.User.ID), h))
	}
	if o.Token = w.Token; o.Token == "" {
		o.Token = authn.NewToken()
	}
	h := identity.HashOf(o.Token)
	o.Authorization = identity.Authorization{ID: s.ids.Next(), Hash: h[:], Status: identity.Active,
		Description: w.User + "'s Token", OrgID: o.Org.ID, UserID: o.User.ID, MadeBy: o.User.ID,
		Permissions: access.Operator(), CreatedAt: now, UpdatedAt: now}

	var conds []kv.Cond
	add := func(c []kv.Cond, o []kv.Op) { conds, ops = append(conds, c...), append(ops, o...) }
	add(o.User.Creation())
	add(o.Org.Creation())
	add(nil, identity.GiveRole(o.Org.ID, o.User.ID, identity.RoleOwner))
	for _, b := range append(identity.SystemBuckets(o.Org.ID, s.now(), s.ids.Next), o.Bucket) {
		add(b.Creation())
	}
	add(o.Authorization.Creation())
	if err := s.onlyOnce(ctx, &conds, &ops); err != nil {
		return Onboarded{}, err
	}
	defer s.authn.Forget() // also where it is not known whether it was done
	if _, err := s.kv.Txn(ctx, conds, ops); errors.Is(err, kv.ErrConflict) {
		return Onboarded{}, errSetupDone
	} else if err != nil {
		return Onboarded{}, kv.Coded(err)
	}
	if err := s.mark.MarkSetUp(context.WithoutCancel(ctx)); err != nil { // Maintain tries again
		s.log.WarnContext(ctx, "noting that the server has been set up failed and will be tried again", "error", err)
	}
	return o, nil
}

// onlyOnce makes two setups at the same time exclude each other: both change one record, which names the latest.
func (s *Service) onlyOnce(ctx context.Context, conds *[]kv.Cond, ops *[]kv.Op) error {
	_, r, err := record.Load[id.ID](ctx, s.kv, "setup", errSetupDone)
	switch {
	case errs.Is(err, errs.Conflict):
		*conds = append(*conds, kv.Missing("setup"))
	case err != nil:
		return err
	default:
		*conds = append(*conds, kv.Unchanged(r))
	}
	allowed, err := s.SetupAllowed(ctx) // once more, now that the record has been read
	if err != nil {
		return err
	}
	if !allowed {
		return errSetupDone
	}
	*ops = append(*ops, record.Put("setup", s.ids.Next()))
	return nil
}
