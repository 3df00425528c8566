package vault

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/login"
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
	ctx, cancel := s.conn.Bound(ctx)
	defer cancel()
	step := func(name, outcome string) { fmt.Fprintf(w, "%-12s %s\n", name, outcome) }

	step("address", s.conn.Address)
	if s.conn.Unprotected() {
		step("", "warning: without TLS, whoever is on the network can read every secret")
	}
	if err := s.conn.CheckAddress(ctx); err != nil {
		return err
	}
	step("reachable", "yes, initialised and unsealed")
	lookedUp, err := s.conn.CheckToken(ctx)
	if err != nil {
		return err
	}
	for i, p := range s.places.All() {
		if err := p.Check(ctx, s.conn, lookedUp == nil, policy(p)); err != nil {
			return err
		}
		if i == 0 { // the mount proves the token where it may not look itself up
			step("log-in", s.examineToken())
		}
	}
	if why := s.noNamespaces(ctx); why != "" {
		step("namespace", "warning: "+why)
		if err := s.places.ApartWithoutNamespaces(); err != nil {
			return fmt.Errorf("Vault takes no heed of namespaces, and without them %w", err)
		}
	}
	missing := false
	for _, p := range s.places.All() {
		at := p.Example(s.conn)
		if p.Layout == kv2.LayoutSecret {
			at = at.Below("name")
		}
		step("secrets at", at.In("data")+inNamespace(p)+" (KV version 2; the organisation is an example)")
		warnings, err := s.examineKeeping(ctx, p)
		if err != nil {
			return err
		}
		for _, w := range warnings {
			step("", "warning: "+w)
		}
		for _, n := range needs(at) {
			missed := lacks(ctx, at, []needed{n})
			switch {
			case missed == nil:
				step("", fmt.Sprintf("%s on %s: yes", strings.Join(n.capabilities, ", "), n.path))
			case n.optional:
				step("", fmt.Sprintf("%s on %s: no; %s", strings.Join(missed[0].capabilities, ", "), n.path, n.without))
			default:
				missing = true
				step("", fmt.Sprintf("%s on %s: MISSING", strings.Join(missed[0].capabilities, ", "), n.path))
			}
		}
	}
	fmt.Fprintf(w, "\nThe smallest policy that serves all of it:\n\n")
	for _, p := range s.places.All() {
		fmt.Fprint(w, hcl(p))
	}
	if missing {
		return fmt.Errorf("the token's policies lack what is marked MISSING; give it the policy above")
	}
	return nil
}

func (s *Store) examineToken() string {
	state := s.conn.Session.State()
	life, ends := state.Life(time.Now())
	text := "by " + state.Method + ": good"
	switch {
	case !state.MayLookUp:
		text += "; the policies forbid the token to look itself up, so its end is not known"
	case !ends:
		text += "; the token does not end"
	case state.Renewable:
		text += "; the token lasts for " + login.Words(life) + " and is renewed"
	case s.conn.Session.Lasting():
		text += "; the token lasts for " + login.Words(life) + " and is replaced"
	default:
		text += "; the token ends in " + login.Words(life) + " and cannot be renewed"
	}
	return text
}

func inNamespace(p Place) string {
	if p.Namespace == "" {
		return ""
	}
	return " in the namespace " + p.Namespace
}
