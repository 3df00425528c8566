package permission_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/client"
	"strongroom/cmd/influx/internal/permission"
)

func text(all []client.Permission) []string {
	var out []string
	for _, p := range all {
		out = append(out, p.String())
	}
	return out
}

var kinds = []string{"authorizations", "orgs", "users", "secrets", "instance"}

func TestWithinOrgLeavesNothingOfOthers(t *testing.T) {
	want := []string{
		"read:orgs/1/authorizations", "write:orgs/1/authorizations",
		"read:orgs/1",
		"read:users/2", "write:users/2",
		"read:orgs/1/secrets", "write:orgs/1/secrets",
	}
	if diff := cmp.Diff(want, text(permission.WithinOrg(kinds, "1", "2"))); diff != "" {
		t.Error(diff)
	}
}

func TestEverywhere(t *testing.T) {
	want := []string{
		"read:authorizations", "write:authorizations", "read:orgs", "write:orgs", "read:users", "write:users",
		"read:secrets", "write:secrets", "read:instance", "write:instance",
	}
	if diff := cmp.Diff(want, text(permission.Everywhere(kinds))); diff != "" {
		t.Error(diff)
	}
}
