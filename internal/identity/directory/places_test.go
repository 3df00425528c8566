package directory_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
)

// byName keeps secrets under organisations' names, but for those that have a place of their own.
type byName struct {
	holds  map[id.ID]bool
	routes map[id.ID]string
	away   error
}

func (p *byName) Named(org id.ID) bool { return p.routes[org] == "" }
func (p *byName) Routed() bool         { return len(p.routes) > 0 }

func (p *byName) Meet(a id.ID, aName string, b id.ID, bName string) bool {
	at := func(org id.ID, name string) string {
		if r := p.routes[org]; r != "" {
			return r
		}
		return name
	}
	return at(a, aName) == at(b, bName)
}

func (p *byName) Holds(_ context.Context, org id.ID) (bool, error) { return p.holds[org], p.away }

func keptByName(t *testing.T) (*identitytest.Fixture, *byName) {
	f := identitytest.Onboarded(t)
	p := &byName{holds: map[id.ID]bool{}, routes: map[id.ID]string{}}
	f.Places = p
	f.Start(t)
	return f, p
}

func mustOrg(t *testing.T, f *identitytest.Fixture, name string) identity.Org {
	t.Helper()
	o, err := f.NewOrg(t.Context(), f.Root, name, "")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func rename(f *identitytest.Fixture, c *access.Caller, org id.ID, name string) error {
	_, err := f.UpdateOrg(context.Background(), c, org, &name, nil)
	return err
}

// The name of an organisation that has ended belongs to it until its secrets have been removed, over a restart, too.
func TestNobodyHasTheNameOfSecretsThatAreLeft(t *testing.T) {
	f, _ := keptByName(t)
	ctx := t.Context()
	ended, other := mustOrg(t, f, "globex"), mustOrg(t, f, "initech")
	f.Secrets.Purging = errs.New(errs.Unavailable, "sealed")
	if left, err := f.DeleteOrg(ctx, f.Root, ended.ID); err != nil || left == "" {
		t.Fatalf("left %q, %v", left, err)
	}
	f.Start(t)
	_, err := f.NewOrg(ctx, f.Root, "globex", "")
	identitytest.WantCode(t, err, errs.Conflict)
	identitytest.WantCode(t, rename(f, f.Root, other.ID, "globex"), errs.Conflict)
	names, err := identity.EndingNames(ctx, f.KV, ended.ID)
	if err != nil || len(names) != 1 || names[0] != "globex" {
		t.Errorf("the names to remove secrets under: %q, %v", names, err)
	}
	if err := identity.Check(ctx, f.KV, func(key,
		what string) {
		t.Errorf("a check finds that %s: %s", key, what)
	}); err != nil {
		t.Error(err)
	}

	f.Secrets.Purging = nil
	if err := f.FinishDeletions(ctx); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, f.KV, ended.ID.String()); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
	mustOrg(t, f, "globex")
}

// A new name is another place: an owner cannot reach for one, and what lies under the old one stays the organisation's.
func TestRenameWhereTheNameIsAPlace(t *testing.T) {
	f, places := keptByName(t)
	ctx := t.Context()
	a, b := mustOrg(t, f, "a"), mustOrg(t, f, "b")
	owner := &access.Caller{Principal: &access.Principal{User: "ann", Permissions: access.Owner(a.ID)}}
	err := rename(f, owner, a.ID, "somebody-elses")
	identitytest.WantCode(t, err, errs.Unauthorized)
	if err := rename(f, owner, a.ID, "a"); err != nil {
		t.Errorf("to the name it has: %v", err)
	}

	places.holds[a.ID] = true
	places.away = errs.New(errs.Unavailable, "sealed")
	identitytest.WantCode(t, rename(f, f.Root, a.ID, "a2"), errs.Unavailable)
	places.away = nil
	for _, step := range []struct {
		org  id.ID
		name string
		code errs.Code
	}{
		{a.ID, "a2", ""},
		{b.ID, "a", errs.Conflict}, // secrets of a are there
		{a.ID, "a", ""},            // a may go back
		{a.ID, "a2", ""},
	} {
		if err := rename(f, f.Root, step.org, step.name); step.code == "" && err != nil || step.code != "" &&
			!errs.Is(err, step.code) {
			t.Fatalf("%s to %q: %v, want code %q", step.org, step.name, err, step.code)
		}
	}
	_, err = f.NewOrg(ctx, f.Root, "a", "")
	identitytest.WantCode(t, err, errs.Conflict)

	// Its end is that of all of them.
	f.Secrets.Purging = errors.New("not yet")
	if _, err := f.DeleteOrg(ctx, f.Root, a.ID); err != nil {
		t.Fatal(err)
	}
	names, err := identity.EndingNames(ctx, f.KV, a.ID)
	if err != nil || strings.Join(names, " ") != "a a2" {
		t.Errorf("the names to remove secrets under: %q, %v", names, err)
	}
	f.Secrets.Purging = nil
	f.Clock.Add(time.Minute)
	if err := f.FinishDeletions(ctx); err != nil {
		t.Fatal(err)
	}
	if err := rename(f, f.Root, b.ID, "a"); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

// No organisation comes to the place of another, and none is there at a start.
func TestPlacesStayApart(t *testing.T) {
	f, places := keptByName(t)
	ctx := t.Context()
	a, b := mustOrg(t, f, "a"), mustOrg(t, f, "b")
	places.routes[a.ID] = "fixed"
	_, err := f.NewOrg(ctx, f.Root, "fixed", "")
	identitytest.WantCode(t, err, errs.Conflict)
	identitytest.WantCode(t, rename(f, f.Root, b.ID, "fixed"), errs.Conflict)
	if err := f.CheckPlaces(ctx); err != nil {
		t.Error(err)
	}
	places.routes[a.ID] = "b"
	if err := f.CheckPlaces(ctx); err == nil || !strings.Contains(err.Error(), a.ID.String()) ||
		!strings.Contains(err.Error(), b.ID.String()) {
		t.Errorf("two in one place: %v", err)
	}
}

// A removal that is refused for long is told once, then once a day, and tried ever more rarely.
func TestRefusedRemovalIsToldRarely(t *testing.T) {
	f := identitytest.Onboarded(t)
	var log bytes.Buffer
	f.Logs = slog.New(slog.NewTextHandler(&log, nil))
	f.Start(t)
	o := mustOrg(t, f, "globex")
	f.Secrets.Purging = errs.New(errs.Unavailable, "permission denied")
	if _, err := f.DeleteOrg(t.Context(), f.Root, o.ID); err != nil {
		t.Fatal(err)
	}
	for range 36 * 60 { // a day and a half of minutes
		f.Clock.Add(time.Minute)
		if err := f.FinishDeletions(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if lines := strings.Count(log.String(), "could not be removed"); lines != 2 {
		t.Errorf("%d lines in a day and a half, want 2", lines)
	}
	if f.Secrets.Tries > 60 {
		t.Errorf("tried %d times", f.Secrets.Tries)
	}
	if f.Unfinished() == "" {
		t.Error("health says nothing")
	}
}
