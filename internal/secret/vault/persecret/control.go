package persecret

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/kv2"
)

// control is an organisation's control entry: which change is being carried out, and what was deleted lately. It holds no
// value. Paths stand in it as they are in Vault.
type control struct {
	version int64  // of the entry; 0: there is none
	created string // when: versions begin anew after a purge

	// Pending is what has been committed and is being carried out.
	Pending *pending `json:"pending,omitempty"`
	// Done are the last journals that were carried out, so that whoever lost the answer to a commit finds out.
	Done []string `json:"done,omitempty"`
	// Deleted are the deleted names, the latest last.
	Deleted []deletion `json:"deleted,omitempty"`
}

// pending is a committed act.
type pending struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"`
	Parts int    `json:"parts,omitempty"` // entries that its steps are in
}

// The kinds of acts.
const (
	changing = "change"
	purging  = "purge"
	sweeping = "sweep"
)

// deletion is a hint that a secret was deleted.
type deletion struct {
	Path    string `json:"path"`
	Version int64  `json:"version"` // the one that was deleted
	At      int64  `json:"at"`      // seconds since 1970
	By      string `json:"by,omitempty"`
}

// StateEntry is the control entry, below the organisation's path.
const StateEntry = controlFolder + "/state"

const (
	maxDone     = 16
	format      = 1
	journals    = controlFolder + "/journal"
	maxControl  = 384 << 10 // bytes of JSON, below the least that any of Vault's storages takes in an entry (512 KiB)
	keptDeleted = 256       // names that were deleted and are kept for their time; of more, the oldest go earlier
)

// atRest reports whether nothing is being carried out that readers would have to know of. A sweep removes what is deleted.
func (c *control) atRest() bool { return c.Pending == nil || c.Pending.Kind == sweeping }

func (c *control) is(kind string) bool { return c.Pending != nil && c.Pending.Kind == kind }

// same reports whether both were read of one version.
func (c *control) same(o *control) bool {
	return o != nil && c.version == o.version && c.created == o.created
}

// next is a copy to be changed and written.
func (c *control) next() *control {
	n := *c
	n.Done, n.Deleted = slices.Clone(c.Done), slices.Clone(c.Deleted)
	return &n
}

// rested is the control entry once what is pending has been carried out.
func (c *control) rested() *control {
	n := c.next()
	n.Done = append(n.Done, n.Pending.ID)
	n.Done = n.Done[max(0, len(n.Done)-maxDone):]
	n.Pending = nil
	return n
}

// deleted gives the hints by path.
func (c *control) deleted() map[string]deletion {
	all := make(map[string]deletion, len(c.Deleted))
	for _, d := range c.Deleted {
		all[d.Path] = d
	}
	return all
}

// hint takes off the hints of paths that are set and adds those of others.
func (c *control) hint(gone func(path string) bool, add []deletion) {
	c.Deleted = append(slices.DeleteFunc(c.Deleted, func(d deletion) bool { return gone(d.Path) }), add...)
}

// control reads the organisation's control entry.
func (s *Store) control(ctx context.Context, org id.ID, at kv2.Location) (*control, error) {
	at = at.Below(StateEntry)
	e, err := at.Read(ctx)
	if err != nil {
		return nil, err
	}
	c := &control{version: e.Version, created: e.Created}
	if e.Data != nil {
		var f int
		if json.Unmarshal(e.Data["format"], &f) != nil || f != format || json.Unmarshal(e.Data["state"], c) != nil {
			s.conn.Log.Error("the entry in which influxd keeps what is under way is not readable; it was written by a newer influxd or changed by hand; "+
				"bring back an earlier version of it with vault kv rollback", "path", at.In("data"))
			return nil, errs.New(errs.Unavailable, "the secret store's entry of what is under way cannot be read")
		}
	}
	s.controls.learn(org, c)
	s.watch(org)
	return c, nil
}

// put writes a control entry in place of the version it was made from, and gives it as it then is.
func (s *Store) put(ctx context.Context, org id.ID, at kv2.Location, c *control) (*control, error) {
	s.controls.forget(org)
	v, err := at.Below(StateEntry).Put(ctx, c.version, map[string]json.RawMessage{"format": kv2.Encode(format), "state": kv2.Encode(c)})
	if err != nil {
		return nil, err
	}
	n := *c
	n.version, n.created = v.Version, v.Created
	s.controls.learn(org, &n)
	return &n, nil
}

// fits reports whether the control entry is not larger than what any Vault takes.
func (c *control) fits() bool { return len(kv2.Encode(c)) <= maxControl }

// controls are those last seen, of organisations with hints a few KiB each.
type controls struct {
	mu    sync.Mutex
	known map[id.ID]*control
}

// maxKnown bounds how much is kept of what was seen.
const maxKnown = 10_000

func (k *controls) of(org id.ID) *control {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known[org]
}

func (k *controls) learn(org id.ID, c *control) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil || len(k.known) >= maxKnown {
		k.known = make(map[id.ID]*control)
	}
	k.known[org] = c
}

func (k *controls) forget(org id.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.known, org)
}

// versions are the entries that were seen alive a moment ago, so that a set of one need not read it first.
type versions struct {
	mu    sync.Mutex
	known map[name]seen
}

type seen struct {
	version int64
	sum     uint64 // of the value, under a seed of this process
	at      time.Time
}

var seed = maphash.MakeSeed()

// fresh is how long what was seen is relied on. A deleted entry stays for longer before it is removed (sweep.go), so a set
// that relies on it never writes to an entry that is being removed.
const fresh = 30 * time.Second

// of gives the entry's version for a set of the value. Where that seems to be the value it has, the entry must be looked at.
func (v *versions) of(n name, value string) (int64, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, ok := v.known[n]
	return k.version, ok && time.Since(k.at) < fresh && k.sum != maphash.String(seed, value)
}

func (v *versions) learn(n name, version int64, value string, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil || len(v.known) >= maxKnown {
		v.known = make(map[name]seen)
	}
	v.known[n] = seen{version, maphash.String(seed, value), at}
}

func (v *versions) forget(n name) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.known, n)
}

func (v *versions) forgetAll(org id.ID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for n := range v.known {
		if n.org == org {
			delete(v.known, n)
		}
	}
}
