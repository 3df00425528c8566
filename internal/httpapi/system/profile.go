package system

import (
	"bytes"
	"context"
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strconv"
	"strings"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/httpapi/exchange"
)

// The longest and the usual time over which a profile is taken, and the most bytes that one may have.
const (
	longestProfile = 60 * time.Second
	usualProfile   = 10 * time.Second
	maxProfile     = 32 << 20
)

// timed are the profiles that watch the server for a while; snapshots say how it is now.
var (
	timed = map[string]func(ctx context.Context, to *bounded, over time.Duration) error{
		"profile": cpu, "trace": traced,
	}
	snapshots = []string{"allocs", "goroutine", "heap", "threadcreate"}
)

// getProfile serves a profile of the running server to operators, for `go tool pprof`: where its time and memory go. It
// has functions, counts and times, and nothing of what is in memory: the form of goroutines that shows the words on
// their stacks is not given.
func (h *handlers) getProfile(w http.ResponseWriter, r *exchange.Request) error {
	name := r.PathValue("profile")
	act := access.Act{Action: "profile.read"}
	if known(name) {
		act.Target = name
	}
	if err := h.Guard.Allow(r.Context(), r.Caller, act, operator); err != nil {
		return err
	}
	// The server's own limit on answers is for those that come at once.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(longestProfile + backupPatience))
	content, err := h.profile(r, name)
	if err != nil {
		return h.Guard.Done(r.Context(), r.Caller, act, err)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(content) // a client that has gone is no error of ours
	return nil
}

func known(name string) bool { return timed[name] != nil || slices.Contains(snapshots, name) }

func (h *handlers) profile(r *exchange.Request, name string) ([]byte, error) {
	if !known(name) {
		return nil, errs.New(errs.NotFound, "there is no profile of that name; there are profile and trace, and %s",
			strings.Join(snapshots, ", "))
	}
	over := usualProfile
	if s := r.Query().Get("seconds"); s != "" {
		n, err := strconv.Atoi(s)
		if over = time.Duration(n) * time.Second; err != nil || over <= 0 || over > longestProfile {
			return nil, errs.New(errs.Invalid, "seconds must be a number from 1 to %.0f", longestProfile.Seconds())
		}
	}
	if err := r.Hold(maxProfile); err != nil {
		return nil, err
	}
	out := &bounded{left: maxProfile}
	var err error
	if run := timed[name]; run != nil {
		if !h.profiling.TryLock() {
			return nil, errs.New(errs.Conflict, "another profile is being taken; try again when it has ended")
		}
		defer h.profiling.Unlock()
		err = run(r.Context(), out, over)
	} else {
		err = pprof.Lookup(name).WriteTo(out, 0)
	}
	switch {
	case err != nil:
		return nil, errs.Wrap(err, errs.Unavailable, "the profile cannot be taken now: something else takes one")
	case r.Context().Err() != nil:
		return nil, r.Context().Err()
	case out.left < 0:
		return nil, errs.New(errs.RequestTooLarge, "the profile is over %d MiB; ask for fewer seconds", maxProfile>>20)
	}
	return out.Bytes(), nil
}

func cpu(ctx context.Context, to *bounded, over time.Duration) error {
	if err := pprof.StartCPUProfile(to); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	wait(ctx, over)
	return nil
}

func traced(ctx context.Context, to *bounded, over time.Duration) error {
	if err := trace.Start(to); err != nil {
		return err
	}
	defer trace.Stop()
	wait(ctx, over)
	return nil
}

func wait(ctx context.Context, over time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(over):
	}
}

// bounded keeps what is written up to a size, and forgets the rest: whoever writes goes on, and left is negative.
type bounded struct {
	bytes.Buffer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return len(p), nil
	}
	return b.Buffer.Write(p)
}
