package seal_test

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"strongroom/internal/seal"
	"strongroom/internal/seal/sealtest"
)

func passphrase(text string) seal.Passphrase {
	return seal.Passphrase{From: "test", Ask: func(context.Context, bool) ([]byte, error) {
		return bytes.Clone([]byte(text)), nil
	}}
}

func keyFile(t *testing.T) seal.KeyFile {
	t.Helper()
	f := seal.KeyFile(filepath.Join(t.TempDir(), "seal.key"))
	if _, err := f.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

func wrapped(t *testing.T, by seal.Source) []byte {
	t.Helper()
	s, err := by.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	blob, err := s.Wrap(t.Context(), []byte("a root key"), []byte(sealtest.AAD))
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

// inVault has the form of what package transit wraps.
var inVault = []byte("\x03vault:v1:Sr5wessezdORcXtBEDVsekCURrtbjIDQEQ0vTQUQ6ot2")

func TestKeyFile(t *testing.T) {
	sealtest.Test(t, sealtest.Seals{
		Source: keyFile(t), Other: keyFile(t), Missing: seal.KeyFile(filepath.Join(t.TempDir(), "none")),
		Foreign: [][]byte{wrapped(t, passphrase("correct horse battery")), inVault}, Every: 1,
	})
}

func TestPassphrase(t *testing.T) {
	sealtest.Test(t, sealtest.Seals{
		Source: passphrase("correct horse battery"), Other: passphrase("correct horse batterz"),
		Missing: seal.PassphraseFile(filepath.Join(t.TempDir(), "none"), false), Key: "correct horse",
		Foreign: [][]byte{wrapped(t, keyFile(t)), inVault}, Every: 11,
	})
}
