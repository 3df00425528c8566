package embedded

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/batch"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

// carryTime bounds the work on changes that their callers may have left. A disk that hangs hangs everything else too.
const carryTime = time.Minute

// change is one that waits in the queue: how it is planned, and what it has come to once it is made.
type change struct {
	plan    func(*plan) error
	names   []string // of secrets that it reads, as far as they are known before
	outcome secret.Outcome
}

// newQueue makes the queue of the organisations' changes: each builds on the versions before it. What waits while one
// is written is then written together, in one transaction as far as it fits: many writers of one organisation, even of
// one secret, cost one sync and not one each. The engine commits those of several organisations together.
func (s *Store) newQueue() *batch.Queue[*change] {
	return batch.New(batch.Config[*change]{
		Write: s.write,
		Context: func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), carryTime)
		},
		Told:   translate,
		Closed: translate(kv.ErrClosed),
	})
}

// Apply carries out a change: in one transaction if it fits.
func (s *Store) Apply(ctx context.Context, org id.ID, c secret.Change) (secret.Outcome, error) {
	if c = c.Clone(); c.Empty() && !c.Depends() {
		return secret.Outcome{}, ctx.Err()
	}
	at := s.now()
	names := slices.AppendSeq(slices.Clone(c.Delete), maps.Keys(c.Set))
	return s.submit(ctx, org, func(p *plan) error { return p.apply(c, at) }, names...)
}

// submit has a change planned and made in its turn.
func (s *Store) submit(ctx context.Context, org id.ID, plan func(*plan) error, names ...string) (secret.Outcome, error) {
	c := &change{plan: plan, names: names}
	if err := s.queue.Do(ctx, org, c); err != nil {
		return secret.Outcome{}, err
	}
	return c.outcome, nil
}

// Purge removes everything, a large change under way included: whoever carries it out finds its journal gone. It waits
// for the changes that came before it, whose callers may have left.
func (s *Store) Purge(ctx context.Context, org id.ID) error {
	return s.queue.Alone(ctx, org, func(ctx context.Context) error {
		_, err := s.kv.Txn(ctx, nil, []kv.Op{kv.DeletePrefix(records.Prefix(org)), commitlog.Purge(org),
			kv.DeletePrefix(records.TrashPrefix(org))})
		if err == nil {
			s.lists.drop(org)
		}
		return err
	})
}

// write makes the first changes of a batch, as many as one transaction takes but at least one, and gives back the
// others. What one transaction does not take goes into the next one with what has come meanwhile.
func (s *Store) write(ctx context.Context, org id.ID, items []*batch.Item[*change]) (left []*batch.Item[*change]) {
	s.writes.RLock()
	defer s.writes.RUnlock()
	n, err := s.makeSome(ctx, org, batch.Changes(items))
	if err != nil && ctx.Err() != nil {
		err = errs.Wrap(err, errs.Unavailable, "the server's disk does not answer; whether the change was made will "+
			"be seen when it does")
	}
	batch.Answer(items[:n], translate(err))
	return items[n:]
}

var errTooMany = errs.New(errs.Conflict, "others change the organisation's secrets at the same time; try again")

// makeSome makes the first changes and tells how many. All that it tells of ended alike.
func (s *Store) makeSome(ctx context.Context, org id.ID, changes []*change) (int, error) {
	for range attempts {
		at, err := s.settle(ctx, org)
		if err == nil && at.pending != nil {
			err = kv.ErrFull
		}
		if err != nil {
			return len(changes), err
		}
		fence := s.ring.Fence()
		was := append([]kv.Cond{{Key: records.Head(org), Rev: at.rev}}, fence...)
		p := &plan{s: s, ctx: ctx, org: org, names: s.ring.Names(), records: commitlog.Records{}, head: at.Head}
		if s.far {
			if p.ahead, err = s.readAhead(ctx, org, p.names, changes); err != nil {
				return len(changes), err
			}
		}
		planned := 0
		for _, c := range changes {
			before := p.begin()
			err := c.plan(p)
			if err != nil && planned == 0 {
				return 1, err
			}
			if planned > 0 && (err != nil || !p.fits()) {
				p.backTo(before)
				break
			}
			c.outcome = p.end()
			planned++
		}
		if len(p.records) == 0 {
			return planned, nil
		}
		err = s.log.Apply(ctx, org, was, p.head, p.records)
		if !errors.Is(err, kv.ErrConflict) {
			return planned, err
		}
		// Somebody came between, or there is a journal that the head knows nothing of, or another
		// server has changed the keys.
		if _, err := s.ring.Refused(ctx, fence); err != nil {
			return len(changes), err
		}
		if err := s.log.Finish(ctx, org); err != nil {
			return len(changes), err
		}
	}
	return len(changes), errTooMany
}

// plan works out what changes of an organisation's secrets make of its records. It reads what is there, through what it
// has planned so far, so that one plan can hold several changes after each other.
type plan struct {
	s       *Store
	ctx     context.Context
	org     id.ID
	names   keyring.Names
	head    commitlog.Head // as it is after the changes planned so far
	records commitlog.Records
	size    int // how much they take in a transaction, in bytes
	undo    []before
	ahead   map[string][]byte // what was read before it is asked for; nil for what is not there

	// Of the change that is being planned:
	changed  time.Time      // when it sets a value or deletes or brings back a secret; zero where it does not
	versions map[string]int // of what it sets and brings back
}

// begin begins the planning of a change. backTo leads back to the point that it gives.
func (p *plan) begin() int {
	p.changed, p.versions = time.Time{}, nil
	return len(p.undo)
}

// end ends the planning of a change, and tells what comes of it.
func (p *plan) end() secret.Outcome {
	if !p.changed.IsZero() {
		p.head.Version++
		p.head.Changed = p.changed
	}
	return secret.Outcome{Version: p.head.Version, Versions: p.versions}
}

// isNow notes the version that the change gives a secret.
func (p *plan) isNow(name string, version int, at time.Time) {
	p.changed = at
	if p.versions == nil {
		p.versions = make(map[string]int, 1)
	}
	p.versions[name] = version
}

// before is what was planned of a record before it was planned otherwise.
type before struct {
	key     string
	value   []byte
	planned bool
}

// write plans a record, or with nil its end.
func (p *plan) write(key string, value []byte) {
	was, planned := p.records[key]
	p.undo = append(p.undo, before{key, was, planned})
	if planned {
		p.size -= len(key) + len(was)
	}
	p.records[key] = value
	p.size += len(key) + len(value)
}

func (p *plan) backTo(mark int) {
	for _, was := range slices.Backward(p.undo[mark:]) {
		p.size -= len(was.key) + len(p.records[was.key])
		if was.planned {
			p.records[was.key] = was.value
			p.size += len(was.key) + len(was.value)
		} else {
			delete(p.records, was.key)
		}
	}
	p.undo = p.undo[:mark]
}

// fits reports whether one transaction can carry it out.
func (p *plan) fits() bool {
	return len(p.records) <= commitlog.MaxRecords && p.size <= commitlog.MaxBytes
}

func (p *plan) read(key string) ([]byte, error) {
	if _, planned := p.records[key]; !planned {
		if value, ok := p.ahead[key]; ok {
			return value, nil
		}
	}
	return p.s.read(p.ctx, p.records, key)
}

func (p *plan) find(at places, kind records.Kind) (found, error) { return find(at, kind, p.read) }

func (p *plan) at(name string) (places, error) { return p.s.places(p.org, name, p.names) }

// put plans a record that is sealed, and drop the end of one. Where it may be in another place it is there no more.
func (p *plan) put(at places, kind records.Kind, plain []byte) error {
	slot := at.now.Slot(kind)
	sealed, err := p.s.ring.Seal(p.org, slot.As, plain)
	if err != nil {
		return err
	}
	p.write(slot.Key, sealed)
	p.dropWas(at, kind)
	return nil
}

func (p *plan) drop(at places, kind records.Kind) {
	p.write(at.now.Slot(kind).Key, nil)
	p.dropWas(at, kind)
}

func (p *plan) dropWas(at places, kind records.Kind) {
	if at.was != nil {
		p.write(at.was.Slot(kind).Key, nil)
	}
}

// putName plans a record that says what the name is: by its key, or in itself where names are sealed.
func (p *plan) putName(at places, kind records.Kind) error {
	if at.now.Form.Sealed() {
		return p.put(at, kind, records.EncodeName(at.name))
	}
	key := at.now.Slot(kind).Key
	if at.was == nil { // one that is there as it is to be needs no writing
		if there, err := p.read(key); err != nil || there != nil && len(there) == 0 {
			return err
		}
	}
	p.write(key, []byte{})
	p.dropWas(at, kind)
	return nil
}

// places are where the records of a secret are put and, while names go from one form to another (move.go), where they
// may still be.
type places struct {
	name string
	now  records.Place
	was  *records.Place
}

func (s *Store) places(org id.ID, name string, names keyring.Names) (places, error) {
	now, err := records.At(s.ring, org, records.Form(names.Form), name)
	at := places{name: name, now: now}
	if err == nil && names.Moving {
		var was records.Place
		was, err = records.At(s.ring, org, records.Form(names.From), name)
		at.was = &was
	}
	return at, err
}

// found is a record that was looked for, and what it is sealed as. There is none where sealed is nil.
type found struct {
	as     keyring.Belongs
	sealed []byte
}

// find looks for a record of a secret over a pending change.
func (s *Store) find(ctx context.Context, over commitlog.Records, at places, kind records.Kind) (found, error) {
	return find(at, kind, func(key string) ([]byte, error) { return s.read(ctx, over, key) })
}

// find looks for a record of a secret: first where it may still be, which it only ever leaves for where it is put now.
func find(at places, kind records.Kind, read func(key string) ([]byte, error)) (found, error) {
	if at.was != nil {
		slot := at.was.Slot(kind)
		if sealed, err := read(slot.Key); err != nil || sealed != nil {
			return found{slot.As, sealed}, err
		}
	}
	slot := at.now.Slot(kind)
	sealed, err := read(slot.Key)
	return found{slot.As, sealed}, err
}

// read reads a record's value over a pending change; nil where there is none.
func (s *Store) read(ctx context.Context, over commitlog.Records, key string) ([]byte, error) {
	if value, ok := over[key]; ok {
		return value, nil
	}
	rec, err := s.kv.Get(ctx, key)
	if errors.Is(err, kv.ErrNotFound) {
		return nil, nil
	}
	if err == nil && rec.Value == nil {
		rec.Value = []byte{}
	}
	return rec.Value, err
}

// fits reports whether the engine takes the keys of the name's records in every form.
func fits(name string) bool { return records.Longest(name) <= kv.MaxKey }
