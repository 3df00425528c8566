package embedded

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
)

var update = flag.Bool("update", false, "make the frozen data anew: only for a new folder beside the old one, which "+
	"must open for ever")

// frozen are the data of each version of the format: 1 had values and the list of names, 2 has metadata and earlier
// versions, too, and 3 has sealed names, on the way from one term's indexes to the next's.
var frozen = []string{"testdata/v1", "testdata/v2", "testdata/v3"}

var newestFrozen = frozen[len(frozen)-1]

// frozenContent is what is in the frozen data: of org, under two terms; of otherOrg, in a large change that was
// committed by a process that crashed before it had carried it out.
func frozenContent() (ofOrg, ofOther map[string]secret.Value) {
	ofOrg = setOf("foo", "bar", "hello", "world", "a/b ключ 🔑", "-----BEGIN PRIVATE KEY-----\nMIIE\n", "empty", "",
		"rotated", "under term 2")
	ofOther = map[string]secret.Value{}
	for i := range 73 {
		ofOther[fmt.Sprintf("key-%03d", i)] = secret.NewValue(fmt.Appendf(nil, "value %d", i))
	}
	return ofOrg, ofOther
}

func makeFrozen(t *testing.T) {
	key := seal.KeyFile(filepath.Join(newestFrozen, "seal.key"))
	db := openKV(t)
	s := newStore(t, db, key)
	inSeal.begin(t, s)
	ofOrg, ofOther := frozenContent()
	first := secret.Change{Set: map[string]secret.Value{}}
	for name, v := range ofOrg {
		first.Set[name] = v
	}
	delete(first.Set, "rotated")
	apply(t, s, secret.Change{Set: setOf("foo", "before bar"), By: "ann"})
	apply(t, s, first)
	if _, err := s.ring.Rotate(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	apply(t, s, secret.Change{Set: setOf("rotated", "under term 2", "gone", "x")})
	apply(t, s, secret.Change{Delete: []string{"gone"}})
	onto(s, &crashing{Store: db, left: 1, carriedOut: true}) // the second transaction is the commit
	if _, err := s.Apply(t.Context(), otherOrg, secret.Change{Set: ofOther}); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	file, err := os.OpenFile(filepath.Join(newestFrozen, "influxd.bolt.gz"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	packed := gzip.NewWriter(file)
	if err := errors.Join(db.Backup(t.Context(), packed), packed.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestFrozen opens data and a key file that earlier versions wrote. They must open for ever.
func TestFrozen(t *testing.T) {
	if *update {
		makeFrozen(t)
	}
	for _, dir := range frozen {
		t.Run(dir, func(t *testing.T) { openFrozen(t, dir) })
	}
}

func openFrozen(t *testing.T, frozen string) {
	dir := t.TempDir()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(frozen, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(read("influxd.bolt.gz")))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(write("influxd.bolt", data), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	key := seal.KeyFile(write("seal.key", read("seal.key")))

	if _, err := db.Get(t.Context(), commitlog.Key(otherOrg)); err != nil {
		t.Fatalf("the frozen data have no pending change: %v", err)
	}
	other := seal.KeyFile(filepath.Join(dir, "other.key"))
	if _, err := other.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.OpenOrInit(t.Context(), kv.Store(db), keyring.Config{Seal: other}); err == nil {
		t.Error("the frozen data open with another key")
	}
	s := newStore(t, db, key)
	wantFrozen(t, s)
	// What there is of a history can be restored.
	want := map[string]string{"foo": "before bar", "gone": "x"}
	if frozen == "testdata/v1" { // there was none: it begins now
		apply(t, s, secret.Change{Set: setOf("foo", "after bar")})
		want = map[string]string{"foo": "bar"}
	}
	for name, value := range want {
		if _, err := s.Restore(t.Context(), org, name, 1, "bob"); err != nil {
			t.Errorf("restoring %q: %v", name, err)
		}
		if got, err := secret.Get(t.Context(), s, org, name); err != nil || string(got.Bytes()) != value {
			t.Errorf("%q restored: %v", name, err)
		}
	} // The data can be brought to sealed names, or, where they are on the way to those of another term, to these.
	rewriteAll(t, s)
	if err := s.ring.Retire(t.Context(), s.ring.Term()); err != nil {
		t.Fatal(err)
	}
	if s.ring.Names().Form == keyring.Clear {
		sealNames(t, s, true)
		rewriteAll(t, s)
	}
	for name := range want {
		if _, err := s.Apply(t.Context(), org, secret.Change{Delete: []string{name}}); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, s, secret.Change{Set: setOf("foo", "bar")})
	wantFrozen(t, s)
	if problems := verified(t, s); len(problems) > 0 {
		t.Errorf("with sealed names: %q", problems)
	}
}

func wantFrozen(t *testing.T, s *Store) {
	t.Helper()
	ofOrg, ofOther := frozenContent()
	for org, want := range map[id.ID]map[string]secret.Value{org: ofOrg, otherOrg: ofOther} {
		keys, err := s.Keys(t.Context(), org)
		if err != nil || len(keys) != len(want) {
			t.Errorf("organisation %s: %d keys of %d, %v", org, len(keys), len(want), err)
		}
		for name, v := range want {
			if got, err := secret.Get(t.Context(), s, org, name); err != nil ||
				string(got.Bytes()) != string(v.Bytes()) {
				t.Errorf("organisation %s, %q: %v", org, name, err)
			}
		}
	}
}
