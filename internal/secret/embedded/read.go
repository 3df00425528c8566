package embedded

import (
	"context"
	"errors"
	"math"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/cache"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

// patience is how often a reader begins anew before it takes a turn among the writers.
const patience = 8

// moment is what a reader reads at: a state of the organisation's records, and the form of the names in it.
type moment struct {
	s     *Store
	org   id.ID
	at    state
	names keyring.Names
	from  content.Reader
	// memory says that no engine is asked.
	memory bool
	// absent is set where a record was looked for and was not there: it may be where names go that this server has
	// not heard of yet.
	absent *bool
}

// find looks for a record of a secret, and notes where there is none.
func (m moment) find(ctx context.Context, over commitlog.Records, at content.Places,
	kind records.Kind) (content.Found, error) {
	return m.noting(m.from.Find)(ctx, over, at, kind)
}

// noting is a finder that notes what is not there.
func (m moment) noting(find content.Finder) content.Finder {
	return func(ctx context.Context, over commitlog.Records, at content.Places,
		kind records.Kind) (content.Found, error) {
		got, err := find(ctx, over, at, kind)
		if got.Sealed == nil {
			*m.absent = true
		}
		return got, err
	}
}

// atOneMoment carries out a read while nobody changes what it reads: the head is the same before and after it, or it is
// carried out again; where writers are faster than that, in a turn among them.
func atOneMoment[T any](ctx context.Context, s *Store, org id.ID,
	read func(context.Context, moment) (T, error)) (T, error) {
	if got, ok := fromMemory(ctx, s, org, read); ok {
		return got, nil
	}
	return fromEngine(ctx, s, org, read)
}

// fromEngine is atOneMoment for what memory does not have.
func fromEngine[T any](ctx context.Context, s *Store, org id.ID,
	read func(context.Context, moment) (T, error)) (T, error) {
	var none T
	once := func(ctx context.Context, n int) (got T, ok bool, err error) {
		fence := s.ring.Fence()
		m := moment{s: s, org: org, names: s.ring.Names(), from: s.from, absent: new(bool)}
		if m.at, err = s.start(ctx, org); err != nil {
			return none, true, err
		}
		got, err = read(ctx, m)
		now, headErr := s.head(ctx, org)
		if err == nil {
			err = headErr
		}
		if *m.absent && headErr == nil && now.rev == m.at.rev {
			// Who has not heard that the names go to another form looks where they are not.
			if _, refused := s.ring.Refused(ctx, fence); refused != nil {
				return none, true, refused
			}
		}
		switch {
		case ctx.Err() != nil:
			return none, true, ctx.Err()
		case headErr == nil && now.rev != m.at.rev, m.names != s.ring.Names(), again(err, n, true):
			return none, false, nil
		}
		return got, true, err
	}
	for n := range patience {
		if got, ok, err := once(ctx, n); ok {
			return got, translate(err)
		}
	}
	type result struct {
		got T
		ok  bool
		err error
	}
	answer := make(chan result, 1) // the caller may leave
	err := s.queue.Alone(ctx, org, func(ctx context.Context) error {
		var r result
		for n := 0; n < attempts && !r.ok; n++ {
			r.got, r.ok, r.err = once(ctx, n)
		}
		if !r.ok {
			r.err = errTooFast
		}
		answer <- r
		return r.err
	})
	if err != nil {
		return none, err
	}
	return (<-answer).got, nil
}

// again reports whether a read is carried out once more that has ended with err, n times so far: where it found nothing
// and the form of the names has changed meanwhile, and where the keys it needs were retired. What
// is there now is newer.
func again(err error, n int, sameNames bool) bool {
	return n < attempts && errs.Is(err, errs.NotFound) && !sameNames || n == 0 && errors.Is(err, keyring.ErrTerm)
}

// Read reads values of one moment.
func (s *Store) Read(ctx context.Context, org id.ID, q secret.Query) (secret.Snapshot, error) {
	return atOneMoment(ctx, s, org, func(ctx context.Context, m moment) (secret.Snapshot, error) {
		return m.read(ctx, q)
	})
}

func (m moment) read(ctx context.Context, q secret.Query) (secret.Snapshot, error) {
	snap := secret.Snapshot{Version: m.at.Version, Changed: m.at.Changed}
	if m.at.rev == 0 {
		m.s.lists.Drop(m.org) // another server may have ended it, or a reader have kept what it read meanwhile
		return snap, nil
	}
	keys := q.Keys
	still := m.at.pending == nil && !m.names.Moving
	of := m.sealedOf()
	if q.Enough != nil && still {
		if known, ok := m.unread(q); ok && q.Enough(known) {
			return known, nil
		}
	}
	all := uncounted
	if keys == nil {
		if still {
			var ok bool
			if snap.Sorted, snap.Secrets, ok = m.s.lists.Values(m.org, m.at.rev, of, q); ok {
				return snap, nil
			}
		}
		listed, err := m.listed(ctx)
		if err != nil {
			return snap, err
		}
		all, keys = len(listed), listed
		if q.Want != nil {
			keys = make([]string, 0, len(listed))
			for _, key := range listed {
				if q.Want(key) {
					keys = append(keys, key)
				}
			}
		}
	} else if listed, ok := m.s.lists.Names(m.org, m.at.rev); ok {
		all = len(listed)
	}
	listed, known := []string(nil), []cache.Version(nil)
	if q.Versions && still {
		listed, known = m.s.lists.Versions(m.org, m.at.rev)
	}
	kinds := []records.Kind{records.Value}
	if q.Versions && known == nil {
		kinds = append(kinds, records.Meta)
	}
	ahead := m.reads(ctx, keys, all, append(kinds, records.Listed)...)
	snap.Secrets = make(map[string]secret.Secret, len(keys))
	for i, key := range keys {
		find, err := ahead(i)
		if err != nil {
			return secret.Snapshot{}, err
		}
		if _, twice := snap.Secrets[key]; twice || !content.Fits(key) {
			continue
		}
		version := cache.VersionIn(listed, known, i, key)
		byName := q.Versions && still && version == nil && q.Keys != nil
		if byName {
			if v, ok := m.s.lists.Version(m.org, m.at.rev, key); ok {
				version, byName = &v, false
			}
		}
		got, ok, err := m.one(ctx, key, q.Versions, version, find)
		if err != nil {
			return secret.Snapshot{}, err
		}
		if !ok {
			continue
		}
		snap.Secrets[key] = got
		if byName {
			m.s.lists.PutVersion(m.org, m.at.rev, key, cache.VersionOf(got))
		}
	}
	if still && q.Versions && known == nil && len(listed) > 0 && len(snap.Secrets) == len(listed) {
		m.s.lists.PutVersions(m.org, m.at.rev, cache.VersionsOf(listed, snap.Secrets))
	}
	if q.Keys == nil {
		snap.Sorted = keys
		if still && len(snap.Secrets) == all && all >= manyKeys && of == m.sealedOf() {
			m.s.lists.PutValues(m.org, m.at.rev, of, snap.Secrets)
		}
	}
	return snap, nil
}

// unread is a snapshot of versions from memory, without the values; ok is false where not all that is asked for is
// known.
func (m moment) unread(q secret.Query) (snap secret.Snapshot, ok bool) {
	listed, known := m.s.lists.Versions(m.org, m.at.rev)
	keys := q.Keys
	if keys == nil {
		if known == nil {
			return snap, false
		}
		keys = listed
	}
	snap = secret.Snapshot{Version: m.at.Version, Changed: m.at.Changed, Unread: true, Sorted: listed, // if it has all
		Secrets: make(map[string]secret.Secret, len(keys))}
	for i, key := range keys {
		if q.Keys == nil && q.Want != nil && !q.Want(key) {
			continue
		}
		v := cache.VersionIn(listed, known, i, key)
		if v == nil {
			one, ok := m.s.lists.Version(m.org, m.at.rev, key)
			if !ok {
				return snap, false
			}
			v = &one
		}
		snap.Secrets[key] = v.With(secret.Value{})
	}
	return snap, true
}

// sealedOf is what values that are read now are sealed under.
func (m moment) sealedOf() cache.SealedOf {
	return cache.SealedOf{Term: m.s.ring.Term(), Names: m.names}
}

// listed gives the names.
func (m moment) listed(ctx context.Context) ([]string, error) {
	if !m.memory {
		return m.s.keysAt(ctx, m.org, m.at)
	}
	keys, ok := m.s.lists.Names(m.org, m.at.rev)
	if !ok {
		return nil, content.ErrForgotten
	}
	return keys, nil
}

// one reads one secret; ok is false where it is not there. Known is what is known of its version; nil for nothing.
func (m moment) one(ctx context.Context, key string, versions bool, known *cache.Version,
	find content.Finder) (got secret.Secret, ok bool, err error) {
	at, err := m.from.Places(m.org, key, m.names)
	if err != nil {
		return got, false, err
	}
	record, err := find(ctx, m.at.pending, at, records.Value)
	if err != nil {
		return got, false, err
	}
	if record.Sealed == nil { // it is not there, unless the list says that it is
		listed, err := find(ctx, m.at.pending, at, records.Listed)
		if err == nil && listed.Sealed != nil {
			err = content.DamagedValue(content.ErrNoValue, key, m.org)
		}
		return got, false, err
	}
	if got.Value, got.Updated, err = m.from.OpenValue(ctx, m.org, record); err != nil {
		return got, false, content.DamagedValue(err, key, m.org)
	}
	switch {
	case versions && known != nil:
		got = known.With(got.Value)
	case versions:
		of, err := find(ctx, m.at.pending, at, records.Meta)
		if err != nil {
			return got, false, err
		}
		known, err := m.from.OpenMeta(ctx, m.org, of, record)
		if err != nil {
			return got, false, content.DamagedMeta(err, key, m.org)
		}
		newest := known.Newest()
		got.Version, got.Created, got.Updated = newest.N, content.Time(known.Created), content.Time(newest.At)
	}
	return got, true, nil
}

// Many records are read as a range if they are of at least half of all secrets: that is faster than to look for each,
// and takes fewer calls of an engine elsewhere.
const manyKeys = 8

// uncounted stands for how many secrets there are where nobody has counted them: many more than are asked for.
const uncounted = math.MaxInt

// reads tells, for each of the keys in their order, how to look for its records of these kinds: in all of the
// organisation's, where they are of at least half of all secrets that there are; in those of some keys, for which a far
// engine is asked at the same time; or one by one. The list of names is only looked at for a secret without a value.
func (m moment) reads(ctx context.Context, keys []string, all int,
	kinds ...records.Kind) (ahead func(i int) (content.Finder, error)) {
	find, err := content.Finder(m.find), error(nil)
	switch {
	case m.memory:
	case len(keys) >= manyKeys && 2*len(keys) >= all && m.at.pending == nil && !m.names.Moving:
		var read content.Finder
		read, err = m.from.All(ctx, m.org, m.names, len(keys), kinds...)
		find = m.noting(read)
	case m.s.far && len(keys)*len(kinds) > 1:
		return func(i int) (content.Finder, error) {
			if i%content.Page > 0 {
				return find, nil
			}
			page := keys[i:min(i+content.Page, len(keys))]
			some, err := m.from.Together(ctx, m.at.pending, m.org, m.names, page, kinds...)
			find = m.noting(some)
			return find, err
		}
	}
	return func(int) (content.Finder, error) { return find, err }
}
