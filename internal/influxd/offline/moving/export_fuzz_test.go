package moving

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"strongroom/internal/influxd/config"
	"strongroom/internal/transfer"
)

// FuzzExport reads a damaged export, encrypted and in clear. A changed one that is encrypted does not open to its end.
func FuzzExport(f *testing.F) {
	dir := f.TempDir()
	// One key for all the fuzzer's processes, so that they can open each other's seeds.
	identity, err := age.ParseX25519Identity(
		"AGE-SECRET-KEY-1YNMPY3GH6Z29UX65T70T7UP77H6SPDTDLAM8EKV59DQT65GC0L9SDXE945")
	noError(f, err)
	keyFile := filepath.Join(dir, "key")
	noError(f, os.WriteFile(keyFile, []byte(identity.String()), 0o600))
	args, err := config.ParseArgs([]string{"--identity-file", keyFile}, ImportFlags...)
	noError(f, err)
	var encrypted, clear bytes.Buffer
	const text = `{"format":"strongroom-secrets-1","exported":"2026-01-02T03:04:05Z","organizations":[{"id":"000000000000000a","secrets":{"k":"sesame"}}]}`
	for w, to := range map[*bytes.Buffer][]age.Recipient{&encrypted: {identity.Recipient()}, &clear: nil} {
		err := writeExport(to, w, func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
		noError(f, err)
	}
	for _, whole := range [][]byte{encrypted.Bytes(), clear.Bytes()} {
		f.Add(whole)
		f.Add(whole[:len(whole)-1])
		f.Add(append(bytes.Clone(whole), 0))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := opened(args, bytes.NewReader(b))
		if err != nil {
			return
		}
		contents, err := transfer.ReadExport(r)
		if err != nil && strings.Contains(err.Error(), "sesame") {
			t.Errorf("the error tells a value: %v", err)
		}
		if err == nil && bytes.HasPrefix(b, []byte(ageHeader)) {
			if s := contents.Secrets; len(s) != 1 || string(s[0].Value.Bytes()) != "sesame" {
				t.Errorf("%q opens as %v", b, s)
			}
		}
	})
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
