package server

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"strongroom/internal/background"
	"strongroom/internal/kv"
)

// closes takes note of how the part just opened is closed.
func (s *Server) closes(f func() error) { s.closers = append(s.closers, f) }

// runs starts what goes on in the background. It goes on when ctx ends, until it is its turn to be closed: requests in
// flight may still need it.
func (s *Server) runs(ctx context.Context, f func(context.Context)) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { background.KeepOn(ctx, s.log, f) })
	s.closes(func() error {
		stop()
		wg.Wait()
		return nil
	})
}

// How long the parts may take to close, all of them together, and each that is left when that is over.
const (
	closeTime = 20 * time.Second
	closeEach = time.Second
)

// errHangs is a part that does not end.
var errHangs = errors.New("a part of the server did not end in time and is left as it is; the log says what went " +
	"wrong before")

// runsAlone is runs for what one server does for all: whoever holds the name does it, and another goes on when it ends.
func (s *Server) runsAlone(ctx context.Context, name string, f func(context.Context)) {
	s.runs(ctx, func(ctx context.Context) { alone(ctx, s.Data, s.log, name, f) })
}

// alone does f while the name is held, until f ends by itself or ctx does.
func alone(ctx context.Context, data kv.Store, log *slog.Logger, name string, f func(context.Context)) {
	for ctx.Err() == nil {
		held, release, err := data.Hold(ctx, name)
		if err == nil {
			var lost bool
			func() {
				defer release() // also where f panics: it would wait for itself when it is begun again
				f(held)
				lost = held.Err() != nil
			}()
			if !lost {
				return
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		log.WarnContext(ctx, "what one server does for all waits for the data", "what", name, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(kv.HoldTime):
		}
	}
}

// Close closes the parts in reverse. One that hangs, on a disk that does not answer, say, keeps neither the others nor
// the process from ending: what was acknowledged is on disk.
func (s *Server) Close() error {
	var all []error
	over := time.Now().Add(closeTime)
	for _, f := range slices.Backward(s.closers) {
		closed := make(chan error, 1)
		go func() { closed <- f() }()
		select {
		case err := <-closed:
			all = append(all, err)
		case <-time.After(max(time.Until(over), closeEach)):
			all = append(all, errHangs)
		}
	}
	return errors.Join(all...)
}

// watchEvery is how often the data file is looked at.
const watchEvery = time.Second

// watchData logs when the data cannot be written to, and when they can be again.
func (s *Server) watchData(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var told error
	for {
		err := s.Data.Health()
		switch {
		case err == nil && told != nil:
			s.log.Info("the data can be written to again")
		case err != nil && (told == nil || errors.Is(err, kv.ErrFull) != errors.Is(told, kv.ErrFull)):
			s.log.Error("the data cannot be written to", "error", err)
		}
		told = err
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// reopenOn opens the audit log's files anew at each hangup, as those who rotate logs ask for it.
func (s *Server) reopenOn(ctx context.Context, hangup <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := s.trail.Reopen(); err != nil {
				s.log.Error("the audit log's files could not be opened anew", "error", err)
			} else {
				s.log.Info("the audit log's files were opened anew")
			}
		}
	}
}
