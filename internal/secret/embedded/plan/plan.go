// Package plan works out which records a change of an organisation's secrets writes. It changes nothing itself.
package plan

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

// Plan works out what changes of an organisation's secrets make of its records. It reads what is there, through what it
// has planned so far, so that one plan can hold several changes after each other.
type Plan struct {
	Config
	// Records are what has come of the changes so far: their values, nil for one that ends.
	Records commitlog.Records
	// Named are the names that the changes may have put on a list of names or taken from it, some more than once.
	Named []string

	ctx  context.Context
	size int // how much the records take in a transaction, in bytes
	undo []before

	// Of the change that is being planned:
	had      commitlog.Count // where Head.Count is known, how much there was before it
	changed  time.Time       // when it sets a value or deletes or brings back a secret; zero where it does not
	versions map[string]int  // of what it sets and brings back
	bounded  bool            // when it sets or brings back a secret or describes one, which the quota may refuse
}

// Config is what a plan is made of.
type Config struct {
	From    content.Reader
	Made    *content.Made
	History int // how many versions are kept; with 0, there is none but the current one, and what is deleted is gone
	Quota   secret.Quota
	Beside  int64 // bytes that count for the quota and are no records of the store
	Org     id.ID
	Names   keyring.Names
	Head    commitlog.Head    // as it is; in a Plan, as it is after the changes planned so far
	Ahead   map[string][]byte // what was read before it is asked for; nil for what is not there
	Void    []Span            // where there was nothing
	earlier map[string]bool   // by what the keys of a secret's versions begin with, whether one is there
	spots   spots             // of many names in the form of Names, what is known of them
	known   func(string) bool // what needs not be read ahead; nil where nothing is
	covered map[string]bool   // the names for which that has been done
}

// Span is all keys from one to another, both included.
type Span struct{ From, To string }

// New returns a plan with no change in it. It reads until ctx ends.
func New(ctx context.Context, cfg Config) *Plan {
	return &Plan{Config: cfg, ctx: ctx, Records: make(commitlog.Records, perSecret*len(cfg.spots.ordered))}
}

// perSecret is how many records a secret has that is set for the first time.
const perSecret = 3

// Begin begins the planning of a change. BackTo leads back to the point that it gives.
func (p *Plan) Begin() int {
	p.changed, p.versions, p.bounded = time.Time{}, nil, false
	if p.Head.Count != nil {
		p.had = *p.Head.Count
	}
	return p.Point()
}

// Point is where the plan is, for BackTo.
func (p *Plan) Point() int { return len(p.undo) }

// End ends the planning of a change, and tells what comes of it.
func (p *Plan) End() secret.Outcome {
	if !p.changed.IsZero() {
		p.Head.Version++
		p.Head.Changed = p.changed
	}
	return secret.Outcome{Version: p.Head.Version, Versions: p.versions}
}

// isNow notes the version that the change gives a secret.
func (p *Plan) isNow(name string, version int, at time.Time) {
	p.changed, p.bounded = at, true
	if p.versions == nil {
		p.versions = make(map[string]int, max(1, len(p.spots.ordered)))
	}
	p.versions[name] = version
}

// before is what was planned of a record before it was planned otherwise.
type before struct {
	key     string
	value   []byte
	planned bool
}

// Write plans a record, or with nil its end.
func (p *Plan) Write(key string, value []byte) {
	was, planned := p.Records[key]
	p.undo = append(p.undo, before{key, was, planned})
	p.count(key, value)
	if planned {
		p.size -= len(key) + len(was)
	}
	p.Records[key] = value
	p.size += len(key) + len(value)
}

// Order gives the keys of the records in the order in which they were planned.
func (p *Plan) Order() []string {
	keys := make([]string, 0, len(p.Records))
	for _, b := range p.undo {
		if !b.planned {
			keys = append(keys, b.key)
		}
	}
	return keys
}

// BackTo takes back what was planned since the point.
func (p *Plan) BackTo(mark int) {
	for _, was := range slices.Backward(p.undo[mark:]) {
		p.size -= len(was.key) + len(p.Records[was.key])
		if p.Head.Count != nil {
			p.uncount(was)
		}
		if was.planned {
			p.Records[was.key] = was.value
			p.size += len(was.key) + len(was.value)
		} else {
			delete(p.Records, was.key)
		}
	}
	p.undo = p.undo[:mark]
}

// Fits reports whether one transaction can carry it out.
func (p *Plan) Fits() bool {
	return len(p.Records) <= commitlog.MaxRecords && p.size <= commitlog.MaxBytes
}

// Read reads a record as it is after the changes planned so far; nil where there is none.
func (p *Plan) Read(key string) ([]byte, error) {
	if value, planned := p.Records[key]; planned {
		return value, nil
	}
	if value, ok := p.Ahead[key]; ok {
		return value, nil
	}
	if p.void(key) {
		return nil, nil
	}
	return p.From.Read(p.ctx, nil, key)
}

func (p *Plan) void(key string) bool {
	return slices.ContainsFunc(p.Void, func(s Span) bool { return s.From <= key && key <= s.To })
}

func (p *Plan) find(at content.Places, kind records.Kind) (content.Found, error) {
	return content.Find(at, kind, p.Read)
}

// At tells where the records of a secret are.
func (p *Plan) At(name string) (content.Places, error) {
	if at, ok := p.spots.by[name]; ok {
		return content.Places{Name: name, Now: at.place}, nil
	}
	return p.From.Places(p.Org, name, p.Names)
}

// Put plans a record that is sealed, and drop the end of one. Where it may be in another place it is there no more.
func (p *Plan) Put(at content.Places, kind records.Kind, plain []byte) error {
	slot := at.Now.Slot(kind)
	sealed, err := p.From.Ring.Seal(p.Org, slot.As, plain)
	if err != nil {
		return err
	}
	p.Write(slot.Key, sealed)
	p.dropWas(at, kind)
	return nil
}

func (p *Plan) drop(at content.Places, kind records.Kind) {
	p.name(at.Name, kind)
	p.Write(at.Now.Slot(kind).Key, nil)
	p.dropWas(at, kind)
}

func (p *Plan) dropWas(at content.Places, kind records.Kind) {
	if at.Was != nil {
		p.Write(at.Was.Slot(kind).Key, nil)
	}
}

// name notes the name of a record that says what the name is.
func (p *Plan) name(name string, kind records.Kind) {
	if kind.HoldsName() {
		p.Named = append(p.Named, name)
	}
}

// PutName plans a record that says what the name is: by its key, or in itself where names are sealed.
func (p *Plan) PutName(at content.Places, kind records.Kind) error {
	if at.Now.Form.Sealed() {
		p.name(at.Name, kind)
		return p.Put(at, kind, records.EncodeName(at.Name))
	}
	key := at.Now.Slot(kind).Key
	if at.Was == nil { // one that is there as it is to be needs no writing
		if there, err := p.Read(key); err != nil || there != nil && len(there) == 0 {
			return err
		}
	}
	p.name(at.Name, kind)
	p.Write(key, []byte{})
	p.dropWas(at, kind)
	return nil
}

// Apply plans a change.
func (p *Plan) Apply(change secret.Change, at time.Time) error {
	if err := change.CheckAt(p.Head.Version); err != nil {
		return err
	}
	if err := p.each(slices.Sorted(maps.Keys(change.Was)), func(name string) error {
		return p.built(name, change)
	}); err != nil {
		return err
	}
	if err := p.each(slices.Sorted(maps.Keys(change.Versions)), func(name string) error {
		version, err := p.version(name)
		if err != nil {
			return err
		}
		return change.CheckVersion(name, version)
	}); err != nil {
		return err
	}
	if n := len(change.Set); n >= ManyNames {
		p.undo = slices.Grow(p.undo, perSecret*n)
	}
	if err := p.each(p.spots.names(change.Set), func(name string) error {
		if change.Only != secret.Anyway {
			if err := p.allowed(name, change.Only); err != nil {
				return err
			}
		}
		if was, moved := change.Moved[name]; moved {
			return p.move(name, was, change.Set[name], change.By, at)
		}
		return p.set(name, change.Set[name], change.By, at)
	}); err != nil {
		return err
	}
	return p.each(slices.Compact(slices.Sorted(slices.Values(change.Delete))), func(name string) error {
		return p.delete(name, change.By, at)
	})
}

// each does something for each of the names.
func (p *Plan) each(names []string, do func(name string) error) error {
	for i, name := range names {
		if err := p.goOn(names[i:]); err != nil {
			return err
		}
		if err := do(name); err != nil {
			return err
		}
	}
	return nil
}

// look reads a secret: where it lies, its metadata, nil where there is nothing of it, and the record of its value,
// which is not found where that has been deleted. Metadata that do not open, or are gone, are an error: whoever went on
// without would lose the earlier versions, and give their numbers to others.
func (p *Plan) look(name string) (at content.Places, m *content.Meta, current content.Found, err error) {
	if at, err = p.At(name); err != nil || p.spots.take(name) {
		return at, nil, content.Found{}, err
	}
	if current, err = p.find(at, records.Value); err != nil {
		return at, nil, content.Found{}, err
	}
	record, err := p.find(at, records.Meta)
	if err != nil {
		return at, nil, content.Found{}, err
	}
	if m = p.Made.Take(p.Org, record); m != nil {
		return at, m, current, nil
	}
	if record.Sealed == nil && current.Sealed != nil {
		if err = p.From.Old(p.ctx, at); err != nil && !errors.Is(err, content.ErrNoMeta) {
			return at, nil, current, err
		}
	}
	if record.Sealed == nil && current.Sealed == nil {
		left, err := p.leftBehind(at)
		if err != nil || !left {
			return at, nil, current, err
		}
		return at, nil, current, content.DamagedMeta(content.ErrNoMeta, at.Name, p.Org)
	}
	if err == nil {
		m, err = p.From.OpenMeta(p.ctx, p.Org, record, current)
	}
	if err != nil {
		err = content.DamagedMeta(err, at.Name, p.Org)
	}
	return at, m, current, err
}

// leftBehind reports whether there is an earlier version of a secret that has neither a value nor metadata: who forgets
// a secret leaves none.
func (p *Plan) leftBehind(at content.Places) (bool, error) {
	for _, place := range []*records.Place{&at.Now, at.Was} {
		if place == nil {
			continue
		}
		if _, planned := p.Records[place.Slot(records.Meta).Key]; planned { // it ends with its versions
			continue
		}
		left, err := p.hasEarlier(place.Versions())
		if err != nil || left {
			return left, err
		}
	}
	return false, nil
}

func (p *Plan) hasEarlier(prefix string) (bool, error) {
	if has, ok := p.earlier[prefix]; ok {
		return has, nil
	}
	if p.void(prefix) {
		return false, nil
	}
	return p.Config.hasEarlier(p.ctx, prefix)
}

func (c *Config) hasEarlier(ctx context.Context, prefix string) (bool, error) {
	recs, err := c.From.KV.List(ctx, prefix, "", 1)
	return len(recs) > 0, err
}

func (p *Plan) set(name string, value secret.Value, by string, time time.Time) error {
	if !content.Fits(name) {
		return errs.New(errs.RequestTooLarge, "a key of %d bytes is too long for the embedded store", len(name))
	}
	at, m, current, err := p.look(name)
	if err != nil {
		return err
	}
	now := time.UnixMilli()
	next := 1
	switch {
	case m == nil:
		m = &content.Meta{Created: now}
	case current.Sealed != nil:
		next = m.Newest().N + 1
		if err := p.putAside(at, m, current); err != nil {
			return err
		}
	default:
		next = m.Newest().N + 1
		p.untrash(at, m)
	}
	p.isNow(name, next, time)
	m.Versions = append(m.Versions, content.Version{N: next, At: now, By: by})
	for len(m.Versions) > max(p.History, 1) {
		p.drop(at, records.Version(m.Versions[0].N))
		m.Versions = m.Versions[1:]
	}
	plain := content.EncodeValue(value, time)
	defer clear(plain)
	// It must fit as an earlier version, too.
	if size := at.Now.VersionLen(next) + len(plain) + keyring.Overhead; size > commitlog.MaxBytes {
		return errs.New(errs.RequestTooLarge, "secret %q is too large for the embedded store: %d bytes of name and "+
			"value, at most %d", name, size, commitlog.MaxBytes)
	}
	if err := p.Put(at, records.Value, plain); err != nil {
		return err
	}
	if err := p.PutName(at, records.Listed); err != nil {
		return err
	}
	return p.putMeta(at, m)
}

// maxKeep is how many records a plan may have for its metadata to be remembered.
const maxKeep = 1000

// putMeta plans the metadata, which are not the caller's from then on.
func (p *Plan) putMeta(at content.Places, m *content.Meta) error {
	plain, err := m.Encode()
	if err != nil {
		return err
	}
	if err := p.Put(at, records.Meta, plain); err != nil {
		return err
	}
	if p.spots.by != nil || len(p.Records) > maxKeep { // one of many would put out what is changed often
		return nil
	}
	slot := at.Now.Slot(records.Meta)
	p.Made.Keep(p.Org, slot.As, p.Records[slot.Key], m)
	return nil
}

// putAside keeps the current value as the version that it is. One that does not open is lost.
func (p *Plan) putAside(at content.Places, m *content.Meta, current content.Found) error {
	plain, err := p.From.Ring.OpenFresh(p.ctx, p.Org, current.As, current.Sealed)
	if err != nil {
		m.Newest().Lost = true
		return nil
	}
	defer clear(plain)
	return p.Put(at, records.Version(m.Newest().N), plain)
}

func (p *Plan) untrash(at content.Places, m *content.Meta) {
	if m.Deleted != nil {
		p.drop(at, records.Trash(m.Deleted.At))
		m.Deleted = nil
	}
}

// delete plans a deletion. What is not there, or could not be, is none.
func (p *Plan) delete(name, by string, time time.Time) error {
	if !content.Fits(name) {
		return nil
	}
	at, m, current, err := p.look(name)
	if err != nil || current.Sealed == nil {
		return err
	}
	if p.History > 0 {
		if err := p.putAside(at, m, current); err != nil {
			return err
		}
	}
	if err := p.trash(at, m, by, time); err != nil || p.History == 0 {
		return err
	}
	return p.putMeta(at, m)
}
