package seal

import (
	"bytes"
	"context"
	"testing"
)

func FuzzParseKey(f *testing.F) {
	f.Add([]byte(keyComment + keyPrefix + "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"))
	f.Add([]byte(keyPrefix + "\n" + keyPrefix))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, ok := parseKey(text)
		if ok && len(key) != keySize {
			t.Errorf("%q is taken for a key of %d bytes", text, len(key))
		}
	})
}

// FuzzUnwrap feeds both seals blobs that they have not made. The passphrase's costs are the fuzzer's only where the
// seal refuses them at once.
func FuzzUnwrap(f *testing.F) {
	ctx := context.Background()
	file, err := newKeySeal(make([]byte, keySize))
	if err != nil {
		f.Fatal(err)
	}
	phrase := &passphraseSeal{source: Passphrase{From: "test", Ask: func(context.Context, bool) ([]byte, error) {
		return []byte("six words at random or so"), nil
	}}}
	plaintext, aad := []byte("the root key"), []byte("data")
	byFile, err := file.Wrap(ctx, plaintext, aad)
	if err != nil {
		f.Fatal(err)
	}
	byPhrase, err := phrase.Wrap(ctx, plaintext, aad)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(byFile, aad)
	f.Add(byPhrase, aad)
	f.Add(byPhrase[:passphraseHeader+gcmNonce], aad)
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, blob, with []byte) {
		if got, err := file.Unwrap(ctx, blob, with); err == nil && !bytes.Equal(got, plaintext) {
			t.Errorf("%x opens as %q", blob, got)
		}
		if len(blob) >= passphraseHeader && !bytes.Equal(blob[1:passphraseHeader], byPhrase[1:passphraseHeader]) {
			blob = append(bytes.Clone(byPhrase[:passphraseHeader]), blob[passphraseHeader:]...)
		}
		if got, err := phrase.Unwrap(ctx, blob, with); err == nil && !bytes.Equal(got, plaintext) {
			t.Errorf("%x opens as %q", blob, got)
		}
	})
}
