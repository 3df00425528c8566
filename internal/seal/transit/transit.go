// Package transit is the seal whose key stays in Vault: HashiCorp Vault's or OpenBao's transit engine wraps and unwraps
// the root key, and the key that does so never leaves it. Vault is asked at a start and when the seal or the root key
// is changed, and at no other time: in between the root key is in this process's memory.
//
// # What binds the wrapped key
//
// The additional data go to the engine as associated_data, which its AEAD keys (aes128-gcm96, aes256-gcm96,
// chacha20-poly1305) authenticate. Vault has that since 1.13.0 (its CHANGELOG: "Add associated_data parameter for
// additional authenticated data in AEAD ciphers", GH-17638), and OpenBao from its start. An older engine would take the
// parameter and ignore it, as Vault does with any that it does not know. So Wrap trusts no version number: it has what
// was wrapped unwrapped again, which must work, and then with other data, which must not. Keys without AEAD (RSA) the
// engine refuses by itself when associated_data come with them.
//
// A wrapped key is
//
//	format (1 byte, 3) | the engine's ciphertext, as it gives it (vault:v<version>:<base64>)
//
// and the format byte is part of the associated data.
package transit

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"strongroom/internal/outage"
	"strongroom/internal/seal"
	"strongroom/internal/secret/vault/conn"
)

// DefaultMount is where the engine is mounted by default.
const DefaultMount = "transit"

const (
	wrapFormat = 3
	maxWrapped = 8 << 10 // bytes; a root key makes about 100
)

var wrappedForm = regexp.MustCompile(`^\x03vault:v[1-9][0-9]*:([A-Za-z0-9+/]+={0,2})$`)

// wellFormed lets one way to write a ciphertext through. The engine takes others for the same: v0 for v1, say, or other
// bits where base64 has some to spare.
func wellFormed(blob []byte) bool {
	m := wrappedForm.FindSubmatch(blob)
	if len(blob) > maxWrapped || m == nil {
		return false
	}
	_, err := base64.StdEncoding.Strict().DecodeString(string(m[1]))
	return err == nil
}

// aeads are the types of key that authenticate associated data.
var aeads = []string{"aes128-gcm96", "aes256-gcm96", "chacha20-poly1305"}

// Source is the seal.Source of a key in the engine.
type Source struct {
	Vault conn.Config   // with the namespace of the engine; its Logger does not count
	Mount string        // DefaultMount where empty
	Key   string        // the key's name
	Wait  time.Duration // how long Load waits for a Vault that cannot be reached or is sealed
	Log   *slog.Logger  // of the waiting; slog.Default
	// Rename puts other names of settings into messages, in pairs of old and new: those of a Vault that has its own.
	Rename []string
}

func (s Source) mount() string {
	if m := strings.Trim(s.Mount, "/"); m != "" {
		return m
	}
	return DefaultMount
}

// keyID is the way to the key, from its namespace. It says nothing of the key.
func (s Source) keyID() string {
	return path.Join(strings.Trim(s.Vault.Namespace, "/"), s.mount(), s.Key)
}

func (s Source) String() string { return "transit key " + s.keyID() + " in Vault" }

// Type is seal.TypeTransit.
func (s Source) Type() string { return seal.TypeTransit }

// Setting names the key.
func (s Source) Setting() string { return "--seal-transit-key" }

// nameable are the names that Vault gives keys (framework.GenericNameRegex) and its mounts.
var nameable = regexp.MustCompile(`^\w(([\w.-]+)?\w)?$`)

// Load connects and looks for the key. It waits for a Vault that is not there yet as Wait says.
func (s Source) Load(ctx context.Context) (seal.Seal, error) {
	t, err := s.load(ctx)
	if err != nil {
		return nil, s.renamed(err)
	}
	return t, nil
}

func (s Source) load(ctx context.Context) (*transitSeal, error) {
	if s.Key == "" {
		return nil, errors.New("the seal transit needs --seal-transit-key, the name of the key in Vault")
	}
	if !nameable.MatchString(s.Key) {
		return nil, fmt.Errorf("--seal-transit-key: %q is no name of a key in Vault", s.Key)
	}
	for part := range strings.SplitSeq(s.mount(), "/") {
		if !nameable.MatchString(part) {
			return nil, fmt.Errorf("--seal-transit-mount: %q is no path of an engine in Vault", s.Mount)
		}
	}
	log := s.Log
	if log == nil {
		log = slog.Default()
	}
	conf := s.Vault
	// What the connection would log is about a server that goes on with it. Here it is in the errors.
	conf.Logger, conf.Files = slog.New(slog.DiscardHandler), log
	c, err := conn.New(conf)
	if err != nil {
		return nil, err
	}
	t := &transitSeal{source: s, conn: c}
	began := time.Now()
	waiting := outage.New(log)
	for pause := time.Second; ; pause = min(2*pause, 5*time.Second) {
		err := t.bounded(ctx, t.look)
		if state := (conn.Temporary{}); err == nil || !errors.As(err, &state) || ctx.Err() != nil {
			return t, err
		}
		left := s.Wait - time.Since(began)
		if left <= 0 {
			if s.Wait > 0 {
				err = fmt.Errorf("%w (waited %s for it)", err, s.Wait)
			}
			return nil, err
		}
		state := s.renamed(err).Error()
		waiting.Failed(ctx, slog.LevelWarn, state, "waiting for the Vault that opens the data", "state", state, "left",
			left.Round(time.Second))
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(min(pause/2+rand.N(pause/2), left)): // jitter: of many servers, not all at once
		}
	}
}

// Create makes no key: whoever may make keys in Vault is its administrator, not this server.
func (s Source) Create(context.Context) (seal.Seal, error) {
	return nil, errors.New(s.noKey())
}

func (s Source) noKey() string {
	return fmt.Sprintf("there is no key %[1]s at %[2]s/ in Vault; make it with `vault write -f %[2]s/keys/%[1]s`, or "+
		"name another with --seal-transit-key and --seal-transit-mount", s.Key, s.mount())
}

// missingKey is a seal.ErrNoKey that says what to do.
type missingKey string

func (m missingKey) Error() string        { return string(m) }
func (m missingKey) Is(target error) bool { return target == seal.ErrNoKey }

// renamed is the error with the names of settings that fit.
func (s Source) renamed(err error) error {
	if len(s.Rename) == 0 {
		return err
	}
	return renamedError{err, strings.NewReplacer(s.Rename...).Replace(err.Error())}
}

type renamedError struct {
	error
	text string
}

func (e renamedError) Error() string { return e.text }
func (e renamedError) Unwrap() error { return e.error }

// transitSeal is the Seal of a key in the engine.
type transitSeal struct {
	source Source
	conn   *conn.Conn
}

func (t *transitSeal) Type() string  { return seal.TypeTransit }
func (t *transitSeal) KeyID() string { return t.source.keyID() }

// Wrap has plaintext encrypted, and makes sure that it comes back for the same aad only: a token that may encrypt and
// not decrypt, or an engine that ignores associated data, must not be found out at the next start.
func (t *transitSeal) Wrap(ctx context.Context, plaintext, aad []byte) (blob []byte, err error) {
	err = t.bounded(ctx, func(ctx context.Context) error {
		if err := t.look(ctx); err != nil {
			return err
		}
		data, err := t.ask(ctx, "encrypt", map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plaintext),
			"associated_data": associated(aad)})
		if err != nil {
			return err
		}
		ciphertext, _ := data["ciphertext"].(string)
		blob = append([]byte{wrapFormat}, ciphertext...)
		if !wellFormed(blob) {
			return fmt.Errorf("Vault's answer from %s holds no ciphertext", t.path("encrypt"))
		}
		back, err := t.decrypt(ctx, ciphertext, aad)
		if err != nil {
			return err
		}
		defer clear(back)
		if !bytes.Equal(back, plaintext) {
			return fmt.Errorf("the %s does not give back what it has encrypted", t.source)
		}
		switch other, err := t.decrypt(ctx, ciphertext, append([]byte("not "), aad...)); {
		case err == nil:
			clear(other)
			return fmt.Errorf("the engine at %s/ in Vault ignores associated_data, as it did before Vault 1.13; use "+
				"a newer Vault, or OpenBao", t.source.mount())
		case !errors.Is(err, seal.ErrUnwrap):
			return err
		}
		return nil
	})
	if err != nil {
		return nil, t.source.renamed(err)
	}
	return blob, nil
}

// Unwrap has the engine decrypt what Wrap made.
func (t *transitSeal) Unwrap(ctx context.Context, blob, aad []byte) (plaintext []byte, err error) {
	if !wellFormed(blob) {
		return nil, seal.ErrUnwrap
	}
	err = t.bounded(ctx, func(ctx context.Context) error {
		if _, err := t.arrive(ctx); err != nil {
			return err
		}
		plaintext, err = t.decrypt(ctx, string(blob[1:]), aad)
		return err
	})
	if err != nil {
		return nil, t.source.renamed(err)
	}
	return plaintext, nil
}

func (t *transitSeal) decrypt(ctx context.Context, ciphertext string, aad []byte) ([]byte, error) {
	data, err := t.ask(ctx, "decrypt", map[string]any{"ciphertext": ciphertext, "associated_data": associated(aad)})
	if err != nil {
		return nil, err
	}
	encoded, _ := data["plaintext"].(string)
	plaintext, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(plaintext) == 0 {
		return nil, fmt.Errorf("Vault's answer from %s holds no plaintext", t.path("decrypt")) // err may quote it
	}
	return plaintext, nil
}

func associated(aad []byte) string {
	return base64.StdEncoding.EncodeToString(append([]byte{wrapFormat}, aad...))
}

// bounded runs do within the time that one act at Vault may take. Vault's connections are not kept for the next,
// which may be months away.
func (t *transitSeal) bounded(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := t.conn.Bound(ctx)
	defer cancel()
	defer t.conn.CloseIdle()
	t.conn.Certificates() // which warns of those that end
	return do(ctx)
}

// arrive finds Vault, and logs in where that is due. tokenKnown is whether Vault knows the token, as far as it tells.
func (t *transitSeal) arrive(ctx context.Context) (tokenKnown bool, err error) {
	if err := t.conn.CheckAddress(ctx); err != nil {
		return false, err
	}
	refused, err := t.conn.CheckToken(ctx)
	if err != nil {
		return false, err
	}
	// The token of an earlier act may have ended since.
	return refused == nil || t.conn.Session.Refused(ctx, t.conn.Client.Token()), nil
}

// look finds out whether the key is there and of the right type. Where the token's policies do not show it, encryption
// will tell.
func (t *transitSeal) look(ctx context.Context) error {
	tokenKnown, err := t.arrive(ctx)
	if err != nil {
		return err
	}
	at := t.path("keys")
	info, err := t.read(ctx, at)
	switch f := refusal(err); {
	case err == nil:
	case f.status == 404 && f.says("no handler for route"):
		return t.noMount()
	case f.status == 404:
		return missingKey(t.source.noKey())
	case f.status == 403 && !tokenKnown:
		return t.badToken()
	case f.status == 403:
		return nil
	case f.status == 405, f.status == 400:
		return fmt.Errorf("what is mounted at %s/ in Vault is no transit engine (it answers %d: %s); name the "+
			"engine's path with --seal-transit-mount", t.source.mount(), f.status, f.text)
	default:
		return t.conn.WhileAsking(ctx, at, err)
	}
	kind, _ := info["type"].(string)
	derived, _ := info["derived"].(bool)
	switch {
	case !slices.Contains(aeads, kind):
		return fmt.Errorf("the %s is of the type %q; a seal needs one of %s: vault write %s/keys/<another name> "+
			"type=aes256-gcm96", t.source, kind, strings.Join(aeads, ", "), t.source.mount())
	case derived:
		return fmt.Errorf("the %s was made with derived=true; a seal needs one without: vault write -f "+
			"%s/keys/<another name>", t.source, t.source.mount())
	}
	return nil
}

func (t *transitSeal) path(kind string) string {
	return path.Join(t.source.mount(), kind, t.source.Key)
}

// policy is the smallest that serves.
func (t *transitSeal) policy() string {
	return fmt.Sprintf(
		`path %q { capabilities = ["update"] } path %q { capabilities = ["update"] } `+
			`path %q { capabilities = ["read"] }`,
		t.path("encrypt"), t.path("decrypt"), t.path("keys"))
}

func (t *transitSeal) noMount() error {
	return fmt.Errorf("nothing is mounted at %s/ in Vault; enable the engine with: vault secrets enable "+
		"-path=%[1]s transit", t.source.mount())
}

func (t *transitSeal) badToken() error {
	if t.conn.Client.Token() == "" {
		return errors.New("there is no token for the Vault that opens the data; give one with --vault-token-file, " +
			"VAULT_TOKEN, or another --vault-auth-method")
	}
	return fmt.Errorf("Vault at %s refuses the token: it is wrong, expired or revoked; %s", t.conn.Address,
		t.conn.Session.Remedy())
}
