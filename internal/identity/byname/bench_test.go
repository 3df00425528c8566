package byname_test

import (
	"context"
	"fmt"
	"testing"

	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
)

// BenchmarkUsersByName takes a page from the middle of 100,000 users, with the names in memory and without.
func BenchmarkUsersByName(b *testing.B) {
	f := identitytest.Onboarded(b)
	for i := range 100_000 {
		u := identity.User{ID: id.ID(1000 + i), Name: fmt.Sprintf("user-%06d", (i*7919)%100_000), Status: identity.Active}
		_, ops := u.Creation()
		if _, err := f.KV.Txn(b.Context(), nil, ops); err != nil {
			b.Fatal(err)
		}
	}
	page := func(b *testing.B) {
		for b.Loop() {
			if users, _, err := f.UsersByName(b.Context(), f.Root, identity.Part{Skip: 50_000, Limit: 101}); err != nil ||
				len(users) != 101 {
				b.Fatal(len(users), err)
			}
		}
	}
	b.Run("kept=no", page)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go f.FollowNames(ctx)
	b.Run("kept=yes", page)
}
