package perorg

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
)

// Two of Vault's calls do with less than an entry: subkeys lists its keys without fetching a value, and a JSON merge patch
// changes some values without sending the others. Neither tells strings from what is someone else's, so both need to know
// the shape of the entry's present version: it is learned from what was read and written in full, and good for exactly
// that version. Where it is not known, or policies do not allow these calls, the whole entry is read and written.

// shape is what is known of one version of an entry without its values.
type shape struct {
	version int64
	created string              // when, as Vault gives it: versions begin anew after an entry's removal
	foreign map[string]struct{} // the keys of values that are not strings
}

// maxShapes bounds how many are kept. Most have no foreign keys and are a few words long.
const maxShapes = 10_000

// shapes are those last seen, by organisation, and which of the two calls were refused where.
type shapes struct {
	mu      sync.Mutex
	known   map[id.ID]shape
	refused map[refusal]time.Time
}

type refusal struct {
	at   kv2.Place
	call string
}

// anew is after what time a refused call is tried again, since policies change.
const anew = 5 * time.Minute

func newShapes() *shapes {
	return &shapes{known: make(map[id.ID]shape), refused: make(map[refusal]time.Time)}
}

func (s *shapes) of(org id.ID) (shape, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.known[org]
	return k, ok
}

func (s *shapes) learn(org id.ID, k shape) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.version == 0 || k.created == "" {
		delete(s.known, org)
		return
	}
	if _, ok := s.known[org]; !ok && len(s.known) >= maxShapes {
		for other := range s.known { // any
			delete(s.known, other)
			break
		}
	}
	s.known[org] = k
}

func (s *shapes) forget(org id.ID) { s.learn(org, shape{}) }

func (s *shapes) may(p kv2.Place, call string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.refused[refusal{p, call}]
	return !ok || time.Since(at) > anew
}

func (s *shapes) refuse(p kv2.Place, call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[refusal{p, call}] = time.Now()
}

// foreignIn are the keys of what is not a string.
func foreignIn(data map[string]json.RawMessage) map[string]struct{} {
	var foreign map[string]struct{}
	for key, raw := range data {
		if !isString(raw) {
			if foreign == nil {
				foreign = make(map[string]struct{})
			}
			foreign[key] = struct{}{}
		}
	}
	return foreign
}

// notAllowed reports whether a call that Vault need not allow, or know, ended for that reason.
func notAllowed(err error) bool {
	return conn.Is(err, conn.Denied) || conn.Is(err, conn.Unmounted) || conn.Is(err, conn.Strange)
}

// subkeys lists an organisation's keys where the shape of its entry is known. ok is false where the entry must be read.
func (s *Store) subkeys(ctx context.Context, org id.ID) (keys []string, ok bool, err error) {
	k, known := s.shapes.of(org)
	if !known {
		return nil, false, nil
	}
	at, err := s.at(ctx, org)
	if err != nil || !s.shapes.may(at.Place, "subkeys") {
		return nil, false, err
	}
	var answer struct {
		Data struct {
			Subkeys  map[string]struct{}
			Metadata kv2.Version
		}
	}
	r := at.Request(http.MethodGet, "subkeys", "read")
	r.Optional = true
	odd := false
	err = at.Raw(ctx, r, map[string][]string{"depth": {"1"}}, func(status int, body []byte) bool {
		odd = json.Unmarshal(body, &answer) != nil
		return status == http.StatusOK
	})
	switch {
	case err == nil && odd:
		s.shapes.refuse(at.Place, "subkeys")
		return nil, false, nil
	case conn.Is(err, conn.Unmounted): // no entry, a deleted version, or no such call
		s.shapes.forget(org)
		return nil, false, nil
	case notAllowed(err):
		s.shapes.refuse(at.Place, "subkeys")
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	if m := answer.Data.Metadata; m.Version != k.version || m.Created != k.created {
		return nil, false, nil // others have written
	}
	keys = make([]string, 0, len(answer.Data.Subkeys))
	for key := range answer.Data.Subkeys {
		if _, foreign := k.foreign[key]; !foreign {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, true, nil
}

// patch makes changes that only set values by a JSON merge patch against the version whose shape is known. sent is false
// where that cannot be done; then nothing has happened.
func (s *Store) patch(ctx context.Context, org id.ID, changes []secret.Change) (sent bool, err error) {
	k, known := s.shapes.of(org)
	if !known {
		return false, nil
	}
	data := make(map[string]json.RawMessage)
	for _, c := range changes {
		if len(c.Delete) > 0 { // which may be of what is not there, and then is no reason for a new version
			return false, nil
		}
		for key, v := range c.Set {
			data[key] = kv2.Encode(string(v.Bytes()))
		}
	}
	at, err := s.at(ctx, org)
	if err != nil || !s.shapes.may(at.Place, "patch") {
		return false, err
	}
	r := at.Request(http.MethodPatch, "data", "patch")
	r.Optional = true
	var written *api.Secret
	err = s.conn.Do(ctx, r, func(ctx context.Context) (err error) {
		written, err = at.Client.Logical().JSONMergePatch(ctx, r.Path, map[string]any{"data": data, "options": map[string]int64{"cas": k.version}})
		return err
	})
	s.shapes.forget(org)
	switch {
	case conn.Is(err, conn.Unmounted): // the latest version is deleted, or all are gone
		return false, nil
	case notAllowed(err):
		s.shapes.refuse(at.Place, "patch")
		s.shapes.learn(org, k)
		return false, nil
	case err != nil:
		return true, err
	}
	foreign := maps.Clone(k.foreign)
	for key := range data {
		delete(foreign, key)
	}
	v, err := at.Written(written, r)
	if err == nil {
		s.shapes.learn(org, shape{v.Version, v.Created, foreign})
	}
	return true, err
}
