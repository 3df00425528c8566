package directory_test

import (
	"context"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/directory"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
)

// TestLostAnswers loses, for every change of the directory and of who is signed in, the answer to each of its
// transactions in turn, and the caller with it. What is told must be what is so, and tokens must count at
// once as the change says.
func TestLostAnswers(t *testing.T) {
	inactive, active := identity.Inactive, identity.Active
	for name, change := range map[string]struct {
		do   func(ctx context.Context, f *identitytest.Fixture, u identity.User, a identity.Authorization) error
		done func(t *testing.T, f *identitytest.Fixture, u identity.User, token string) bool
	}{
		"a new user": {
			func(ctx context.Context, f *identitytest.Fixture, _ identity.User, _ identity.Authorization) error {
				_, err := f.NewUser(ctx, f.Root, "new", active)
				return err
			}, func(t *testing.T, f *identitytest.Fixture, _ identity.User, _ string) bool {
				return named(t, f, "new")
			}},
		"a user renamed": {
			func(ctx context.Context, f *identitytest.Fixture, u identity.User, _ identity.Authorization) error {
				other := "other"
				_, err := f.UpdateUser(ctx, f.Root, u.ID, &other, nil)
				return err
			}, func(t *testing.T, f *identitytest.Fixture, _ identity.User, _ string) bool {
				return named(t, f, "other") && !named(t, f, "ann")
			}},
		"a user made inactive": {
			func(ctx context.Context, f *identitytest.Fixture, u identity.User, _ identity.Authorization) error {
				_, err := f.UpdateUser(ctx, f.Root, u.ID, nil, &inactive)
				return err
			}, tokenGone},
		"a user deleted": {
			func(ctx context.Context, f *identitytest.Fixture, u identity.User, _ identity.Authorization) error {
				return f.DeleteUser(ctx, f.Root, u.ID)
			}, func(t *testing.T, f *identitytest.Fixture, u identity.User, token string) bool {
				return tokenGone(t, f, u, token) && !named(t, f, "ann")
			}},
		"a password": {
			func(ctx context.Context, f *identitytest.Fixture, u identity.User, _ identity.Authorization) error {
				return f.SetPassword(ctx, f.Root, u.ID, "another password")
			}, func(t *testing.T, f *identitytest.Fixture, _ identity.User, _ string) bool {
				_, err := f.SignIn(t.Context(), identitytest.Nobody(), "ann", "another password")
				return err == nil
			}},
		"a token": {
			func(ctx context.Context, f *identitytest.Fixture, u identity.User, _ identity.Authorization) error {
				_, token, err := f.Authorize(ctx, f.Root, authorizations.Wanted{OrgID: f.First.Org.ID,
					UserID: u.ID, Permissions: []access.Permission{access.To(access.Read,
						access.Resource{Type: access.Secrets, OrgID: f.First.Org.ID})}})
				if err == nil {
					_, err = f.ByToken(context.WithoutCancel(ctx), token)
				}
				return err
			}, nil},
		"a token made inactive": {
			func(ctx context.Context, f *identitytest.Fixture, _ identity.User, a identity.Authorization) error {
				_, err := f.UpdateAuthorization(ctx, f.Root, a.ID, &inactive, nil)
				return err
			}, tokenGone},
		"a token deleted": {
			func(ctx context.Context, f *identitytest.Fixture, _ identity.User, a identity.Authorization) error {
				return f.DeleteAuthorization(ctx, f.Root, a.ID)
			}, tokenGone},
		"an organisation": {
			func(ctx context.Context, f *identitytest.Fixture, _ identity.User, _ identity.Authorization) error {
				_, err := f.NewOrg(ctx, f.Root, "new", "")
				return err
			}, func(t *testing.T, f *identitytest.Fixture, _ identity.User, _ string) bool {
				return orgNamed(t, f, "new").Valid()
			}},
		"an organisation renamed": {
			func(ctx context.Context, f *identitytest.Fixture, _ identity.User, _ identity.Authorization) error {
				other := "other"
				_, err := f.UpdateOrg(ctx, f.Root, f.First.Org.ID, &other, nil)
				return err
			}, func(t *testing.T, f *identitytest.Fixture, _ identity.User, _ string) bool {
				return orgNamed(t, f, "other") == f.First.Org.ID
			}},
		"an organisation deleted": {
			func(ctx context.Context, f *identitytest.Fixture, _ identity.User, _ identity.Authorization) error {
				_, err := f.DeleteOrg(ctx, f.Root, f.First.Org.ID)
				return err
			}, tokenGone},
		"an owner": {
			func(ctx context.Context, f *identitytest.Fixture, u identity.User, _ identity.Authorization) error {
				_, err := f.AddMember(ctx, f.Root, f.First.Org.ID, u.ID, identity.RoleOwner)
				return err
			}, func(t *testing.T, f *identitytest.Fixture, u identity.User, _ string) bool {
				return mayWrite(t, f, u)
			}},
		"a member removed": {
			func(ctx context.Context, f *identitytest.Fixture, _ identity.User, _ identity.Authorization) error {
				return f.RemoveMember(ctx, f.Root, f.First.Org.ID, f.First.User.ID, identity.RoleOwner)
			}, func(t *testing.T, f *identitytest.Fixture, _ identity.User, _ string) bool {
				owners := 0
				err := f.EachMember(t.Context(), f.Root, f.First.Org.ID, identity.RoleOwner,
					func(identity.User) (bool, error) {
						owners++
						return true, nil
					})
				return err == nil && owners == 0
			}},
		"a bucket": {
			func(ctx context.Context, f *identitytest.Fixture, _ identity.User, _ identity.Authorization) error {
				_, err := f.NewBucket(ctx, f.Root, identity.Bucket{OrgID: f.First.Org.ID, Name: "new"})
				return err
			}, nil},
		"a bucket renamed": {
			func(ctx context.Context, f *identitytest.Fixture, _ identity.User, _ identity.Authorization) error {
				other := "other"
				_, err := f.UpdateBucket(ctx, f.Root, f.First.Bucket.ID, &other, nil, nil)
				return err
			}, func(t *testing.T, f *identitytest.Fixture, _ identity.User, _ string) bool {
				b, err := f.BucketByID(t.Context(), f.Root, f.First.Bucket.ID)
				return err == nil && b.Name == "other"
			}},
		"a bucket deleted": {
			func(ctx context.Context, f *identitytest.Fixture, _ identity.User, _ identity.Authorization) error {
				return f.DeleteBucket(ctx, f.Root, f.First.Bucket.ID)
			}, func(t *testing.T, f *identitytest.Fixture, _ identity.User, _ string) bool {
				_, err := f.BucketByID(t.Context(), f.Root, f.First.Bucket.ID)
				return errs.Is(err, errs.NotFound)
			}},
		"a sign-in": {
			func(ctx context.Context, f *identitytest.Fixture, _ identity.User, _ identity.Authorization) error {
				token, err := f.SignIn(ctx, identitytest.Nobody(), "ann", identitytest.UserPassword)
				if err == nil {
					_, err = f.BySession(context.WithoutCancel(ctx), token)
				}
				return err
			}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, leaves := range []bool{false, true} {
				for n := 1; ; n++ {
					lossy := clustertest.New().Server()
					f := identitytest.OnboardedOver(t, func(kv.Store) kv.Store { return lossy })
					u := f.AddUser(t, "ann")
					a, token := f.AddToken(t, u.ID, nil)
					f.CallerByToken(t, token) // it is in memory now
					ctx, cancel := context.WithCancel(t.Context())
					lossy.Lose(n, func() {
						if leaves {
							cancel()
						}
					})
					err := change.do(ctx, f, u, a)
					lost := lossy.Lost()
					cancel()
					if err != nil {
						t.Fatalf("transaction %d, the caller leaves: %v: told as failed: %v", n, leaves, err)
					}
					if change.done != nil && !change.done(t, f, u, token) {
						t.Errorf("transaction %d, the caller leaves: %v: told as done, and does not show", n, leaves)
					}
					if !lost {
						if n == 1 {
							t.Error("no transaction was seen")
						}
						break
					}
				}
			}
		})
	}
}

func named(t *testing.T, f *identitytest.Fixture, name string) bool {
	users, err := f.Users(t.Context(), f.Root, name, identity.Page{})
	return err == nil && len(users) == 1
}

func orgNamed(t *testing.T, f *identitytest.Fixture, name string) id.ID {
	orgs, err := f.Orgs(t.Context(), f.Root, directory.OrgFilter{Name: name}, identity.Page{})
	if err != nil {
		return 0
	}
	return orgs[0].ID
}

func tokenGone(t *testing.T, f *identitytest.Fixture, _ identity.User, token string) bool {
	_, err := f.ByToken(t.Context(), token)
	return errs.Is(err, errs.Unauthorized) || errs.Is(err, errs.Forbidden)
}

func mayWrite(t *testing.T, f *identitytest.Fixture, u identity.User) bool {
	c := f.CallerBySession(t, f.MustSignIn(t, u.Name, identitytest.UserPassword))
	return c.May(access.To(access.Write, access.Resource{Type: access.Secrets, OrgID: f.First.Org.ID}))
}

// TestLostSetup loses the answer to the set-up: the token that it gives is then nowhere else.
func TestLostSetup(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		lossy := clustertest.New().Server()
		f := identitytest.Open(t, func(kv.Store) kv.Store { return lossy })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		lossy.Lose(1, func() {
			if leaves {
				cancel()
			}
		})
		o, err := f.Onboard(ctx, identitytest.Nobody(), directory.Setup{User: "ada", Password: "long enough", Org: "o",
			Bucket: "b"})
		if err != nil || !lossy.Lost() {
			t.Fatalf("the caller leaves: %v: %v", leaves, err)
		}
		f.CallerByToken(t, o.Token)
	}
}
