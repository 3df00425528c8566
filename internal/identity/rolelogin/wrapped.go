package rolelogin

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// maxWrap is how long something stays wrapped at most.
const maxWrap = 24 * time.Hour

var errWrapped = errs.New(errs.Invalid, "wrapping token is not valid or does not exist")

// wrapped is what is kept of something that is handed over: sealed under a key that only the wrapping token gives.
type wrapped struct {
	Sealed    []byte    `json:"sealed"`
	Path      string    `json:"path"`
	CreatedAt time.Time `json:"createdAt"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// Wrap keeps data for whoever brings the token that it returns, once, within the time. The path says where the data
// come from.
func (s *Service) Wrap(ctx context.Context, path string, data map[string]any, ttl time.Duration) (token string,
	err error) {
	if ttl <= 0 || ttl > maxWrap {
		return "", errs.New(errs.Invalid, "what is wrapped is kept for up to %s", maxWrap)
	}
	plain, err := json.Marshal(data)
	if err != nil {
		return "", err
	}
	token = authn.NewToken()
	key := wrappedKey(token)
	box, err := wrapping(token)
	if err != nil {
		return "", err
	}
	now := s.now().UTC()
	_, err = s.kv.Txn(ctx, []kv.Cond{kv.Missing(key)},
		[]kv.Op{record.Put(key, wrapped{Sealed: box.Seal(nil, nil, plain, []byte(key)), Path: path, CreatedAt: now,
			ExpiresAt: now.Add(ttl)})})
	return token, kv.Coded(err)
}

// Wrapped is what whoever has a wrapping token may know before they unwrap: that nobody has done so yet, and where it
// is from.
type Wrapped struct {
	Path      string
	CreatedAt time.Time
	TTL       time.Duration // from CreatedAt
}

// LookUpWrapped tells of what is kept for the token, and keeps it.
func (s *Service) LookUpWrapped(ctx context.Context, token string) (Wrapped, error) {
	kept, _, err := record.Proof[wrapped](ctx, s.kv, wrappedKey(token), errWrapped)
	if err != nil {
		return Wrapped{}, err
	}
	if !s.now().Before(kept.ExpiresAt) {
		return Wrapped{}, errWrapped
	}
	return Wrapped{Path: kept.Path, CreatedAt: kept.CreatedAt, TTL: kept.ExpiresAt.Sub(kept.CreatedAt)}, nil
}

// Unwrap gives what is kept for the token, and keeps it no more.
func (s *Service) Unwrap(ctx context.Context, token string) (map[string]any, error) {
	key := wrappedKey(token)
	kept, r, err := record.Proof[wrapped](ctx, s.kv, key, errWrapped)
	if err != nil {
		return nil, err
	}
	_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)}, []kv.Op{kv.Delete(key)})
	if errors.Is(err, kv.ErrConflict) { // somebody else was faster
		return nil, errWrapped
	}
	if err != nil {
		return nil, kv.Coded(err)
	}
	if !s.now().Before(kept.ExpiresAt) {
		return nil, errWrapped
	}
	box, err := wrapping(token)
	if err != nil {
		return nil, err
	}
	plain, err := box.Open(nil, nil, kept.Sealed, []byte(key))
	if err != nil {
		return nil, err
	}
	var data map[string]any
	return data, json.Unmarshal(plain, &data)
}

func wrappedKey(token string) string { return record.Key("wrapped", identity.HashOf(token)) }

// wrapping is the cipher of a wrapping token. The token is random, and its hash, by which the record
// is found, gives no key.
func wrapping(token string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "strongroom/v1/wrapped", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
