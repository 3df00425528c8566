package secrets

import (
	"net/http"
	"sync"

	"strongroom/internal/access"
	"strongroom/internal/secret/service"

	"strongroom/internal/errs"
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// maxNamed bounds how many secrets one request names.
const maxNamed = 1000

// getSecretValues gives values out to be used, as one flat object: what Telegraf's secretstores.http reads.
func (h *handlers) getSecretValues(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	keys := r.Query()["key"]
	if len(keys) > maxNamed {
		return errs.New(errs.Invalid, "at most %d keys may be named in one request; without any, all are answered",
			maxNamed)
	}
	if watches(r) {
		return h.watch(w, r, org, keys)
	}
	return h.answerValues(w, r, org, keys)
}

func (h *handlers) answerValues(w http.ResponseWriter, r *exchange.Request, org id.ID, keys []string) error {
	snap, tag, err := h.use(r, org, keys)
	if err != nil {
		return err
	}
	if snap.Unread || noneMatch(r.Request, tag) {
		notModified(w, tag)
		return nil
	}
	setTag(w, tag)
	return sendValues(w, snap)
}

// use reads values to be given out, and their tag. Where that is the caller's, no use of them is on record.
func (h *handlers) use(r *exchange.Request, org id.ID, keys []string) (secret.Snapshot, string, error) {
	q := secret.Query{Keys: keys, ForUse: true, Versions: true}
	var snap secret.Snapshot
	var known func(secret.Snapshot) bool
	if len(r.Header["If-None-Match"]) > 0 {
		// It may still be asked when this request has ended, and so changes nothing.
		known = func(s secret.Snapshot) bool { return noneMatch(r.Request, h.tags.of(org, s)) }
	}
	scope := service.Scope(r.Caller, access.Use, org)
	err := h.sizes.Hold(r.Context(), r.Hold, scope, len(keys), func() (size int64, err error) {
		snap, err = h.secrets.SnapshotUnless(r.Context(), r.Caller, org, q, known)
		if snap.Unread {
			return -1, err
		}
		for k, got := range snap.Secrets {
			size += int64(len(k) + got.Value.Len() + 128)
		}
		return size, err
	})
	if err != nil {
		return snap, "", err
	}
	return snap, h.tags.of(org, snap), nil
}

// valuesBuffer is how much of the values is written at a time, in bytes. An answer that fits is sent whole.
const valuesBuffer = 64 << 10

// valuesBuffers are wiped, and of valuesBuffer or more.
var valuesBuffers = sync.Pool{New: func() any { b := make([]byte, 0, valuesBuffer+valuesBuffer/8); return &b }}

// sendValues writes an object of names and values, lets go of the values that it has sent, and wipes what it wrote
// them in. A client that has gone is no error of ours.
func sendValues(w http.ResponseWriter, snap secret.Snapshot) error {
	buffer := valuesBuffers.Get().(*[]byte)
	b := append(*buffer, '{')
	defer func() {
		clear(b)
		if cap(b) <= 2*valuesBuffer { // or else a value was long
			*buffer = b[:0]
			valuesBuffers.Put(buffer)
		}
	}()
	names, sent := snap.Names(), 0
	begun := false
	for i, k := range names {
		if i > 0 {
			b = append(b, ',')
		}
		was := b
		b = appendValue(append(exchange.AppendString(b, k), ':'), snap.Secrets[k].Value.Shown())
		if &was[0] != &b[0] {
			clear(was[:cap(was)])
		}
		if len(b) < valuesBuffer || i == len(names)-1 {
			continue
		}
		for ; sent <= i; sent++ {
			delete(snap.Secrets, names[sent])
		}
		if !begun {
			begun = true
			exchange.Begin(w)
		}
		if _, err := w.Write(b); err != nil {
			return nil
		}
		clear(b)
		b = b[:0]
	}
	b = append(b, '}')
	if !begun {
		exchange.WriteBytes(w, http.StatusOK, b)
		return nil
	}
	_, _ = w.Write(b)
	return nil
}

// getSecretValue gives one value out to be used: what a webhook of the External Secrets Operator reads.
func (h *handlers) getSecretValue(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	key := exchange.PathKey(r.Request)
	snap, tag, err := h.use(r, org, []string{key})
	if err != nil {
		return err
	}
	if snap.Unread || noneMatch(r.Request, tag) {
		notModified(w, tag)
		return nil
	}
	setTag(w, tag)
	writeValues(w, append(appendValue([]byte(`{"value":`), snap.Secrets[key].Value.Shown()), '}'))
	return nil
}

func appendValue(b []byte, v secret.Value) []byte { return exchange.AppendString(b, v.Bytes()) }

// writeValues answers, and wipes what it was made in.
func writeValues(w http.ResponseWriter, b []byte) {
	exchange.WriteBytes(w, http.StatusOK, b)
	clear(b)
}
