package rotation

import (
	"context"
	"time"
)

// lookEvery is how often Watch looks for the seal's key.
const lookEvery = 10 * time.Second

// Watch looks, until ctx ends, whether the seal's key is still where the next start will look for it. The server works
// without; but it cannot be started again, and there is time to do something as long as it runs.
func (s *Service) Watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		s.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
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
		s.Logger.ErrorContext(ctx, "the seal's key is lost, and the data will not open at the next start: put it back, or change the seal "+
			"while this server runs (influx seal change)", "error", err)
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
	return "the seal's key is not where the next start looks for it: put it back, or change the seal while the server runs; its log says more"
}
