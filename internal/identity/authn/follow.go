package authn

import (
	"context"
	"encoding/hex"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// followed are what the keys of all records begin with that say who a token or a session stands
// for, and what he may do.
var followed = []string{"auth/", "approle/", "user/", "org/", "member/", "memberof/", "deleting/", "session/"}

// followPause is how long a watch that has ended waits before it begins again.
const followPause = 200 * time.Millisecond

// following is whether memory may be trusted although other servers change the data: it may as long as every watch has
// told all that had happened until stale ago.
type following struct {
	stale time.Duration
	known []atomic.Pointer[time.Time] // by watch: until when it has told all; nil where it has ended
}

// fresh reports whether what is in memory may be believed. Without other servers there is nothing to be behind. Both
// clocks count: the one that nobody sets stands still while a machine sleeps.
func (f *following) fresh() bool {
	if f == nil {
		return true
	}
	if f.stale <= 0 {
		return false
	}
	now := time.Now()
	for i := range f.known {
		until := f.known[i].Load()
		if until == nil || now.Sub(*until) > f.stale || now.Round(0).Sub(until.Round(0)) > f.stale {
			return false
		}
	}
	return true
}

// Follow keeps true what is in memory while other servers change the same data, until ctx ends: what they change is
// forgotten here as soon as the engine tells of it. While it does not, for longer than Config.Stale, nothing is
// believed that is in memory, and each request asks the engine.
func (s *Service) Follow(ctx context.Context) {
	if s.following == nil {
		return
	}
	var wg sync.WaitGroup
	for i, prefix := range followed {
		wg.Go(func() {
			known := &s.following.known[i]
			for ctx.Err() == nil {
				first := true
				err := s.kv.Watch(ctx, prefix, 0, func(u kv.Update) {
					if first { // what came before it was not told
						s.cache.flush()
						first = false
					}
					for _, e := range u.Events {
						s.forget(e.Key, e.Deleted)
					}
					if until := u.Known; !until.IsZero() {
						known.Store(&until)
					}
				})
				known.Store(nil)
				s.cache.flush()
				s.report(ctx, "following what other servers change", err)
				select {
				case <-ctx.Done():
				case <-time.After(followPause):
				}
			}
		})
	}
	wg.Wait()
}

// forget forgets what rests on the record. The kinds that change often have an entry each; the others touch many.
func (s *Service) forget(key string, deleted bool) {
	switch kind, name, _ := strings.Cut(key, "/"); kind {
	case "session":
		var h identity.Hash
		if n, err := hex.Decode(h[:], []byte(name)); err != nil || n != len(h) {
			s.cache.flush()
			return
		}
		s.cache.drop(h)
	case "auth":
		a, err := id.Parse(name)
		if err != nil {
			s.cache.flush()
			return
		}
		s.cache.dropAuthorization(a)
	case "member", "memberof": // nothing but sessions of the one user rests on them
		who := record.Last(name)
		if kind == "memberof" {
			who, _, _ = strings.Cut(name, "/")
		}
		user, err := id.Parse(who)
		if err != nil {
			s.cache.flush()
			return
		}
		s.cache.dropSessions(user)
	case "org":
		if deleted { // on a new one, or a name, nothing rests that is known
			s.cache.flush()
		}
	default:
		s.cache.flush()
	}
}
