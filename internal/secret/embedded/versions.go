package embedded

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"strongroom/internal/id"
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
}

type deletion struct {
	At int64  `json:"at"`
	By string `json:"by,omitempty"`
}

func (m *meta) newest() *version { return &m.Versions[len(m.Versions)-1] }

// metaOf opens a metadata record. A secret that an older influxd has set has none: then its value tells the time.
func (s *Store) metaOf(ctx context.Context, org id.ID, record, current found) (*meta, error) {
	if record.sealed == nil {
		if current.sealed == nil {
			return nil, nil
		}
		m := &meta{Versions: []version{{N: 1}}}
		if plain, err := s.ring.OpenFresh(ctx, org, current.as, current.sealed); err == nil && len(plain) >= valueHeader {
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
