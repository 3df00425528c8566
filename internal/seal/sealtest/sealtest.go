// Package sealtest is the suite that every seal passes.
package sealtest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"strongroom/internal/seal"
)

// Seals are the sources of one kind of seal.
type Seals struct {
	Source  seal.Source // whose key is there
	Other   seal.Source // with another key
	Missing seal.Source // whose key is not there
	Key     string      // some text of Source's key that no message may hold; "" where the test does not have it

	// Foreign are keys that other kinds of seal have wrapped for AAD.
	Foreign [][]byte
	// Every is how many bytes lie between two that are changed one at a time; 1 where an attempt is cheap.
	Every int
}

// AAD is the additional data of the suite.
const AAD = "what it is for"

const root = "a root key of 32 bytes, as it is."

// Test runs the suite, the errors first.
func Test(t *testing.T, s Seals) {
	t.Run("missing key", s.missing)
	t.Run("refused", s.refused)
	t.Run("opens", s.opens)
	t.Run("many at once", s.many)
}

func load(t *testing.T, from seal.Source) seal.Seal {
	t.Helper()
	s, err := from.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wrap(t *testing.T, s seal.Seal) []byte {
	t.Helper()
	blob, err := s.Wrap(t.Context(), []byte(root), []byte(AAD))
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

// missing finds out at once, or when the key is needed.
func (s Seals) missing(t *testing.T) {
	blob := wrap(t, load(t, s.Source))
	got, err := s.Missing.Load(t.Context())
	if err == nil {
		_, err = got.Unwrap(t.Context(), blob, []byte(AAD))
	}
	if !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("%v, want %v", err, seal.ErrNoKey)
	}
}

func (s Seals) refused(t *testing.T) {
	mine := load(t, s.Source)
	blob := wrap(t, mine)
	refuse := func(name string, by seal.Seal, blob, aad []byte) {
		t.Helper()
		got, err := by.Unwrap(t.Context(), blob, aad)
		if !errors.Is(err, seal.ErrUnwrap) || got != nil {
			t.Errorf("%s: %q, %v; want %v", name, got, err, seal.ErrUnwrap)
			return
		}
		if text := err.Error(); strings.Contains(text, root) || s.Key != "" && strings.Contains(text, s.Key) ||
			strings.Contains(text, "\n") {
			t.Errorf("%s: the error holds a key or more than a line: %s", name, text)
		}
	}
	refuse("another key", load(t, s.Other), blob, []byte(AAD))
	refuse("other additional data", mine, blob, []byte(AAD+"s"))
	refuse("no additional data", mine, blob, nil)
	refuse("nothing", mine, nil, []byte(AAD))
	refuse("more than was wrapped", mine, append(bytes.Clone(blob), 'A'), []byte(AAD))
	for i, other := range s.Foreign {
		refuse(fmt.Sprintf("what seal %d of another kind wrapped", i), mine, other, []byte(AAD))
		refuse(fmt.Sprintf("the same in our form (%d)", i), mine, append([]byte{blob[0]}, other[1:]...), []byte(AAD))
	}
	for i := 0; i < len(blob); i += s.Every {
		refuse(fmt.Sprintf("cut at %d", i), mine, blob[:i], []byte(AAD))
		flipped := bytes.Clone(blob)
		flipped[i] ^= 1
		refuse(fmt.Sprintf("byte %d changed", i), mine, flipped, []byte(AAD))
	}
	if got, err := mine.Unwrap(t.Context(), blob, []byte(AAD)); err != nil || string(got) != root {
		t.Errorf("the right one after all that: %v", err)
	}
}

func (s Seals) opens(t *testing.T) {
	mine := load(t, s.Source)
	first, second := wrap(t, mine), wrap(t, mine)
	if bytes.Equal(first, second) {
		t.Error("wrapped twice, the same")
	}
	if bytes.Contains(first, []byte(root)) {
		t.Error("the wrapped key holds the key")
	}
	again := load(t, s.Source)
	for _, blob := range [][]byte{first, second} {
		if got, err := again.Unwrap(t.Context(), blob, []byte(AAD)); err != nil || string(got) != root {
			t.Errorf("opened anew: %q, %v", got, err)
		}
	}
	if mine.Type() != s.Source.Type() || mine.KeyID() != again.KeyID() {
		t.Errorf("loaded a %s with %q and a %s with %q of a source of %s", mine.Type(), mine.KeyID(), again.Type(),
			again.KeyID(), s.Source.Type())
	}
	if other := load(t, s.Other).KeyID(); mine.KeyID() != "" && other == mine.KeyID() {
		t.Errorf("two keys have the ID %s", other)
	}
	if said := s.Source.String() + mine.KeyID(); s.Key != "" && strings.Contains(said, s.Key) {
		t.Errorf("the key is in what may be logged: %s", said)
	}
	if !strings.HasPrefix(s.Source.Setting(), "--seal-") {
		t.Errorf("%q is no setting of a seal", s.Source.Setting())
	}
}

func (s Seals) many(t *testing.T) {
	mine := load(t, s.Source)
	blob := wrap(t, mine)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got, err := mine.Unwrap(t.Context(), blob, []byte(AAD)); err != nil || string(got) != root {
				t.Errorf("Unwrap: %q, %v", got, err)
			}
			if _, err := mine.Wrap(t.Context(), []byte(root), []byte(AAD)); err != nil {
				t.Errorf("Wrap: %v", err)
			}
		})
	}
	wg.Wait()
}
