package keyring

import (
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The records of the keyring. Both say what they are to whoever looks into the data, and hold nothing that opens
// anything by itself.
const (
	SealRecord    = "core/seal"    // JSON of sealRecord
	KeyringRecord = "core/keyring" // format byte | nonce | AES-256-GCM of the JSON of content, under the root key
)

// What the two ciphertexts are, as their additional data.
const (
	rootLabel    = "strongroom/v1/core/seal/root"
	contentLabel = "strongroom/v1/core/keyring"
)

// The formats of the two records. The keyring's has the second one where names are sealed, or going to be or to be no
// longer: an influxd that knows the first alone would take indexes for names, and refuses it. It has the third where
// the records of users and tokens are sealed, which an older influxd can neither read nor write.
const (
	recordFormat           = 1
	recordFormatNames      = 2
	recordFormatIdentities = 3
)

// sealRecord is who wraps the root key.
type sealRecord struct {
	Format  int       `json:"format"`
	Seal    string    `json:"seal"`  // seal.Seal's Type
	KeyID   string    `json:"keyId"` // and KeyID
	Root    []byte    `json:"root"`  // the wrapped root key
	Created time.Time `json:"created"`
}

// named is the key in messages.
func (r sealRecord) named() string {
	if r.KeyID == "" { // a passphrase has none: any would help to guess it
		return "made " + r.Created.Format(time.DateTime)
	}
	return "key " + r.KeyID
}

// content is what the keyring's record seals.
type content struct {
	StoreID string `json:"storeId"`
	Secret  []byte `json:"secret"` // DeriveKey's
	Current uint32 `json:"current"`
	Terms   []term `json:"terms"`
	Names   *Names `json:"names,omitempty"` // nil where they are in clear
	// Identities says that all records of users, tokens and organisations are sealed: one that is not is a forgery.
	Identities bool `json:"identities,omitempty"`
	// SetUp says that there has been a first user. The last operator cannot be deleted: data without
	// one have lost records.
	SetUp bool `json:"setUp,omitempty"`
}

type term struct {
	Term    uint32    `json:"term"`
	Key     []byte    `json:"key"`
	Created time.Time `json:"created"`
	Sealed  uint64    `json:"sealed,omitempty"` // how many values were sealed under it, as far as that has been counted
}

// valid reports whether the content can be worked with.
func (c *content) valid() bool {
	current := false
	for _, t := range c.Terms {
		if t.Term == 0 || len(t.Key) != keyLen {
			return false
		}
		current = current || t.Term == c.Current
	}
	names := c.names()
	for _, form := range []uint32{names.Form, names.From} {
		if form != Clear && c.key(form) == nil {
			return false
		}
	}
	return current && len(c.Secret) == keyLen && c.StoreID != "" && (names.Moving || names.From == Clear)
}

// format returns the format byte of the content's record.
func (c *content) format() byte {
	switch {
	case c.Identities:
		return recordFormatIdentities
	case c.Names != nil:
		return recordFormatNames
	}
	return recordFormat
}

func (c *content) wipe() {
	clear(c.Secret)
	for _, t := range c.Terms {
		clear(t.Key)
	}
}

func parseSealRecord(b []byte) (sealRecord, error) {
	var rec sealRecord
	if err := json.Unmarshal(b, &rec); err != nil || rec.Seal == "" {
		return rec, fmt.Errorf("the record %s is damaged; restore the data from a backup", SealRecord)
	}
	if rec.Format != recordFormat {
		return rec, fmt.Errorf("the record %s was written by a newer influxd (format %d; this one knows %d): "+
			"start that one", SealRecord, rec.Format, recordFormat)
	}
	return rec, nil
}

// sealContent is the value of the keyring's record.
func sealContent(root cipher.AEAD, c *content) ([]byte, error) {
	plaintext, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	out := make([]byte, 1+nonceLen, 1+nonceLen+len(plaintext)+tagLen)
	out[0] = c.format()
	random(out[1:])
	return root.Seal(out, out[1:], plaintext, append([]byte{out[0]}, contentLabel...)), nil
}

func openContent(root cipher.AEAD, value []byte) (*content, error) {
	damaged := fmt.Errorf("the record %s is damaged, or does not belong to %s; restore the data from a backup",
		KeyringRecord, SealRecord)
	if len(value) < 1+nonceLen+tagLen {
		return nil, damaged
	}
	if value[0] < recordFormat || value[0] > recordFormatIdentities {
		return nil, fmt.Errorf("the record %s was written by a newer influxd (format %d; this one knows %d): "+
			"start that one", KeyringRecord, value[0], recordFormatIdentities)
	}
	plaintext, err := root.Open(nil, value[1:1+nonceLen], value[1+nonceLen:], append([]byte{value[0]}, contentLabel...))
	if err != nil {
		return nil, damaged
	}
	defer clear(plaintext)
	c := &content{}
	if err := json.Unmarshal(plaintext, c); err != nil {
		return nil, errors.New("the keyring opens and is not readable: " + KeyringRecord)
	}
	if !c.valid() || c.format() != value[0] {
		return nil, damaged
	}
	return c, nil
}
