package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"strongroom/internal/secret/vault/login"
)

// Examine walks a configuration step by step as a start does, and writes each step's outcome, then the smallest policy
// that serves. It writes nothing to Vault, revokes the token that it has logged in for, leaves a wrapped secret ID as
// it is, and goes on after what a start would only warn of. The error is that of the step that a start would end at, or
// says that permissions are missing.
func Examine(ctx context.Context, c Config, w io.Writer) error {
	c.Logger = slog.New(slog.DiscardHandler) // what it would warn of is written here
	c.Login.KeepWrapped = true
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
	defer s.conn.Session.GiveBack(ctx)
	lookedUp, err := s.conn.CheckToken(ctx)
	if wrapped := (login.Wrapped{}); errors.As(err, &wrapped) {
		// To unwrap it would leave none for the start.
		step("log-in", "not tried: the wrapped secret ID is as it was handed out, and good for "+
			login.Words(wrapped.Left)+"; it can be unwrapped once, which is left to the start")
		fmt.Fprintf(w, "\nWhat comes after the log-in cannot be looked at without it. The smallest policy that "+
			"serves:\n\n")
		for _, p := range s.places.All() {
			fmt.Fprint(w, hcl(p))
		}
		return nil
	}
	if err != nil {
		return err
	}
	for i, p := range s.places.All() {
		if err := p.Check(ctx, s.conn, lookedUp == nil, policy(p)); err != nil {
			return err
		}
		if i == 0 { // the mount proves the token where it may not look itself up
			step("log-in", s.examineToken())
			if why := s.conn.UsesWarning(); why != "" {
				step("", "warning: "+why)
			}
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
		at := example(p, s.conn)
		step("secrets at", at.In("data")+inNamespace(p)+" (KV version 2; the organisation is an example)")
		warnings, err := s.examineKeeping(ctx, p)
		if err != nil {
			return err
		}
		left, err := s.examineJournals(ctx, p)
		if err != nil {
			return err
		}
		for _, w := range append(warnings, left...) {
			step("", "warning: "+w)
		}
		for _, n := range needs(at) {
			what := strings.Join(n.capabilities, ", ")
			missed, known := lacks(ctx, at, []needed{n})
			if len(missed) > 0 {
				what = strings.Join(missed[0].capabilities, ", ")
			}
			switch {
			case !known:
				step("", fmt.Sprintf("%s on %s: not known, since the token may not ask (sys/capabilities-self)",
					what, n.path))
			case len(missed) == 0:
				step("", fmt.Sprintf("%s on %s: yes", what, n.path))
			case forSome(ctx, at, missed[0]):
				step("", fmt.Sprintf("%s on %s: no, but for organisations that the policies name one by one; the "+
					"others are answered 503", what, n.path))
			case n.optional:
				step("", fmt.Sprintf("%s on %s: no; %s", what, n.path, n.without))
			default:
				missing = true
				why := ""
				if n.without != "" && slices.Contains(missed[0].capabilities, "delete") {
					why = "; " + n.without
				}
				step("", fmt.Sprintf("%s on %s: MISSING%s", what, n.path, why))
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
