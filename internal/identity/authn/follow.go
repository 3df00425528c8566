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
	"strongroom/internal/kv"
)

// followed are what the keys of all records begin with that say who a token or a session stands for, and what he may do.
var followed = []string{"auth/", "approle/", "user/", "org/", "member/", "memberof/", "deleting/", "session/"}

// followPause is how long a watch that has ended waits before it begins again.
const followPause = 200 * time.Millisecond

// following is whether memory may be trusted although other servers change the data: it may as long as every watch has told
// something within stale.
type following struct {
	stale time.Duration
	since time.Time
	heard []atomic.Int64 // by watch: when it last told something, after since; 0 where it has ended
}

// fresh reports whether all watches are alive. Without other servers there is nothing to be behind.
func (f *following) fresh() bool {
	if f == nil {
		return true
	}
	oldest := time.Since(f.since) - f.stale
	for i := range f.heard {
		if at := f.heard[i].Load(); at == 0 || time.Duration(at) < oldest {
			return false
		}
	}
	return true
}

// Follow keeps true what is in memory while other servers change the same data, until ctx ends: what they change is
// forgotten here as soon as the engine tells of it. While it does not, for longer than Config.Stale, nothing is believed
// that is in memory, and each request asks the engine.
func (s *Service) Follow(ctx context.Context) {
	if s.following == nil {
		return
	}
	var wg sync.WaitGroup
	for i, prefix := range followed {
		wg.Go(func() {
			heard := &s.following.heard[i]
			for ctx.Err() == nil {
				first := true
				err := s.kv.Watch(ctx, prefix, 0, func(u kv.Update) {
					if first { // what came before it was not told
						s.cache.flush()
						first = false
					}
					for _, e := range u.Events {
						s.forget(e.Key)
					}
					heard.Store(max(1, int64(time.Since(s.following.since))))
				})
				heard.Store(0)
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
func (s *Service) forget(key string) {
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
	default:
		s.cache.flush()
	}
}
