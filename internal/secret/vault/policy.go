package vault

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"strongroom/internal/secret/vault/kv2"
)

// needed are capabilities on a path.
type needed struct {
	kind         string // data, metadata and so on
	path         string
	capabilities []string
	optional     bool
	without      string // what an optional one's absence means
	why          string // for the policy
}

// needs are the capabilities that serve a place, from the one without which nothing does.
func needs(l kv2.Location) []needed {
	var list []needed
	switch {
	case l.Layout == kv2.LayoutSecret && l.ReadOnly:
		list = []needed{
			{kind: "data", capabilities: []string{"read"}},
			{kind: "metadata", capabilities: []string{"list", "read"},
				why: "Lists names; tells which are deleted, and of earlier versions."},
		}
	case l.Layout == kv2.LayoutSecret:
		list = []needed{
			{kind: "data", capabilities: []string{"create", "read", "update"}},
			{kind: "metadata", capabilities: []string{"list", "read", "delete"},
				why: "Lists names; tells which are deleted, and of earlier versions; removes what is to be " +
					"gone for good.",
				without: "no secret is removed for good, and the end of an organisation waits for it"},
			{kind: "delete", capabilities: []string{"update"}, why: "Deletes a secret so that it can be brought back."},
			{kind: "undelete", capabilities: []string{"update"}, optional: true,
				without: "deleted secrets cannot be brought back", why: "Brings it back; may be left out."},
			{kind: "destroy", capabilities: []string{"update"}, optional: true,
				without: "single versions cannot be destroyed", why: "Destroys a single version; may be left out."},
			{kind: "metadata", capabilities: []string{"update"}, optional: true,
				without: "secrets cannot be described"},
		}
	case l.ReadOnly:
		list = []needed{{kind: "data", capabilities: []string{"read"}}}
	default:
		list = []needed{
			{kind: "data", capabilities: []string{"create", "read", "update"},
				why: "Without \"patch\", each change reads the whole entry first."},
			{kind: "metadata", capabilities: []string{"delete"},
				without: "the end of an organisation leaves its secrets' versions, and waits for it",
				why: "An organisation's end removes its secrets with all their versions. \"read\", which may be left " +
					"out, makes lists faster."},
			{kind: "data", capabilities: []string{"patch"}, optional: true, without: slower},
		}
	}
	if l.Layout != kv2.LayoutSecret && l.OwnerTold() {
		list = append(list, needed{kind: "metadata", capabilities: []string{"update"}, optional: true,
			without: "entries do not say whose they are",
			why:     "\"update\" has an entry say which organisation's it is, and may be left out."})
	}
	if l.Layout != kv2.LayoutSecret {
		list = append(list,
			needed{kind: "metadata", capabilities: []string{"read"}, optional: true, without: slower,
				why: "Tells whether a list is still right; may be left out."},
			needed{kind: "subkeys", capabilities: []string{"read"}, optional: true, without: slower,
				why: "Tells whether a list is still right without the former, and without fetching values; may " +
					"be left out."})
	}
	for i := range list {
		list[i].path = l.In(list[i].kind)
	}
	return list
}

const slower = "works without, slower"

// glob is the path of a policy that covers all organisations, which in the layout "secret" are folders.
func glob(p Place, kind string) string {
	g := path.Join(p.Mount, kind, p.Glob())
	if p.Layout == kv2.LayoutSecret && !strings.HasSuffix(g, "*") {
		g += "/*"
	}
	return g
}

// rules are the paths of a policy with all that serves there, and why.
func rules(p Place, optional bool) (all []needed) {
	for _, n := range needs(kv2.Location{Place: p}) {
		if n.optional && !optional {
			continue
		}
		if i := slices.IndexFunc(all, func(o needed) bool { return o.kind == n.kind }); i >= 0 {
			all[i].capabilities = append(slices.Clone(all[i].capabilities), n.capabilities...)
			continue
		}
		n.path = glob(p, n.kind)
		all = append(all, n)
	}
	return all
}

// hcl is the smallest policy with what makes it fast and complete.
func hcl(p Place) string {
	var b strings.Builder
	for _, n := range rules(p, true) {
		if n.why != "" {
			fmt.Fprintf(&b, "# %s\n", n.why)
		}
		fmt.Fprintf(&b, "path %q {\n  capabilities = [%s]\n}\n", n.path, quoted(n.capabilities))
	}
	return b.String()
}

// policy is the smallest that serves, on one line.
func policy(p Place) string {
	var all []string
	for _, n := range rules(p, false) {
		all = append(all, fmt.Sprintf("path %q { capabilities = [%s] }", n.path, quoted(n.capabilities)))
	}
	return strings.Join(all, " ")
}

func quoted(words []string) string { return `"` + strings.Join(words, `", "`) + `"` }

// lacks asks which of the capabilities the token does not have. known is false where it may not ask.
func lacks(ctx context.Context, l kv2.Location, needs []needed) (lacks []needed, known bool) {
	var paths []string
	for _, c := range needs {
		paths = append(paths, c.path)
	}
	got, err := l.Client.Logical().WriteWithContext(ctx, "sys/capabilities-self", map[string]any{"paths": paths})
	if err != nil || got == nil {
		return nil, false
	}
	for _, c := range needs {
		has, answered := got.Data[c.path].([]any)
		if !answered {
			return nil, false
		}
		missing := slices.DeleteFunc(slices.Clone(c.capabilities), func(capability string) bool {
			return slices.Contains(has, any(capability)) || slices.Contains(has, any("root"))
		})
		if len(missing) > 0 {
			lacks = append(lacks, needed{kind: c.kind, path: c.path, capabilities: missing})
		}
	}
	return lacks, true
}

// forSome reports whether the policies give what is missing to some organisation: they may name them one by one.
func forSome(ctx context.Context, l kv2.Location, missing needed) bool {
	some, known := anyone(ctx, l, missing.kind, missing.capabilities)
	return known && some
}
