// Package seal holds those who wrap the root key: the one key that opens everything else in the embedded data. What a
// seal needs for that (a key file, a passphrase, a key in Vault) is kept apart from the data.
//
// A new seal is a type that implements Source and Seal, a test that runs the suite of package sealtest on it, and a
// case in internal/influxd/sealing.go.
package seal

import (
	"context"
	"errors"
)

// TypeTransit is the type of the seal whose key is in Vault's transit engine: package transit.
const TypeTransit = "transit"

// Types are the types of all seals.
var Types = []string{TypeKeyFile, TypePassphrase, TypeTransit}

// Seal wraps and unwraps small keys. Errors hold no key.
type Seal interface {
	// Type names the kind of seal, as the data's seal record keeps it: "key-file".
	Type() string

	// KeyID tells keys of the type apart and says nothing about the key. It may be logged.
	KeyID() string

	// Wrap encrypts plaintext so that Unwrap gives it back for the same aad only.
	Wrap(ctx context.Context, plaintext, aad []byte) ([]byte, error)

	// Unwrap opens what Wrap made. It gives ErrUnwrap where the blob is damaged, was made by another key or for other
	// aad; one that wraps ErrUnwrap says more than that.
	Unwrap(ctx context.Context, blob, aad []byte) ([]byte, error)
}

// Kept is a Seal that can tell whether its key, which it has in memory, is still where the next start looks for it.
type Kept interface {
	// Kept gives ErrNoKey where the key has gone, and another error where there is another one or it cannot be read.
	Kept(ctx context.Context) error
}

// Source finds a Seal's key. The wiring makes one of the configuration; the keyring decides when a key may be made.
type Source interface {
	// Load gives the seal whose key there is; ErrNoKey where there is none yet.
	Load(ctx context.Context) (Seal, error)

	// Create makes a new key and gives its seal. The key is on disk when it returns. ErrKeyExists where there is one.
	Create(ctx context.Context) (Seal, error)

	// Type is the type of the seals it gives.
	Type() string

	// Setting is the setting that names the key, for messages: "--seal-key-file".
	Setting() string

	// String says where the key is, for messages: "key file /var/lib/x/seal.key".
	String() string
}

// The errors found with errors.Is.
var (
	ErrNoKey     = errors.New("there is no such key")
	ErrKeyExists = errors.New("there is a key already")
	ErrWrap      = errors.New("the seal does not take the root key") // of who asks a seal to wrap it, around the reason
	ErrUnwrap    = errors.New("what the seal wrapped does not open: it is damaged, or another key made it")
)
