package secrets

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
)

// How long a caller waits. What stands between may cut a connection on which nothing comes for a minute; so a poll is
// shorter, and a stream has something come.
const (
	pollTime   = 25 * time.Second // where the caller does not say
	maxPoll    = time.Minute
	streamTime = 10 * time.Minute // then the caller connects anew
	pulseTime  = 15 * time.Second
	writeTime  = 30 * time.Second // for one event
	watchHold  = 16 << 10         // bytes: what a watcher holds of the server's memory
)

// watches reports whether the request is for changes.
func watches(r *http.Request) bool { return r.URL.RawQuery != "" && r.URL.Query().Has("watch") }

// watch tells a caller of changes: as server-sent events where they are asked for, which hold no value; or else by the
// answer with the values, once they are not those that the caller has.
func (h *handlers) watch(w http.ResponseWriter, r *exchange.Request, org id.ID, keys []string) error {
	stream := strings.Contains(r.Header.Get("Accept"), "text/event-stream")
	patience := pollTime
	if stream {
		patience = streamTime
	}
	if text := r.URL.Query().Get("watch"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > patience && d > maxPoll {
			return errs.New(errs.Invalid, "watch says how long to wait, such as 20s, and at most a minute "+
				"(events: ten)")
		}
		patience = d
	}
	if err := r.Hold(watchHold); err != nil {
		return err
	}
	var watch *service.Watch
	err := r.Work(func() (err error) {
		watch, err = h.secrets.Watch(r.Context(), r.Caller, org, keys, stream)
		return err
	})
	if err != nil {
		return err
	}
	defer watch.Close()
	control := http.NewResponseController(w)
	// The bounds of the connection are those of an answer that nobody waits for.
	if err := errors.Join(control.SetReadDeadline(time.Time{}),
		control.SetWriteDeadline(time.Now().Add(patience+writeTime))); err != nil {
		return err
	}
	end := time.NewTimer(patience)
	defer end.Stop()
	if stream {
		return h.stream(w, r, watch, keys, control, end.C)
	}
	return h.poll(w, r, org, keys, watch, end.C)
}

// see is what the caller may know now, and the tag of it.
func (h *handlers) see(r *exchange.Request,
	watch *service.Watch) (snap secret.Snapshot, tag string, changed <-chan struct{}, err error) {
	err = r.Work(func() error {
		snap, changed, err = watch.Now(r.Context(), r.Caller)
		return err
	})
	return snap, tagOf(snap), changed, err
}

// poll answers when there is something else than what the caller has, or 304 in the end.
func (h *handlers) poll(w http.ResponseWriter, r *exchange.Request, org id.ID, keys []string, watch *service.Watch,
	end <-chan time.Time) error {
	for {
		snap, tag, changed, err := h.see(r, watch)
		if err != nil {
			return err
		}
		if !noneMatch(r.Request, tag) || missing(snap, keys) != "" {
			return r.Work(func() error { return h.answerValues(w, r, org, keys) })
		}
		select {
		case <-changed:
			continue
		case <-end:
		case <-watch.Ended():
		case <-r.Context().Done():
			return nil
		}
		notModified(w, tag)
		return nil
	}
}

// missing is the first of the keys that is not there, or not for this caller.
func missing(snap secret.Snapshot, keys []string) string {
	for _, key := range keys {
		if _, ok := snap.Secrets[key]; !ok {
			return key
		}
	}
	return ""
}

// stream sends an event with what there is, and one after each change. A key that is not there any more is not in it.
func (h *handlers) stream(
	w http.ResponseWriter, r *exchange.Request, watch *service.Watch, keys []string, control *http.ResponseController,
	end <-chan time.Time,
) error {
	pulse := time.NewTicker(pulseTime)
	defer pulse.Stop()
	last, begun := r.Header.Get("Last-Event-Id"), false
	for {
		snap, tag, changed, err := h.see(r, watch)
		switch {
		case err != nil && begun:
			return nil // the caller connects anew, and is told why then
		case err != nil:
			return err
		case !begun && missing(snap, keys) != "":
			return secret.NotFound(errs.Clip(missing(snap, keys)))
		case !begun:
			begun = true
			h := w.Header()
			h.Set("Content-Type", "text/event-stream")
			h.Set("Cache-Control", "no-store")
			h.Set("X-Accel-Buffering", "no") // or nginx would gather the events
			w.WriteHeader(http.StatusOK)
		}
		text := ": \n\n" // a comment, which shows that both are there
		if tag != last || tag == "" {
			if text, err = event(snap, tag); err != nil {
				return nil
			}
			last = tag
		}
		if control.SetWriteDeadline(time.Now().Add(writeTime)) != nil {
			return nil
		}
		if _, err := w.Write([]byte(text)); err != nil || control.Flush() != nil {
			return nil
		}
		select {
		case <-changed:
		case <-pulse.C:
		case <-end:
			return nil
		case <-watch.Ended():
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}

// event has names and versions. A version is 0 where the store knows none of single secrets.
func event(snap secret.Snapshot, tag string) (string, error) {
	versions := make(map[string]int, len(snap.Secrets))
	for key, got := range snap.Secrets {
		versions[key] = got.Version
	}
	data, err := json.Marshal(map[string]any{"versions": versions})
	return "event: secrets\nid: " + tag + "\ndata: " + string(data) + "\n\n", err
}
