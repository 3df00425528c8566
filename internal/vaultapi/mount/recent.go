package mount

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
)

// maxFingerprints bounds how many are kept of all organisations together: some 30 MB.
const maxFingerprints = 1 << 18

// recent remembers, of the versions that were read last, what their values were, by fingerprints under a key that
// lives in memory alone.
type recent struct {
	key []byte

	mu    sync.Mutex
	known map[at]*list.Element // of *remembered
	order *list.List           // used last in front
	size  int
}

type at struct {
	org     id.ID
	version int64
}

type remembered struct {
	at
	changed time.Time // when it became that: an organisation whose secrets were removed for good counts anew
	was     map[string]service.Fingerprint
}

func newRecent() *recent {
	key := make([]byte, 32)
	rand.Read(key) // never fails since Go 1.24
	return &recent{key: key, known: make(map[at]*list.Element), order: list.New()}
}

// Of makes the fingerprint of a value.
func (r *recent) Of(key string, v secret.Value) (f service.Fingerprint) {
	mac := hmac.New(sha256.New, r.key)
	// The name's length goes before it: no two pairs give the same text.
	n := len(key)
	mac.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	mac.Write([]byte(key))
	mac.Write(v.Bytes())
	mac.Sum(f[:0])
	return f
}

// At gives the fingerprints of a version.
func (r *recent) At(org id.ID, version int64) (map[string]service.Fingerprint, bool) {
	if e := r.get(at{org, version}); e != nil {
		return e.was, true
	}
	return nil, false
}

func (r *recent) get(where at) *remembered {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.known[where]
	if !ok {
		return nil
	}
	r.order.MoveToFront(e)
	return e.Value.(*remembered)
}

// note remembers a snapshot of all of an organisation's secrets. What another version of that number was is forgotten.
func (r *recent) note(org id.ID, snap secret.Snapshot) {
	where := at{org, snap.Version}
	if e := r.get(where); e != nil && e.changed.Equal(snap.Changed) || len(snap.Secrets) > maxFingerprints/4 {
		return
	}
	was := make(map[string]service.Fingerprint, len(snap.Secrets))
	for k, s := range snap.Secrets {
		was[k] = r.Of(k, s.Value.Shown())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.known[where]; ok {
		r.drop(e)
	}
	r.known[where] = r.order.PushFront(&remembered{where, snap.Changed, was})
	r.size += len(was) + 1
	for r.size > maxFingerprints {
		r.drop(r.order.Back())
	}
}

// forget drops what is known of an organisation whose secrets were removed for good.
func (r *recent) forget(org id.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for where, e := range r.known {
		if where.org == org {
			r.drop(e)
		}
	}
}

// drop forgets one. The caller holds mu.
func (r *recent) drop(e *list.Element) {
	old := r.order.Remove(e).(*remembered)
	delete(r.known, old.at)
	r.size -= len(old.was) + 1
}
