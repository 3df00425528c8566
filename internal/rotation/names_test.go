package rotation

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/embedded/rewrite"
)

const org id.ID = 0x031c8cbefe101000

// unheard is an audit log for acts that are of no interest here.
type unheard struct{}

func (unheard) Record(context.Context, audit.Entry) error { return nil }

// failing is a rewriting that fails as long as it has an error.
type failing struct {
	Rewriter
	err error
}

func (f *failing) Rewrite(ctx context.Context, report func(rewrite.Progress)) (uint32, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.Rewriter.Rewrite(ctx, report)
}

// service is one over real data with a secret, which does nothing in the background, and whose rewritings can fail.
func service(t *testing.T, want *bool) (*Service, *failing, *embedded.Store) {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	keys, err := keyring.OpenOrInit(t.Context(), db, keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	if err != nil {
		t.Fatal(err)
	}
	store := embedded.New(embedded.Config{KV: db, Keyring: keys, History: 3})
	if _, err := store.Apply(t.Context(), org,
		secret.Change{Set: map[string]secret.Value{"foo": secret.NewValue([]byte("bar"))}}); err != nil {
		t.Fatal(err)
	}
	f := &failing{Rewriter: store}
	return New(Config{Keyring: keys, Rewriter: f, Guard: access.NewGuard(unheard{}), SealNames: want,
		Logger: slog.New(slog.DiscardHandler)}), f, store
}

var operator = &access.Caller{Principal: &access.Principal{UserID: 1, User: "ada", Permissions: access.Operator()}}

func TestSealNames(t *testing.T) {
	on := true
	s, f, store := service(t, &on)
	wants := func(what, names, state string, terms int) {
		t.Helper()
		got, err := s.Status(t.Context(), operator)
		if err != nil || got.Names != names || got.Rotation.State != state || len(got.Terms) != terms {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		if v, err := secret.Get(t.Context(), store, org, "foo"); err != nil || string(v.Bytes()) != "bar" {
			t.Errorf("%s: %v", what, err)
		}
	}
	begin := func() {
		t.Helper()
		if err := s.BeginNames(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	finish := func() {
		t.Helper()
		if err := s.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wants("before", NamesClear, Idle, 1)
	begin()
	wants("begun", NamesSealing, Running, 1)
	if _, err := s.Rotate(t.Context(), operator); !errs.Is(err, errs.Conflict) || !strings.Contains(errs.Message(err),
		"names of secrets") {
		t.Errorf("a rotation meanwhile: %v", err)
	}
	f.err = kv.ErrFull
	if err := s.Finish(t.Context()); !errors.Is(err, kv.ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}
	wants("on a full disk", NamesSealing, Waiting, 1)
	f.err = nil
	finish()
	wants("done", NamesSealed, Idle, 1)

	// What is asked for while a rotation is under way begins when that is done.
	if _, err := s.Rotate(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	on = false
	begin()
	wants("in a rotation", NamesSealed, Running, 2)
	finish()
	wants("after the rotation", NamesClear, Idle, 1)

	on = true
	begin()
	on = false
	begin()
	wants("turned round", NamesUnsealing, Running, 1)
	// The next process goes on with it, also without the flag.
	s = New(Config{Keyring: s.Keyring, Rewriter: f, Guard: s.Guard, Logger: s.Logger})
	begin()
	wants("by another process", NamesUnsealing, Running, 1)
	finish()
	wants("in the end", NamesClear, Idle, 1)
}
