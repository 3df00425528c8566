package content

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"strongroom/internal/id"
	"strongroom/internal/secret/embedded/records"
)

// Meta is what a secret's metadata record seals, as JSON. Times are Unix ms.
type Meta struct {
	Created     int64     `json:"created"`
	Description string    `json:"description,omitempty"`
	Expires     int64     `json:"expires,omitempty"`
	Versions    []Version `json:"versions"` // oldest first; the last one is the newest
	Deleted     *Deletion `json:"deleted,omitempty"`
}

// Version is what is known of one version of a secret.
type Version struct {
	N  int    `json:"n"`
	At int64  `json:"at"`
	By string `json:"by,omitempty"`
	// Lost marks a version whose value did not open when it should have been put aside.
	Lost bool `json:"lost,omitempty"`
	// Deleted is when the version was deleted by itself; its value is kept.
	Deleted   int64 `json:"deleted,omitempty"`
	Destroyed bool  `json:"destroyed,omitempty"`
}

// Deletion is when a secret was deleted, and by whom.
type Deletion struct {
	At int64  `json:"at"`
	By string `json:"by,omitempty"`
}

// Encode gives the metadata as JSON: what a secret mostly has by hand, which takes a fifth of the time.
func (m *Meta) Encode() ([]byte, error) {
	if m.Description != "" || m.Expires != 0 || m.Deleted != nil {
		return json.Marshal(m)
	}
	b := make([]byte, 0, 64+64*len(m.Versions))
	b = strconv.AppendInt(append(b, `{"created":`...), m.Created, 10)
	b = append(b, `,"versions":[`...)
	for i, v := range m.Versions {
		if v.Lost || v.Deleted != 0 || v.Destroyed || !plainText(v.By) {
			return json.Marshal(m)
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"n":`...), int64(v.N), 10)
		b = strconv.AppendInt(append(b, `,"at":`...), v.At, 10)
		if v.By != "" {
			b = append(append(append(b, `,"by":"`...), v.By...), '"')
		}
		b = append(b, '}')
	}
	return append(b, "]}"...), nil
}

// plainText reports whether the text stands in JSON as it is.
func plainText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || strings.IndexByte(`"\<>&`, c) >= 0 {
			return false
		}
	}
	return true
}

// Newest is the newest version.
func (m *Meta) Newest() *Version { return &m.Versions[len(m.Versions)-1] }

// Version is the one of that number; nil where it is not kept.
func (m *Meta) Version(n int) *Version {
	for i := range m.Versions {
		if m.Versions[i].N == n {
			return &m.Versions[i]
		}
	}
	return nil
}

// Readable reports whether the version's value may be given out, where it is there.
func (v *Version) Readable() bool { return v != nil && !v.Lost && !v.Destroyed && v.Deleted == 0 }

// OpenMeta opens a metadata record. A secret that an older influxd has set has none: then its value tells the time.
// Where the value says that there is one, it was lost or taken away: ErrNoMeta.
func (r Reader) OpenMeta(ctx context.Context, org id.ID, record, current Found) (*Meta, error) {
	if record.Sealed == nil {
		if current.Sealed == nil {
			return nil, nil
		}
		m := &Meta{Versions: []Version{{N: 1}}}
		if plain, err := r.Ring.OpenFresh(ctx, org, current.As, current.Sealed); err == nil &&
			len(plain) >= valueHeader {
			m.Created = int64(binary.BigEndian.Uint64(plain[1:]))
			m.Versions[0].At = m.Created
			has := HasMeta(plain)
			if clear(plain); has {
				return nil, ErrNoMeta
			}
		}
		return m, nil
	}
	plain, err := r.Ring.OpenFresh(ctx, org, record.As, record.Sealed)
	if err != nil {
		return nil, err
	}
	return ParseMeta(plain)
}

// ErrNoMeta is a secret whose metadata are gone.
var ErrNoMeta = errors.New("its record is missing")

// Old looks whether a secret that has a value and no metadata is one that an older influxd has set: it has no earlier
// versions. Where it has, their record was lost or taken away: ErrNoMeta.
func (r Reader) Old(ctx context.Context, at Places) error {
	for _, place := range []*records.Place{&at.Now, at.Was} {
		if place == nil {
			continue
		}
		first := place.Slot(records.Version(0)).Key
		some, err := r.KV.List(ctx, first[:strings.LastIndexByte(first, 0)+1], "", 1)
		if err != nil {
			return err
		}
		if len(some) > 0 {
			return ErrNoMeta
		}
	}
	return nil
}

// ParseMeta reads metadata that were opened.
func ParseMeta(plain []byte) (*Meta, error) {
	m := &Meta{}
	if m.parsePlain(plain) {
		return m, nil
	}
	*m = Meta{}
	if err := json.Unmarshal(plain, m); err != nil || len(m.Versions) == 0 {
		return nil, errors.New("the opened metadata are malformed")
	}
	return m, nil
}

// parsePlain reads what Encode has written by hand, which takes a tenth of the time; ok is false for all else.
func (m *Meta) parsePlain(plain []byte) (ok bool) {
	rest := plain
	take := func(text string) bool {
		after, found := bytes.CutPrefix(rest, []byte(text))
		rest = after
		return found
	}
	// number takes one as Encode writes it: without a leading zero, and of 18 digits at most.
	number := func() (n int64, ok bool) {
		minus := take("-")
		i := 0
		for ; i < len(rest) && '0' <= rest[i] && rest[i] <= '9'; i++ {
			n = 10*n + int64(rest[i]-'0')
			if i == 18 {
				return 0, false
			}
		}
		if i == 0 || rest[0] == '0' && (i > 1 || minus) {
			return 0, false
		}
		rest = rest[i:]
		if minus {
			n = -n
		}
		return n, true
	}
	if !take(`{"created":`) {
		return false
	}
	if m.Created, ok = number(); !ok || !take(`,"versions":[`) {
		return false
	}
	for {
		var v Version
		var n int64
		if !take(`{"n":`) {
			return false
		}
		if n, ok = number(); !ok || int64(int(n)) != n || !take(`,"at":`) {
			return false
		}
		v.N = int(n)
		if v.At, ok = number(); !ok {
			return false
		}
		if take(`,"by":"`) {
			end := bytes.IndexByte(rest, '"')
			if end < 0 || !plainText(string(rest[:end])) {
				return false
			}
			v.By, rest = string(rest[:end]), rest[end+1:]
			if !take("}") {
				return false
			}
		} else if !take("}") {
			return false
		}
		m.Versions = append(m.Versions, v)
		if take("]}") {
			return len(rest) == 0
		}
		if !take(",") {
			return false
		}
	}
}

// Time is the time that a record gives in Unix ms, and zero for none.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// ToMs is the opposite of Time.
func ToMs(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}
