package vault

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strings"
	"time"
)

// Examine walks a configuration step by step as a start does, and writes each step's outcome, then the smallest policy
// that serves. It writes nothing to Vault and goes on after what a start would only warn of. The error is that of the
// step that a start would end at, or says that permissions are missing.
func Examine(ctx context.Context, c Config, w io.Writer) error {
	c.Logger = slog.New(slog.DiscardHandler) // what it would warn of is written here
	s, err := c.store()
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, cancel := s.bound(ctx)
	defer cancel()
	step := func(name, outcome string) { fmt.Fprintf(w, "%-12s %s\n", name, outcome) }

	step("address", s.client.Address())
	if strings.HasPrefix(s.client.Address(), "http://") {
		step("", "warning: without TLS, whoever is on the network can read every secret")
	}
	if err := s.checkAddress(ctx); err != nil {
		return err
	}
	step("reachable", "yes, initialised and unsealed")
	lookedUp, err := s.checkToken(ctx)
	if err != nil {
		return err
	}
	for i, p := range s.allPlaces() {
		if err := s.checkMount(ctx, p, lookedUp == nil); err != nil {
			return err
		}
		if i == 0 { // the mount proves the token where it may not look itself up
			step("log-in", s.examineToken())
		}
	}
	missing := false
	for _, p := range s.allPlaces() {
		at := p.example(s)
		step("secrets at", at.path("data")+inNamespace(p)+" (KV version 2; the organisation is an example)")
		for _, n := range at.needs() {
			lacks := at.lacks(ctx, []needed{n})
			switch {
			case lacks == nil:
				step("", fmt.Sprintf("%s on %s: yes", strings.Join(n.capabilities, ", "), n.path))
			case n.optional:
				step("", fmt.Sprintf("%s on %s: no; works without, slower", strings.Join(lacks[0].capabilities, ", "), n.path))
			default:
				missing = true
				step("", fmt.Sprintf("%s on %s: MISSING", strings.Join(lacks[0].capabilities, ", "), n.path))
			}
		}
	}
	fmt.Fprintf(w, "\nThe smallest policy that serves all of it:\n\n")
	for _, p := range s.allPlaces() {
		fmt.Fprint(w, p.hcl())
	}
	if missing {
		return fmt.Errorf("the token's policies lack what is marked MISSING; give it the policy above")
	}
	return nil
}

func (s *Store) examineToken() string {
	state := s.session.State()
	life, ends := state.Life(time.Now())
	text := "by " + state.Method + ": good"
	switch {
	case !state.MayLookUp:
		text += "; the policies forbid the token to look itself up, so its end is not known"
	case !ends:
		text += "; the token does not end"
	case state.Renewable:
		text += "; the token lasts for " + life.Round(time.Second).String() + " and is renewed"
	case s.session.Lasting():
		text += "; the token lasts for " + life.Round(time.Second).String() + " and is replaced"
	default:
		text += "; the token ends in " + life.Round(time.Second).String() + " and cannot be renewed"
	}
	return text
}

func inNamespace(p Place) string {
	if p.Namespace == "" {
		return ""
	}
	return " in the namespace " + p.Namespace
}

// example is the place of an organisation that nobody has.
func (p Place) example(s *Store) location {
	return location{p, strings.NewReplacer("{org}", probe.String(), "{orgName}", "probe").Replace(p.Path), s.clientIn(p.Namespace)}
}

// needed are capabilities on a path.
type needed struct {
	path         string
	capabilities []string
	optional     bool
}

// needs are the capabilities that serve a place, from the one without which nothing does.
func (l location) needs() []needed {
	needs := []needed{{path: l.path("data"), capabilities: []string{"read"}}}
	if !l.ReadOnly {
		needs = []needed{
			{path: l.path("data"), capabilities: []string{"create", "read", "update"}},
			{path: l.path("metadata"), capabilities: []string{"delete"}},
			{path: l.path("data"), capabilities: []string{"patch"}, optional: true},
		}
	}
	return append(needs, needed{path: l.path("subkeys"), capabilities: []string{"read"}, optional: true})
}

// hcl is the smallest policy with what makes it fast.
func (p Place) hcl() string {
	rule := func(kind, capabilities string) string {
		return fmt.Sprintf("path %q {\n  capabilities = [%s]\n}\n", path.Join(p.Mount, kind, p.glob()), capabilities)
	}
	subkeys := "# Lists names without fetching values; may be left out.\n" + rule("subkeys", `"read"`)
	if p.ReadOnly {
		return rule("data", `"read"`) + subkeys
	}
	return "# Without \"patch\", each change reads the whole entry first.\n" + rule("data", `"create", "read", "update", "patch"`) +
		"# An organisation's end removes its secrets with all their versions.\n" + rule("metadata", `"delete"`) + subkeys
}
