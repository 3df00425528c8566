package rotation

import (
	"context"
	"time"

	"strongroom/internal/access"
)

// lookEvery is how often Watch looks at the seal's key and at the count of sealed values.
const lookEvery = 10 * time.Second

// When the count of sealed values is kept with the data, at the latest: a process that is killed forgets no more.
const (
	saveEvery  = 10 * time.Minute
	saveValues = 1 << 16
)

// rotateAfter is how many values are sealed under a term. With random nonces AES-GCM is safe for 2^32 of one key (NIST
// SP 800-38D, 8.3), and a term has one for each organisation.
const rotateAfter = 1 << 31

// Watch looks, until ctx ends, whether the seal's key is still where the next start will look for it, and counts what
// is sealed. The server works without the key; but it cannot be started again, and there is time to do something as
// long as it runs. A term under which much has been sealed is followed by the next by itself.
func (s *Service) Watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		s.look(ctx)
		s.count(ctx)
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := s.Keyring.SaveCount(last); err != nil {
				s.Logger.WarnContext(ctx, "keeping the count of sealed values failed", "error", err)
			}
			return
		case <-tick.C:
		}
	}
}

// count keeps the count of sealed values where it is due, and begins a rotation where it says so.
func (s *Service) count(ctx context.Context) {
	now := s.Now()
	if s.Keyring.Unsaved() >= saveValues || now.Sub(s.saved) >= saveEvery {
		if err := s.Keyring.SaveCount(ctx); err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "keeping the count of sealed values failed and will be tried again", "error", err)
		}
		s.saved = now
	}
	if s.Keyring.Sealed() < s.RotateAfter || len(s.Keyring.Terms()) > 1 || s.Keyring.Names().Moving {
		return
	}
	c, act := access.System(), access.Act{Action: "seal.rotate"}
	err := s.Guard.Allow(ctx, c, act)
	if err == nil {
		err = s.Guard.Done(ctx, c, act, s.rotate(ctx))
	}
	if err != nil && ctx.Err() == nil {
		s.Logger.ErrorContext(ctx, "so many values are sealed under one key that it has to be rotated, and that "+
			"failed; it will be tried again", "error", err)
	}
}

func (s *Service) look(ctx context.Context) {
	err := s.Keyring.KeyKept(ctx)
	s.mu.Lock()
	before := s.lost
	s.lost = err
	s.mu.Unlock()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		s.Logger.ErrorContext(ctx, "the seal's key is lost, and the data will not open at the next start: put it "+
			"back, or change the seal while this server runs (influx seal change)", "error", err)
	case err == nil && before != nil:
		s.Logger.InfoContext(ctx, "the seal's key is there again")
	}
}

// KeyLost says, for a health check, that the seal's key is lost and what to do; "" where it is not. It names no path.
func (s *Service) KeyLost() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost == nil {
		return ""
	}
	return "the seal's key is not where the next start looks for it: put it back, or change the seal while the " +
		"server runs; its log says more"
}
