package access

import (
	"testing"

	"pgregory.net/rapid"

	"strongroom/internal/id"
)

// TestManyPermissions asks what somebody with many permissions may, who has them by organisation, and the same of each
// permission by itself.
func TestManyPermissions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		anID := rapid.SampledFrom([]id.ID{0, 0, 1, 2, 3})
		resource := rapid.Custom(func(t *rapid.T) Resource {
			return Resource{Type: rapid.SampledFrom([]ResourceType{Orgs, Secrets, Buckets, Users,
				Instance}).Draw(t, "type"),
				ID: anID.Draw(t, "id"), OrgID: anID.Draw(t, "org"),
				Name: rapid.SampledFrom([]string{"", "", "a", "a*"}).Draw(t, "name")}
		})
		permission := rapid.Custom(func(t *rapid.T) Permission {
			return To(rapid.SampledFrom([]Action{Read, Write, Use}).Draw(t, "action"), resource.Draw(t, "resource"))
		})
		held := rapid.SliceOfN(permission, 0, 6).Draw(t, "held")
		many := &Caller{Principal: &Principal{Permissions: held}}
		for o := id.ID(10); len(many.Permissions) < manyPermissions; o++ {
			many.Permissions = append(many.Permissions, To(Read, Resource{Type: Buckets, OrgID: o}))
		}
		few := &Caller{Principal: &Principal{Permissions: held}}
		need, org := permission.Draw(t, "need"), anID.Draw(t, "of")
		if many.May(need) != few.May(need) {
			t.Errorf("%s: %v of many, %v of few", need, many.May(need), few.May(need))
		}
		if many.MaySome(Read, org) != few.MaySome(Read, org) || many.MaySee(org) != few.MaySee(org) {
			t.Errorf("organisation %s is seen differently", org)
		}
	})
}
