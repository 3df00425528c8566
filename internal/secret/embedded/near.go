package embedded

import (
	"context"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

// Near has records of the engine in memory (package near).
type Near = content.Near

// recall gives the state of an organisation as memory has it; ok is false where the engine has to be asked for it.
func (s *Store) recall(ctx context.Context, org id.ID) (at state, ok bool) {
	if s.near == nil {
		return state{}, false
	}
	head, ok := s.near.Recall(records.Head(org))
	if !ok {
		return state{}, false
	}
	if s.homes != nil {
		home, ok := s.near.Recall(s.home(org))
		if !ok {
			return state{}, false
		}
		if _, err := s.homes.Open(ctx, home); err != nil {
			return state{}, false
		}
		at.home = kv.Unchanged(home)
	}
	var err error
	at.Head, err = commitlog.ParseHead(head)
	at.rev = head.Rev
	return at, err == nil && !at.Pending
}

// fromMemory carries out a read from memory, which may be as old as s.stale says. What it has read is of one moment if
// the head and the organisation are the same before and after it, as all that memory gives goes from one revision to
// the next. Where it is not, or anything is not in memory, or something is wrong, ok is false.
func fromMemory[T any](ctx context.Context, s *Store, org id.ID,
	read func(context.Context, moment) (T, error)) (got T, ok bool) {
	if s.near == nil || ctx.Err() != nil || !s.near.Serves(ctx, records.Head(org), s.stale) {
		return got, false
	}
	m := moment{s: s, org: org, names: s.ring.Names(), memory: true, absent: new(bool),
		from: content.Reader{KV: content.Recalling{Store: s.kv, Near: s.near, Alone: true}, Ring: s.ring}}
	if m.at, ok = s.recall(ctx, org); !ok {
		return got, false
	}
	got, err := read(ctx, m)
	if err != nil {
		return got, false
	}
	now, ok := s.recall(ctx, org)
	return got, ok && now.rev == m.at.rev && now.home == m.at.home && m.names == s.ring.Names()
}
