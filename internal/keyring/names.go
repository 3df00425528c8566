package keyring

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"

	"strongroom/internal/id"
)

// Clear is the form in which the names of secrets stand in the keys of records as they are. Every other form is the
// number of a term, under whose index key each name gives an index that stands in its place.
const Clear uint32 = 0

// Names is the form of the names of secrets. It is kept in the keyring, sealed, so that who can write the file cannot
// have the names that come written in clear.
type Names struct {
	Form   uint32 `json:"form"`             // what is written
	Moving bool   `json:"moving,omitempty"` // records of the form From may still be there
	From   uint32 `json:"from,omitempty"`
}

// ErrRotating is a change of the names' form refused while the keys are being rotated; ErrMoving a rotation refused
// while the names go from one form to another.
var (
	ErrRotating = errors.New("a rotation of the keys is under way")
	ErrMoving   = errors.New("the names of secrets are being sealed, or unsealed")
)

// Names tells in which form the names of secrets are.
func (k *Keyring) Names() Names {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.content.names()
}

// SealNames has the names sealed from now on, or, where on is false, written in clear, and reports whether that is
// something new. What is there is of the former form until somebody has moved it and said so with NamesMoved. Data
// with sealed names have a keyring that an older influxd refuses.
func (k *Keyring) SealNames(ctx context.Context, on bool) (begun bool, err error) {
	var refused error
	err = k.change(ctx, func(c *content) bool {
		refused, begun = nil, false
		n := c.names()
		if on == (n.Form != Clear) {
			return false
		}
		if len(c.Terms) > 1 {
			refused = ErrRotating
			return false
		}
		to := Clear
		if on {
			to = c.Current
		}
		c.Names, begun = &Names{Form: to, Moving: true, From: n.Form}, true
		return true
	})
	if err = errors.Join(err, refused); err != nil {
		return false, err
	}
	return begun, nil
}

// NamesMoved ends the move to the form: nothing of the former one is left.
func (k *Keyring) NamesMoved(ctx context.Context, to uint32) error {
	return k.change(ctx, func(c *content) bool {
		if n := c.names(); !n.Moving || n.Form != to {
			return false
		}
		c.Names = &Names{Form: to}
		if to == Clear {
			c.Names = nil
		}
		return true
	})
}

// names is Names of the content: in clear where nothing is said.
func (c *content) names() Names {
	if c.Names == nil {
		return Names{}
	}
	return *c.Names
}

// keepsNames reports whether names may be of the term's form.
func (c *content) keepsNames(number uint32) bool {
	n := c.names()
	return number != Clear && (n.Form == number || n.Moving && n.From == number)
}

// Index is what stands for a name in the keys of the organisation's records, in the form of the term: HMAC-SHA-256 of
// the name under a key of the organisation and the term, in base64 (RFC 4648, section 5, without padding). The same
// name always gives the same index; without the key nobody can tell which name an index is of, nor try names.
func (k *Keyring) Index(term uint32, org id.ID, name string) (string, error) {
	keys, err := k.keysOf(term, org)
	if err != nil {
		return "", err
	}
	mac := keys.index.Get().(hash.Hash)
	defer keys.index.Put(mac)
	mac.Reset()
	mac.Write([]byte(name))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

func indexKey(termKey []byte, org id.ID) ([]byte, error) {
	return hkdf.Key(sha256.New, termKey, nil, "strongroom/v1/names/"+org.String(), keyLen)
}
