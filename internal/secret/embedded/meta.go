package embedded

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
)

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
	// Deleted is when the version was deleted by itself; its value is kept.
	Deleted   int64 `json:"deleted,omitempty"`
	Destroyed bool  `json:"destroyed,omitempty"`
}

type deletion struct {
	At int64  `json:"at"`
	By string `json:"by,omitempty"`
}

func (m *meta) newest() *version { return &m.Versions[len(m.Versions)-1] }

// version is the one of that number; nil where it is not kept.
func (m *meta) version(n int) *version {
	for i := range m.Versions {
		if m.Versions[i].N == n {
			return &m.Versions[i]
		}
	}
	return nil
}

// readable reports whether the version's value may be given out, where it is there.
func (v *version) readable() bool { return v != nil && !v.Lost && !v.Destroyed && v.Deleted == 0 }

// metaOf opens a metadata record. A secret that an older influxd has set has none: then its value tells the time.
func (s *Store) metaOf(ctx context.Context, org id.ID, record, current found) (*meta, error) {
	if record.sealed == nil {
		if current.sealed == nil {
			return nil, nil
		}
		m := &meta{Versions: []version{{N: 1}}}
		if plain, err := s.ring.OpenFresh(ctx, org, current.as, current.sealed); err == nil &&
			len(plain) >= valueHeader {
			m.Created = int64(binary.BigEndian.Uint64(plain[1:]))
			m.Versions[0].At = m.Created
			clear(plain)
		}
		return m, nil
	}
	plain, err := s.ring.OpenFresh(ctx, org, record.as, record.sealed)
	if err != nil {
		return nil, err
	}
	m := &meta{}
	if err := json.Unmarshal(plain, m); err != nil || len(m.Versions) == 0 {
		return nil, errors.New("the opened metadata are malformed")
	}
	return m, nil
}

func fromMs(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// maxMade bounds how many metadata are remembered, each some hundred bytes.
const maxMade = 2000

// made remembers the metadata that changes have sealed, for the next change of the same secret: to open and to read
// them is a large part of what a change costs. They are known by the very record that was sealed, and by what it
// belongs to, so that a record which was altered, moved or put back is opened and refused as ever.
type made struct {
	mu    sync.Mutex
	metas map[sealedMeta]*meta
}

type sealedMeta struct {
	org    id.ID
	as     keyring.Belongs
	sealed string
}

func (m *made) keep(org id.ID, as keyring.Belongs, sealed []byte, of *meta) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.metas == nil {
		m.metas = make(map[sealedMeta]*meta)
	}
	for victim := range m.metas { // any: map order is as good as random
		if len(m.metas) < maxMade {
			break
		}
		delete(m.metas, victim)
	}
	m.metas[sealedMeta{org, as, string(sealed)}] = of
}

// take gives the metadata that the record was sealed from, nil where they are not remembered. They
// are the caller's then.
func (m *made) take(org id.ID, f found) *meta {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := sealedMeta{org, f.as, string(f.sealed)}
	of := m.metas[r]
	delete(m.metas, r)
	return of
}
