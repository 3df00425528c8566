package seal

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"strongroom/internal/disk"
	"strongroom/internal/ownfile"
)

// TypeKeyFile is the type of the seal whose key is in a file.
const TypeKeyFile = "key-file"

// The form of a key file: comment lines, and one line of the prefix and 32 random bytes in standard base64. The number
// in the prefix is the form's version.
const (
	keyPrefix  = "strongroom-seal-key-1:"
	keySize    = 32
	keyComment = "# Strongroom's seal key. Whoever has it and the database can read every secret; without it " +
		"nobody can.\n# Keep a copy apart from the database and its backups. Never change it.\n"
	maxKeyFile = 4096
)

// Everything the key is used for has a key of its own, derived under one of these labels.
const (
	keyIDLabel = "strongroom/v1/seal/key-id"
	wrapLabel  = "strongroom/v1/seal/wrap"
)

// wrapFormat is the first byte of a wrapped key: format | 12-byte nonce | AES-256-GCM ciphertext and tag. The format
// byte is part of the additional data.
const wrapFormat = 1

// KeyFile is the Source of a key file at a path.
type KeyFile string

func (f KeyFile) String() string { return "key file " + string(f) }

// Type is TypeKeyFile.
func (f KeyFile) Type() string { return TypeKeyFile }

// Setting names the file.
func (f KeyFile) Setting() string { return "--seal-key-file" }

// Load reads the key file. It refuses one that is open to others (ownfile.Secret): a key that has been so is no longer
// a secret, and its owner should hear of it. The file may be reached over a symbolic link.
func (f KeyFile) Load(context.Context) (Seal, error) {
	key, err := f.read()
	if err != nil {
		return nil, err
	}
	defer clear(key)
	f.tidy()
	return f.seal(key)
}

func (f KeyFile) seal(key []byte) (*keySeal, error) {
	s, err := newKeySeal(key)
	if err != nil {
		return nil, err
	}
	s.file = f
	return s, nil
}

// newName is what the temporary names of a key file begin with, while it is made.
func (f KeyFile) newName() string { return filepath.Base(string(f)) + ".new-" }

// tidy removes the temporary name of the file, where a process that was killed has left it: whoever keeps seal.key out
// of a backup of the folder would have the key in it all the same. Others of that form are left: they are of a key that
// came to nothing, or is just being made.
func (f KeyFile) tidy() {
	dir := filepath.Dir(string(f))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	own, err := os.Stat(string(f))
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), f.newName()) {
			continue
		}
		if other, err := e.Info(); err == nil && os.SameFile(own, other) {
			_ = os.Remove(filepath.Join(dir, e.Name())) // or the next start does
		}
	}
}

func (f KeyFile) read() ([]byte, error) {
	// O_NONBLOCK: opening a named pipe must not wait for its writer.
	file, err := os.OpenFile(string(f), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing: %w", f, ErrNoKey)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the %s: %w", f, err)
	}
	defer file.Close()
	info, err := file.Stat() // of what was opened, not of what the path names by now
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the %s: %w", f, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("the %s is not a file", f)
	}
	if err := ownfile.Secret(string(f), info); err != nil {
		return nil, fmt.Errorf("the %s %w", f, err)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the %s: %w", f, err)
	}
	defer clear(text)
	key, ok := parseKey(text)
	if !ok {
		return nil, fmt.Errorf("the %s has not the form of one: it must hold one line `%s<base64 of %d bytes>`; "+
			"restore it from a copy", f, keyPrefix, keySize)
	}
	return key, nil
}

// parseKey reads a key file's text. It says no more than whether it is right: a message must not quote a key.
func parseKey(text []byte) (key []byte, ok bool) {
	if len(text) > maxKeyFile {
		return nil, false
	}
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		encoded, found := bytes.CutPrefix(line, []byte(keyPrefix))
		if !found || key != nil {
			return nil, false
		}
		key = make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
		n, err := base64.StdEncoding.Strict().Decode(key, encoded)
		if err != nil || n != keySize {
			return nil, false
		}
		key = key[:n]
	}
	return key, key != nil
}

// Create makes a key file, mode 0600, in a folder that is made too where it is missing. The file appears whole, by a
// link to a finished one: a process killed on the way leaves none, or a complete one.
func (f KeyFile) Create(context.Context) (Seal, error) {
	key := make([]byte, keySize)
	defer clear(key)
	rand.Read(key) // never fails since Go 1.24
	s, err := f.seal(key)
	if err != nil {
		return nil, err
	}
	if err := f.write(key); err != nil {
		return nil, fmt.Errorf("making the %s: %w", f, err)
	}
	return s, nil
}

func (f KeyFile) write(key []byte) error {
	dir := filepath.Dir(string(f))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, f.newName()+"*") // mode 0600, O_EXCL
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	text := append([]byte(keyComment+keyPrefix), base64.StdEncoding.EncodeToString(key)+"\n"...)
	defer clear(text)
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := disk.PutNew(file.Name(), string(f)); errors.Is(err, fs.ErrExist) {
		return ErrKeyExists
	} else if err != nil {
		return err
	}
	return nil
}

// keySeal is the Seal of 32 bytes of key.
type keySeal struct {
	id   string
	aead cipher.AEAD
	file KeyFile
}

func newKeySeal(key []byte) (*keySeal, error) {
	label, err := hkdf.Key(sha256.New, key, nil, keyIDLabel, 8)
	if err != nil {
		return nil, err
	}
	wrap, err := hkdf.Key(sha256.New, key, nil, wrapLabel, 32)
	if err != nil {
		return nil, err
	}
	defer clear(wrap)
	block, err := aes.NewCipher(wrap)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &keySeal{id: hex.EncodeToString(label), aead: aead}, nil
}

// Kept looks whether the file is there and holds the same key.
func (s *keySeal) Kept(context.Context) error {
	key, err := s.file.read()
	if err != nil {
		return err
	}
	defer clear(key)
	now, err := newKeySeal(key)
	if err != nil {
		return err
	}
	if now.id != s.id {
		return fmt.Errorf("the %s holds another key by now (%s, and the data are sealed with %s)", s.file, now.id, s.id)
	}
	return nil
}

func (s *keySeal) Type() string  { return TypeKeyFile }
func (s *keySeal) KeyID() string { return s.id }

func (s *keySeal) Wrap(_ context.Context, plaintext, aad []byte) ([]byte, error) {
	blob := make([]byte, 1+s.aead.NonceSize(), 1+s.aead.NonceSize()+len(plaintext)+s.aead.Overhead())
	blob[0] = wrapFormat
	rand.Read(blob[1:])
	return s.aead.Seal(blob, blob[1:], plaintext, wrapAAD(aad)), nil
}

func (s *keySeal) Unwrap(_ context.Context, blob, aad []byte) ([]byte, error) {
	if len(blob) < 1+s.aead.NonceSize() || blob[0] != wrapFormat {
		return nil, ErrUnwrap
	}
	nonce, sealed := blob[1:1+s.aead.NonceSize()], blob[1+s.aead.NonceSize():]
	plaintext, err := s.aead.Open(nil, nonce, sealed, wrapAAD(aad))
	if err != nil {
		return nil, ErrUnwrap
	}
	return plaintext, nil
}

func wrapAAD(aad []byte) []byte { return append([]byte{wrapFormat}, aad...) }
