package perorg

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/bounded"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/queue"
)

// Three of Vault's calls do with less than an entry: metadata and subkeys tell which version of it is the present one
// without fetching a value, and a JSON merge patch changes some values without sending the others. None tells strings
// from what is someone else's, so they need to know the shape of that version: it is learned from what was read and
// written in full, and good for exactly that version, since Vault never changes one. Where it is not known, or policies
// do not allow these calls, the whole entry is read and written.

// shape is what is known of one version of an entry without its values.
type shape struct {
	version int64
	created string              // when, as Vault gives it: versions begin anew after an entry's removal
	keys    []string            // of the values that are strings, sorted; nobody may change them
	foreign map[string]struct{} // the keys of other values
	// base is the version that was last seen, where this one is what our patches have made of it since. A patch names
	// that by its number alone: should the entry have been removed meanwhile and come again, it was made of another
	// version of that number.
	base kv2.Version
}

// maxNames bounds the bytes that the shapes' keys take, all together. Each counts as leastNames at least, which bounds
// how many are kept.
const (
	maxNames   = 32 << 20
	leastNames = 3 << 10
)

// shapes keeps the shape last seen of each organisation's entry, and which of the calls were refused where.
type shapes struct {
	mu      sync.Mutex
	known   *bounded.Map[id.ID, shape]
	refused map[refusal]time.Time
}

type refusal struct {
	at   kv2.Place
	call string
}

// anew is after what time a refused call is tried again, since policies change.
const anew = 5 * time.Minute

func newShapes() *shapes {
	return &shapes{known: bounded.New[id.ID, shape](maxNames, nil), refused: make(map[refusal]time.Time)}
}

func (s *shapes) of(org id.ID) (shape, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known.Get(org)
}

// learnt is the shape of a version that was read or written in full. Of one that is deleted there is no data, and
// nothing to be learned: it may be undeleted.
func (s *shapes) learnt(org id.ID, version int64, created string, data map[string]json.RawMessage) shape {
	if data == nil {
		s.forget(org)
		return shape{keys: []string{}}
	}
	if k, ok := s.of(org); ok && k.version == version && k.created == created && k.base.Version == 0 {
		return k
	}
	k := shape{version: version, created: created, keys: make([]string, 0, len(data))}
	for key, raw := range data {
		if isString(raw) {
			k.keys = append(k.keys, key)
			continue
		}
		if k.foreign == nil {
			k.foreign = make(map[string]struct{})
		}
		k.foreign[key] = struct{}{}
	}
	slices.Sort(k.keys)
	s.learn(org, k)
	return k
}

func (s *shapes) learn(org id.ID, k shape) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.version == 0 || k.created == "" {
		s.known.Drop(org)
		return
	}
	s.known.Put(org, k, max(k.size(), leastNames))
}

// size is about what a shape takes in memory.
func (k shape) size() int {
	size := 64
	for _, key := range k.keys {
		size += len(key) + 16
	}
	for key := range k.foreign {
		size += len(key) + 16
	}
	return size
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

// notAllowed reports whether a call that Vault need not allow, or know, ended for that reason.
func notAllowed(err error) bool {
	return conn.Is(err, conn.Denied) || conn.Is(err, conn.Unmounted) || conn.Is(err, conn.Strange)
}

// look is a call that tells which version of an entry is the present one.
type look struct {
	call    string
	query   map[string][]string
	earlier bool // it tells of earlier versions, too
	read    func(body []byte) (sight, error)
}

// sight is what a look has told.
type sight struct {
	kv2.Version                  // the present one; none where that cannot be read
	all         map[string]facts // the versions that are kept, by their numbers, where the look tells
}

// facts are what metadata say of a version.
type facts struct {
	Created   string `json:"created_time"`
	Deleted   string `json:"deletion_time"` // it may be to come, by Vault's clock
	Destroyed bool
}

// is reports whether the shape is that of the present version.
func (s sight) is(k shape) bool {
	base := s.all[strconv.FormatInt(k.base.Version, 10)]
	return s.Version == kv2.Version{Version: k.version, Created: k.created} && base.Created == k.base.Created
}

// looks are the calls, the cheaper one first: metadata is not the longer the more secrets there are.
var looks = []look{
	{"metadata", nil, true, func(body []byte) (sight, error) {
		var answer struct {
			Data struct {
				Current  int64 `json:"current_version"`
				Versions map[string]facts
			}
		}
		err := json.Unmarshal(body, &answer)
		v := answer.Data.Versions[strconv.FormatInt(answer.Data.Current, 10)]
		if v.Deleted != "" || v.Destroyed {
			return sight{}, err
		}
		return sight{kv2.Version{Version: answer.Data.Current, Created: v.Created}, answer.Data.Versions}, err
	}},
	{"subkeys", map[string][]string{"depth": {"1"}}, false, func(body []byte) (sight, error) {
		var answer struct {
			Data struct{ Metadata kv2.Version }
		}
		err := json.Unmarshal(body, &answer)
		return sight{Version: answer.Data.Metadata}, err
	}},
}

// still gives the shape of the organisation's entry where it is known and still that of the present version. ok is
// false where the entry must be read.
func (s *Store) still(ctx context.Context, org id.ID) (k shape, ok bool, err error) {
	k, known := s.shapes.of(org)
	if !known {
		return shape{}, false, nil
	}
	at, err := s.at(ctx, org)
	if err != nil {
		return shape{}, false, err
	}
	for _, l := range looks {
		if k.base.Version > 0 && !l.earlier || !s.shapes.may(at.Place, l.call) {
			continue
		}
		r := at.Request(http.MethodGet, l.call, "read")
		r.Optional = true
		var seen sight
		var odd error
		err = at.Raw(ctx, r, l.query, func(a kv2.Answer) bool {
			seen, odd = l.read(a.Body)
			return a.Status == http.StatusOK
		})
		switch {
		case err == nil && odd == nil:
			if !seen.is(k) { // others have written
				return shape{}, false, nil
			}
			if k.base.Version > 0 {
				k.base = kv2.Version{}
				s.shapes.learn(org, k)
			}
			return k, true, nil
		case conn.Is(err, conn.Unmounted): // no entry, a deleted version, or no such call
			s.shapes.forget(org)
			return shape{}, false, nil
		case err == nil, notAllowed(err):
			s.shapes.refuse(at.Place, l.call)
		default:
			return shape{}, false, err
		}
	}
	return shape{}, false, nil
}

// patch makes changes that only set values by a JSON merge patch against the version whose shape is known. sent is
// false where that cannot be done; then nothing has happened.
func (s *Store) patch(ctx context.Context, org id.ID, changes []*queue.Change) (version int64, sent bool, err error) {
	k, known := s.shapes.of(org)
	if !known {
		return 0, false, nil
	}
	data := make(map[string]json.RawMessage)
	for _, c := range changes {
		// A deletion may be of what is not there, and then is no reason for a new version.
		if len(c.Delete) > 0 || c.Depends() {
			return 0, false, nil
		}
		for key, v := range c.Set {
			if _, is := k.foreign[key]; is { // which is refused once that has been seen to be so still
				return 0, false, nil
			}
			data[key] = kv2.Encode(string(v.Bytes()))
		}
	}
	at, err := s.at(ctx, org)
	if err != nil || !s.shapes.may(at.Place, "patch") {
		return 0, false, err
	}
	if _, claimed := s.claimed.Load(at.Entry); at.Owner != 0 && !claimed {
		return 0, false, nil
	}
	v, err := at.Surely(ctx, kv2.Write{
		Base: kv2.Version{Version: k.version, Created: k.created},
		Send: func(ctx context.Context) (kv2.Version, error) { return s.sendPatch(ctx, at, k.version, data) },
		Ours: func(before, after kv2.Entry) bool {
			if before.Data == nil {
				return false
			}
			all := maps.Clone(before.Data)
			maps.Copy(all, data)
			return kv2.SameData(after.Data, all)
		},
	})
	s.shapes.forget(org)
	switch {
	case err == nil:
		s.shapes.learn(org, k.with(v, data))
		return v.Version, true, nil
	case errors.Is(err, errNoPatch):
		s.shapes.refuse(at.Place, "patch")
		s.shapes.learn(org, k)
		return 0, false, nil
	case errors.Is(err, errNothing):
		return 0, false, nil
	}
	return 0, true, err
}

// What the way by patches ends with where there is another.
var (
	errNoPatch = errors.New("Vault takes no patch")
	errNothing = errors.New("the latest version is deleted, or all are gone")
)

func (s *Store) sendPatch(ctx context.Context, at kv2.Location, version int64,
	data map[string]json.RawMessage) (kv2.Version, error) {
	r := at.Request(http.MethodPatch, "data", "patch")
	r.Optional = true
	var written *api.Secret
	err := s.conn.Do(ctx, r, func(ctx context.Context) (err error) {
		written, err = at.Client.Logical().JSONMergePatch(ctx, r.Path,
			map[string]any{"data": data, "options": map[string]int64{"cas": version}})
		return err
	})
	switch {
	case conn.Is(err, conn.Unmounted):
		return kv2.Version{}, errNothing
	case notAllowed(err):
		return kv2.Version{}, errNoPatch
	case err != nil:
		return kv2.Version{}, err
	}
	return at.Written(written, r)
}

// with is the shape of the version that a patch makes of this one.
func (k shape) with(v kv2.Version, set map[string]json.RawMessage) shape {
	next := shape{v.Version, v.Created, k.keys, maps.Clone(k.foreign), k.base}
	if next.base.Version == 0 {
		next.base = kv2.Version{Version: k.version, Created: k.created}
	}
	var added []string
	for key := range set {
		delete(next.foreign, key)
		if _, had := slices.BinarySearch(k.keys, key); !had {
			added = append(added, key)
		}
	}
	if len(added) > 0 { // else the list stays the very one, and so does what was made of it
		next.keys = slices.Concat(k.keys, added)
		slices.Sort(next.keys)
	}
	return next
}
