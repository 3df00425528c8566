package vault

import (
	"context"
	"fmt"
	"path"
	"slices"

	"strongroom/internal/secret/vault/kv2"
)

// needed are capabilities on a path.
type needed struct {
	path         string
	capabilities []string
	optional     bool
}

// needs are the capabilities that serve a place, from the one without which nothing does.
func needs(l kv2.Location) []needed {
	list := []needed{{path: l.In("data"), capabilities: []string{"read"}}}
	if !l.ReadOnly {
		list = []needed{
			{path: l.In("data"), capabilities: []string{"create", "read", "update"}},
			{path: l.In("metadata"), capabilities: []string{"delete"}},
			{path: l.In("data"), capabilities: []string{"patch"}, optional: true},
		}
	}
	return append(list, needed{path: l.In("subkeys"), capabilities: []string{"read"}, optional: true})
}

// hcl is the smallest policy with what makes it fast.
func hcl(p Place) string {
	rule := func(kind, capabilities string) string {
		return fmt.Sprintf("path %q {\n  capabilities = [%s]\n}\n", path.Join(p.Mount, kind, p.Glob()), capabilities)
	}
	subkeys := "# Lists names without fetching values; may be left out.\n" + rule("subkeys", `"read"`)
	if p.ReadOnly {
		return rule("data", `"read"`) + subkeys
	}
	return "# Without \"patch\", each change reads the whole entry first.\n" + rule("data", `"create", "read", "update", "patch"`) +
		"# An organisation's end removes its secrets with all their versions.\n" + rule("metadata", `"delete"`) + subkeys
}

// policy is the smallest that serves, on one line.
func policy(p Place) string {
	if p.ReadOnly {
		return fmt.Sprintf(`path "%s/data/%s" { capabilities = ["read"] }`, p.Mount, p.Glob())
	}
	return fmt.Sprintf(`path "%[1]s/data/%[2]s" { capabilities = ["create", "read", "update"] } path "%[1]s/metadata/%[2]s" { capabilities = ["delete"] }`, p.Mount, p.Glob())
}

// lacks asks which of the capabilities the token does not have. A token that may not ask has them, as far as one knows.
func lacks(ctx context.Context, l kv2.Location, needs []needed) (lacks []needed) {
	var paths []string
	for _, c := range needs {
		paths = append(paths, c.path)
	}
	got, err := l.Client.Logical().WriteWithContext(ctx, "sys/capabilities-self", map[string]any{"paths": paths})
	if err != nil || got == nil {
		return nil
	}
	for _, c := range needs {
		has, _ := got.Data[c.path].([]any)
		missing := slices.DeleteFunc(slices.Clone(c.capabilities), func(capability string) bool {
			return slices.Contains(has, any(capability)) || slices.Contains(has, any("root"))
		})
		if len(missing) > 0 {
			lacks = append(lacks, needed{path: c.path, capabilities: missing})
		}
	}
	return lacks
}
