package mount

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"

	"strongroom/internal/id"
	"strongroom/internal/secret"
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
	was map[string]secret.Fingerprint
}

func newRecent() *recent {
	key := make([]byte, 32)
	rand.Read(key) // never fails since Go 1.24
	return &recent{key: key, known: make(map[at]*list.Element), order: list.New()}
}

// Of makes the fingerprint of a value.
func (r *recent) Of(key string, v secret.Value) (f secret.Fingerprint) {
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
func (r *recent) At(org id.ID, version int64) (map[string]secret.Fingerprint, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.known[at{org, version}]
	if !ok {
		return nil, false
	}
	r.order.MoveToFront(e)
	return e.Value.(*remembered).was, true
}

// note remembers a snapshot of all of an organisation's secrets.
func (r *recent) note(org id.ID, snap secret.Snapshot) {
	where := at{org, snap.Version}
	if _, ok := r.At(org, snap.Version); ok || len(snap.Secrets) > maxFingerprints/4 {
		return
	}
	was := make(map[string]secret.Fingerprint, len(snap.Secrets))
	for k, s := range snap.Secrets {
		was[k] = r.Of(k, s.Value.Shown())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.known[where]; ok {
		return
	}
	r.known[where] = r.order.PushFront(&remembered{where, was})
	r.size += len(was) + 1
	for r.size > maxFingerprints {
		oldest := r.order.Back()
		old := r.order.Remove(oldest).(*remembered)
		delete(r.known, old.at)
		r.size -= len(old.was) + 1
	}
}
