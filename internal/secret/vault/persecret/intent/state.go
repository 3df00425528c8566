package intent

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"strongroom/internal/bounded"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/persecret/paths"
)

// State is what an organisation's control entry says at a moment: what is being carried out, and what was deleted
// lately. It holds no value.
type State struct {
	version int64  // of the entry; 0: there is none
	created string // when: versions begin anew after a purge
	at      string // where its organisation's entries are
	kept    control
}

// control is what is kept in the entry. Paths stand in it as they are in Vault.
type control struct {
	// Org is whose the entries are, where the path does not tell it.
	Org string `json:"org,omitempty"`
	// Pending is what has been committed and is being carried out.
	Pending *pending `json:"pending,omitempty"`
	// Done are the last journals that were carried out, so that whoever lost the answer to a commit finds out.
	Done []string `json:"done,omitempty"`
	// Undone are the last journals that could not be carried out and were undone.
	Undone []string `json:"undone,omitempty"`
	// Deleted are the deleted names, the latest last.
	Deleted []Deletion `json:"deleted,omitempty"`
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
	undoing  = "undo" // a change that cannot be carried out
	purging  = "purge"
	sweeping = "sweep"
)

// Deletion is a hint that a secret was deleted.
type Deletion struct {
	Path    string `json:"path"`
	Version int64  `json:"version"` // the one that was deleted
	At      int64  `json:"at"`      // seconds since 1970
	By      string `json:"by,omitempty"`
}

// StateEntry is the control entry, below the organisation's path.
const StateEntry = paths.Control + "/state"

const (
	maxDone     = 16
	format      = 1
	journals    = paths.Control + "/journal"
	maxControl  = 384 << 10 // bytes of JSON, below the least that any of Vault's storages takes in an entry (512 KiB)
	keptDeleted = 256       // names that were deleted and are kept for their time; of more, the oldest go earlier
)

// Settled reports whether nothing is being carried out.
func (c *State) Settled() bool { return c.kept.Pending == nil }

// AtRest reports whether nothing is being carried out that readers would have to know of. A sweep
// removes what is deleted.
func (c *State) AtRest() bool { return c.Settled() || c.is(sweeping) }

// Undoing reports whether a change is being undone.
func (c *State) Undoing() bool { return c.is(undoing) }

// Changing reports whether a change is being carried out, whose steps Log.Steps gives.
func (c *State) Changing() bool { return c.is(changing) }

// Purging reports whether the organisation's secrets are being removed; readers see none.
func (c *State) Purging() bool { return c.is(purging) }

func (c *State) is(kind string) bool { return c.kept.Pending != nil && c.kept.Pending.Kind == kind }

// Same reports whether both were read of one version of the entry, so that nothing was committed between.
func (c *State) Same(o *State) bool {
	return o != nil && c.version == o.version && c.created == o.created
}

// Deleted are the deleted secrets, the latest last, for nobody to change.
func (c *State) Deleted() []Deletion { return c.kept.Deleted }

// Deletion is the hint that the secret at a path was deleted.
func (c *State) Deletion(path string) (d Deletion, ok bool) {
	i := slices.IndexFunc(c.kept.Deleted, func(d Deletion) bool { return d.Path == path })
	if i < 0 {
		return Deletion{}, false
	}
	return c.kept.Deleted[i], true
}

// pending reports whether it is this that is being carried out.
func (c *State) pending(p *pending) bool { return c.kept.Pending != nil && *c.kept.Pending == *p }

// next is a copy to be changed and written.
func (c *State) next() *State {
	n := *c
	n.kept.Done, n.kept.Undone, n.kept.Deleted = slices.Clone(c.kept.Done), slices.Clone(c.kept.Undone),
		slices.Clone(c.kept.Deleted)
	return &n
}

// rested is the state once what is pending has been carried out.
func (c *State) rested() *State {
	n := c.next()
	list := &n.kept.Done
	if c.is(undoing) {
		list = &n.kept.Undone
	}
	all := append(*list, n.kept.Pending.ID)
	*list = all[max(0, len(all)-maxDone):]
	n.kept.Pending = nil
	return n
}

// hint takes off the hints of paths that are set and adds those of others.
func (c *State) hint(gone func(path string) bool, add []Deletion) {
	c.kept.Deleted = append(slices.DeleteFunc(c.kept.Deleted, func(d Deletion) bool { return gone(d.Path) }), add...)
}

// fits reports whether the control entry is not larger than what any Vault takes.
func (c *State) fits() bool { return len(kv2.Encode(c.kept)) <= maxControl }

// finished reports whether the journal is one of the last that were carried out.
func (c *State) finished(journal string) bool { return slices.Contains(c.kept.Done, journal) }

// undone is what the caller of a change hears whose journal is one of the last that were undone; nil where it is not.
func (c *State) undone(journal string) error {
	if slices.Contains(c.kept.Undone, journal) {
		return errUndone
	}
	return nil
}

var errUndone = errs.New(errs.Unavailable, "the secret store refused a part of the change, which was undone; nothing "+
	"was changed")

// State reads the organisation's control entry.
func (l *Log) State(ctx context.Context, org id.ID, at kv2.Location) (*State, error) {
	folder := at.Entry
	at = at.Below(StateEntry)
	e, err := at.Read(ctx)
	if err != nil {
		return nil, err
	}
	c, ok := parse(e)
	if !ok {
		l.conn.Log.Error("the entry in which influxd keeps what is under way is not readable; it was written by a "+
			"newer influxd or changed by hand; bring back an earlier version of it with vault kv rollback", "path",
			at.In("data"))
		return nil, errs.New(errs.Unavailable, "the secret store's entry of what is under way cannot be read")
	}
	if err := at.Mine(c.kept.Org); err != nil {
		return nil, err
	}
	c.at = folder
	l.states.learn(org, c)
	l.watch(org)
	return c, nil
}

// Claim has the organisation's entries say whose they are, where their path does not tell, before one is written that
// the log knows nothing of.
func (l *Log) Claim(ctx context.Context, org id.ID, at kv2.Location) error {
	if at.Owner == 0 {
		return nil
	}
	if c := l.states.of(org); c != nil && c.kept.Org == at.Owner.String() && c.at == at.Entry {
		return nil
	}
	c, err := l.State(ctx, org, at)
	if err != nil || c.kept.Org != "" {
		return err
	}
	if _, err = l.put(ctx, org, at, c.next()); err == conn.ErrMismatch { // somebody is at it
		_, err = l.State(ctx, org, at)
	}
	return err
}

// parse reads a control entry; ok is false where it is not one that this server understands.
func parse(e kv2.Entry) (c *State, ok bool) {
	c = &State{version: e.Version, created: e.Created}
	if e.Data == nil {
		return c, true
	}
	var f int
	ok = json.Unmarshal(e.Data["format"], &f) == nil && f == format && json.Unmarshal(e.Data["state"], &c.kept) == nil
	return c, ok
}

// put writes a control entry in place of the version it was made from, and gives the state as it then is.
func (l *Log) put(ctx context.Context, org id.ID, at kv2.Location, c *State) (*State, error) {
	l.states.forget(org)
	if at.Owner != 0 {
		c.kept.Org = at.Owner.String()
	}
	v, err := at.Below(StateEntry).Put(ctx, c.version, map[string]json.RawMessage{"format": kv2.Encode(format),
		"state": kv2.Encode(c.kept)})
	if err != nil {
		return nil, err
	}
	n := *c
	n.version, n.created, n.at = v.Version, v.Created, at.Entry
	l.states.learn(org, &n)
	return &n, nil
}

// Seen is the organisation's state as this process last saw it, or nil.
func (l *Log) Seen(org id.ID) *State { return l.states.of(org) }

// states keeps the states last seen, a few KiB for each organisation with hints.
type states struct {
	mu    sync.Mutex
	known *bounded.Map[id.ID, *State]
}

// maxKnown bounds how much is kept of what was seen.
const maxKnown = 10_000

func (k *states) of(org id.ID) *State {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, _ := k.known.Get(org)
	return c
}

func (k *states) learn(org id.ID, c *State) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known.Put(org, c, 1)
}

func (k *states) forget(org id.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known.Drop(org)
}
