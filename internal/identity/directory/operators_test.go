package directory_test

import (
	"context"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// meanwhile does something once, before the next transaction is carried out.
type meanwhile struct {
	kv.Store
	do func()
}

func (m *meanwhile) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if do := m.do; do != nil {
		m.do = nil
		do()
	}
	return m.Store.Txn(ctx, conds, ops)
}

// TestLastOperators takes away one of two operators while the other is just being taken away: one has to stay.
func TestLastOperators(t *testing.T) {
	inactive := identity.Inactive
	type away func(f *identitytest.Fixture, u identity.User) error
	ways := map[string]away{
		"made inactive": func(f *identitytest.Fixture, u identity.User) error {
			_, err := f.UpdateUser(context.Background(), f.Root, u.ID, nil, &inactive)
			return err
		},
		"deleted": func(f *identitytest.Fixture, u identity.User) error {
			return f.DeleteUser(context.Background(), f.Root, u.ID)
		},
	}
	for first, one := range ways {
		for second, other := range ways {
			t.Run(first+" and "+second, func(t *testing.T) {
				var m *meanwhile
				f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store {
					m = &meanwhile{Store: s}
					return m
				})
				ann := f.AddUser(t, "ann")
				ann.Operator = true
				if _, err := f.KV.Txn(t.Context(), nil,
					[]kv.Op{record.Put(record.Key("user", ann.ID), ann)}); err != nil {
					t.Fatal(err)
				}
				m.do = func() {
					if err := other(f, f.First.User); err != nil {
						t.Error(err)
					}
				}
				if err := one(f, ann); !errs.Is(err, errs.Conflict) {
					t.Errorf("nobody is left: %v", err)
				}
			})
		}
	}
}

// TestSignInMeanwhileInactive makes a user inactive between the look at their password and the session.
func TestSignInMeanwhileInactive(t *testing.T) {
	var m *meanwhile
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store {
		m = &meanwhile{Store: s}
		return m
	})
	ann, inactive := f.AddUser(t, "ann"), identity.Inactive
	m.do = func() {
		if _, err := f.UpdateUser(t.Context(), f.Root, ann.ID, nil, &inactive); err != nil {
			t.Error(err)
		}
	}
	_, err := f.SignIn(t.Context(), identitytest.Nobody(), "ann", identitytest.UserPassword)
	identitytest.WantCode(t, err, errs.Unauthorized)
}

// TestDeletedTwice deletes a token that somebody else deletes in that moment: the second is told that it is gone.
func TestDeletedTwice(t *testing.T) {
	var m *meanwhile
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store {
		m = &meanwhile{Store: s}
		return m
	})
	a, _ := f.AddToken(t, f.First.User.ID, nil)
	m.do = func() {
		if err := f.DeleteAuthorization(t.Context(), f.Root, a.ID); err != nil {
			t.Error(err)
		}
	}
	identitytest.WantCode(t, f.DeleteAuthorization(t.Context(), f.Root, a.ID), errs.NotFound)
}
