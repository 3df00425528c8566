package seal

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/crypto/argon2"

	"strongroom/internal/ownfile"
)

// TypePassphrase is the type of the seal whose key is made of a passphrase.
const TypePassphrase = "passphrase"

// The least length of a new passphrase and the most of any, in bytes. argon2id makes a guess cost about 0.1 s and
// 64 MiB: that helps a middling passphrase, and does not save a short one.
const (
	MinPassphrase = 12
	MaxPassphrase = 1024
)

// The second recommended choice of RFC 9106, section 4. A wrapped key names what it was made with, within the bounds,
// so that these can be raised later.
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4

	maxArgonTime   = 64
	maxArgonMemory = 2 << 20 // KiB
)

// A wrapped key is
//
//	format (1 byte, 2) | time (uint32) | memory in KiB (uint32) | threads (1 byte) |
//	salt (16) | nonce (12) | ciphertext and tag
//
// in big-endian. All up to the nonce is part of the additional data.
const (
	passphraseFormat = 2
	saltLen          = 16
	passphraseHeader = 1 + 4 + 4 + 1 + saltLen
	gcmNonce         = 12
)

// Passphrase is the Source of a passphrase. It has no key ID: whatever told passphrases apart would help to guess one.
type Passphrase struct {
	// Ask gives the passphrase; fresh says that it is a new one, which a terminal asks for twice. What it gives is
	// wiped after use. It is called when something is wrapped or unwrapped, and not before.
	Ask func(ctx context.Context, fresh bool) ([]byte, error)
	// From says where it comes from, for messages: "file /etc/x/passphrase".
	From string
}

func (p Passphrase) String() string { return "passphrase from the " + p.From }

// Type is TypePassphrase.
func (p Passphrase) Type() string { return TypePassphrase }

// Setting names the file with it.
func (p Passphrase) Setting() string { return "--seal-passphrase-file" }

// Load gives the passphrase's seal.
func (p Passphrase) Load(context.Context) (Seal, error) { return &passphraseSeal{source: p}, nil }

// Create does the same: a passphrase is made by whoever knows it.
func (p Passphrase) Create(ctx context.Context) (Seal, error) { return p.Load(ctx) }

// passphraseSeal keeps the key it has made, so that a server can wrap a new root key without asking again.
type passphraseSeal struct {
	source Passphrase

	mu     sync.Mutex
	header []byte // of what the key was made with; nil before
	aead   cipher.AEAD
}

func (s *passphraseSeal) Type() string  { return TypePassphrase }
func (s *passphraseSeal) KeyID() string { return "" }

func (s *passphraseSeal) Wrap(ctx context.Context, plaintext, aad []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aead == nil {
		header := make([]byte, passphraseHeader)
		header[0] = passphraseFormat
		binary.BigEndian.PutUint32(header[1:], argonTime)
		binary.BigEndian.PutUint32(header[5:], argonMemory)
		header[9] = argonThreads
		rand.Read(header[10:]) // never fails since Go 1.24
		if err := s.derive(ctx, header, true); err != nil {
			return nil, err
		}
	}
	blob := make([]byte, passphraseHeader+gcmNonce, passphraseHeader+gcmNonce+len(plaintext)+16)
	copy(blob, s.header)
	rand.Read(blob[passphraseHeader:])
	return s.aead.Seal(blob, blob[passphraseHeader:], plaintext, passphraseAAD(s.header, aad)), nil
}

func (s *passphraseSeal) Unwrap(ctx context.Context, blob, aad []byte) ([]byte, error) {
	if len(blob) < passphraseHeader+gcmNonce || blob[0] != passphraseFormat {
		return nil, ErrUnwrap
	}
	header := blob[:passphraseHeader]
	passes, memory, threads := binary.BigEndian.Uint32(header[1:]), binary.BigEndian.Uint32(header[5:]), header[9]
	if passes == 0 || passes > maxArgonTime || memory > maxArgonMemory || threads == 0 {
		return nil, ErrUnwrap
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !bytes.Equal(header, s.header) {
		if err := s.derive(ctx, header, false); err != nil {
			return nil, err
		}
	}
	plaintext, err := s.aead.Open(nil, blob[passphraseHeader:passphraseHeader+gcmNonce],
		blob[passphraseHeader+gcmNonce:], passphraseAAD(header, aad))
	if err != nil {
		s.header, s.aead = nil, nil // made of a wrong passphrase, maybe: nothing may be wrapped with it
		return nil, ErrUnwrap
	}
	return plaintext, nil
}

// derive asks for the passphrase and makes the key that the header describes. It takes about 0.1 s.
func (s *passphraseSeal) derive(ctx context.Context, header []byte, fresh bool) error {
	passphrase, err := s.source.Ask(ctx, fresh)
	if err != nil {
		return err
	}
	defer clear(passphrase)
	switch n := len(passphrase); {
	case fresh && n < MinPassphrase:
		return fmt.Errorf("the %s is %d bytes long; take at least %d, or better six words at random", s.source, n,
			MinPassphrase)
	case n == 0:
		return fmt.Errorf("the %s is empty", s.source)
	case n > MaxPassphrase:
		return fmt.Errorf("the %s is longer than %d bytes", s.source, MaxPassphrase)
	}
	key := argon2.IDKey(passphrase, header[10:passphraseHeader], binary.BigEndian.Uint32(header[1:]),
		binary.BigEndian.Uint32(header[5:]), header[9], keySize)
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	if s.aead, err = cipher.NewGCM(block); err != nil {
		return err
	}
	s.header = bytes.Clone(header)
	return nil
}

func passphraseAAD(header, aad []byte) []byte { return append(bytes.Clone(header), aad...) }

// PassphraseFile asks a file: its first line is the passphrase. Others must not be able to read it, unless the service
// manager has put it there (credential), which sees to that itself and in its own way.
func PassphraseFile(path string, credential bool) Passphrase {
	from := "file " + path
	return Passphrase{From: from, Ask: func(context.Context, bool) ([]byte, error) {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("the passphrase's %s is missing: %w", from, ErrNoKey)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the passphrase: %w", err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return nil, fmt.Errorf("reading the passphrase: %w", err)
		}
		if err := ownfile.Secret(path, info); err != nil && !credential {
			return nil, fmt.Errorf("the passphrase's %s %w", from, err)
		}
		text, err := io.ReadAll(io.LimitReader(f, MaxPassphrase+2))
		if err != nil {
			return nil, fmt.Errorf("reading the passphrase: %w", err)
		}
		defer clear(text)
		line, _, _ := bytes.Cut(text, []byte("\n"))
		return bytes.Clone(bytes.TrimSuffix(line, []byte("\r"))), nil
	}}
}
