package seal

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// known is the source of a passphrase that counts how often it is asked for.
func known(text string, asked *int) Passphrase {
	return Passphrase{From: "test", Ask: func(context.Context, bool) ([]byte, error) {
		*asked++
		return []byte(text), nil
	}}
}

func loaded(t *testing.T, s Source) Seal {
	t.Helper()
	got, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestPassphraseRefused(t *testing.T) {
	asked := 0
	for name, text := range map[string]string{"empty": "", "short": "eleven byte",
		"long": strings.Repeat("x", MaxPassphrase+1)} {
		if _, err := loaded(t, known(text, &asked)).Wrap(t.Context(), []byte("key"), nil); err == nil {
			t.Errorf("a passphrase that is %s was taken", name)
		} else if text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error quotes the passphrase: %v", err)
		}
	}
	blob, err := loaded(t, known("correct horse battery", &asked)).Wrap(t.Context(), []byte("key"), []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int) []byte {
		b := bytes.Clone(blob)
		b[at] ^= 1
		return b
	}
	right := loaded(t, known("correct horse battery", &asked))
	for name, try := range map[string]func() ([]byte, error){
		"another format":  func() ([]byte, error) { return right.Unwrap(t.Context(), changed(0), []byte("aad")) },
		"too many passes": func() ([]byte, error) { return right.Unwrap(t.Context(), changed(1), []byte("aad")) },
		"fewer passes":    func() ([]byte, error) { return right.Unwrap(t.Context(), changed(4), []byte("aad")) },
		"another salt":    func() ([]byte, error) { return right.Unwrap(t.Context(), changed(12), []byte("aad")) },
	} {
		if got, err := try(); !errors.Is(err, ErrUnwrap) || got != nil {
			t.Errorf("%s: %v, want %v", name, err, ErrUnwrap)
		}
	}
	if got, err := right.Unwrap(t.Context(), blob, []byte("aad")); err != nil || string(got) != "key" {
		t.Errorf("the right passphrase after all that: %v", err)
	}
}

// TestPassphraseAskedOnce wraps again without asking, as a server does that changes its root key.
func TestPassphraseAskedOnce(t *testing.T) {
	asked := 0
	first, err := loaded(t, known("correct horse battery", &asked)).Wrap(t.Context(), []byte("key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	asked = 0
	s := loaded(t, known("correct horse battery", &asked))
	if asked != 0 {
		t.Error("it was asked for before it was needed")
	}
	if _, err := s.Unwrap(t.Context(), first, nil); err != nil {
		t.Fatal(err)
	}
	second, err := s.Wrap(t.Context(), []byte("another key"), nil)
	if err != nil || asked != 1 {
		t.Fatalf("asked %d times, %v", asked, err)
	}
	if got, err := loaded(t, known("correct horse battery", &asked)).Unwrap(t.Context(), second, nil); err != nil ||
		string(got) != "another key" {
		t.Errorf("what was wrapped second: %v", err)
	}
}

func TestPassphraseFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passphrase")
	ask := func(credential bool) (string, error) {
		b, err := PassphraseFile(path, credential).Ask(t.Context(), false)
		return string(b), err
	}
	if _, err := ask(false); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), path) {
		t.Errorf("no file: %v", err)
	}
	for text, want := range map[string]string{"six words\n": "six words", "six words": "six words",
		"six words\r\nnote": "six words", "": ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ask(false); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if err := os.Chmod(path, 0o440); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(false); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
		t.Errorf("a file that others can read: %v", err)
	}
	if _, err := ask(true); err != nil {
		t.Errorf("a credential that its group can read, as systemd makes it: %v", err)
	}
}
