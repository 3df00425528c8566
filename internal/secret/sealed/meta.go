package sealed

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
)

// metaKind and versionKind are what the sealed records beside the value belong to.
const (
	metaKind    = "secret metadata"
	versionKind = "secret version"
)

func metaKey(org id.ID, name string) string { return dataPrefix(org) + "m/" + name }

// versionName names an earlier version: a name holds no control character, so that it ends where the NUL is.
func versionName(name string, n int) string { return fmt.Sprintf("%s\x00%010d", name, n) }

func versionKey(org id.ID, name string, n int) string {
	return dataPrefix(org) + "h/" + versionName(name, n)
}

func trashPrefix(org id.ID) string { return trashRoot + org.String() + "/" }

// trashKey sorts by the time of the deletion (ms).
func trashKey(org id.ID, at int64, name string) string {
	return fmt.Sprintf("%s%013d/%s", trashPrefix(org), at, name)
}

const trashRoot = "trash/"

func metaBelongs(name string) keyring.Belongs { return keyring.Belongs{Kind: metaKind, Key: name} }
func versionBelongs(name string, n int) keyring.Belongs {
	return keyring.Belongs{Kind: versionKind, Key: versionName(name, n)}
}

// meta is what a secret's metadata record seals, as JSON. Times are Unix ms.
type meta struct {
	Created     int64     `json:"created"`
	Description string    `json:"description,omitempty"`
	Expires     int64     `json:"expires,omitempty"`
	Versions    []version `json:"versions"` // oldest first; the last one is the newest
	Deleted     *deletion `json:"deleted,omitempty"`
}

type version struct {
	N  int    `json:"n"`
	At int64  `json:"at"`
	By string `json:"by,omitempty"`
	// Lost marks a version whose value did not open when it should have been put aside.
	Lost bool `json:"lost,omitempty"`
}

type deletion struct {
	At int64  `json:"at"`
	By string `json:"by,omitempty"`
}

func (m *meta) newest() *version { return &m.Versions[len(m.Versions)-1] }

// metaOf opens a metadata record. A secret that an older influxd has set has none: then its value tells the time.
func (s *Store) metaOf(ctx context.Context, org id.ID, name string, record, current []byte) (*meta, error) {
	if record == nil {
		if current == nil {
			return nil, nil
		}
		m := &meta{Versions: []version{{N: 1}}}
		if plain, err := s.open(ctx, org, belongsTo(name), current); err == nil && len(plain) >= valueHeader {
			m.Created = int64(binary.BigEndian.Uint64(plain[1:]))
			m.Versions[0].At = m.Created
			clear(plain)
		}
		return m, nil
	}
	plain, err := s.open(ctx, org, metaBelongs(name), record)
	if err != nil {
		return nil, err
	}
	m := &meta{}
	if err := json.Unmarshal(plain, m); err != nil || len(m.Versions) == 0 {
		return nil, errors.New("the opened metadata are malformed")
	}
	return m, nil
}

func (s *Store) sealMeta(org id.ID, name string, m *meta) ([]byte, error) {
	plain, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return s.ring.Seal(org, metaBelongs(name), plain)
}

func fromMs(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
