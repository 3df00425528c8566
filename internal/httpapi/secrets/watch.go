package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"strongroom/internal/access"
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
func watches(r *exchange.Request) bool { return r.Query().Has("watch") }

// watch tells a caller of changes: as server-sent events where they are asked for, which hold no value; or else by the
// answer with the values, once they are not those that the caller has.
func (h *handlers) watch(w http.ResponseWriter, r *exchange.Request, org id.ID, keys []string) error {
	stream := strings.Contains(r.Header.Get("Accept"), "text/event-stream")
	patience := pollTime
	if stream {
		patience = streamTime
	}
	if text := r.Query().Get("watch"); text != "" {
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
	parked := false
	defer func() {
		if !parked {
			watch.Close()
		}
	}()
	control := http.NewResponseController(w)
	// The bounds of the connection are those of an answer that nobody waits for.
	if err := errors.Join(control.SetReadDeadline(time.Time{}),
		control.SetWriteDeadline(time.Now().Add(patience+writeTime))); err != nil {
		return err
	}
	if stream {
		parked, err = h.stream(w, r, &events{watch: watch}, keys, control, time.Now().Add(patience))
		return err
	}
	end := time.NewTimer(patience)
	defer end.Stop()
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
// Where the connection can be had, that goes on when the handler has ended: parked says so.
func (h *handlers) stream(w http.ResponseWriter, r *exchange.Request, e *events, keys []string,
	control *http.ResponseController, until time.Time) (parked bool, err error) {
	snap, tag, changed, err := h.see(r, e.watch)
	switch {
	case err != nil:
		return false, err
	case missing(snap, keys) != "":
		return false, secret.NotFound(errs.Clip(missing(snap, keys)))
	}
	head := w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // or nginx would gather the events
	if r.CanDetach() {
		head.Set("Connection", "close")
	}
	e.last = r.Header.Get("Last-Event-Id")
	text, err := e.of(snap, tag)
	if err != nil {
		return false, err
	}
	if err := r.Hold(extra(text)); err != nil {
		return false, err
	}
	w.WriteHeader(http.StatusOK)
	if len(text) == 0 {
		text = pulse
	}
	send := func(text []byte) bool {
		if control.SetWriteDeadline(time.Now().Add(writeTime)) != nil {
			return false
		}
		_, err := w.Write(text)
		return err == nil && control.Flush() == nil
	}
	if !send(text) || r.Hold(-extra(text)) != nil {
		return false, nil
	}
	if conn, later, ok := r.Detach(w); ok {
		e.later = later
		e.watch.Tell(changed, h.lot.Park(conn, until, e).Wake)
		return true, nil
	}
	end, tick := time.NewTimer(time.Until(until)), time.NewTicker(pulseTime)
	defer end.Stop()
	defer tick.Stop()
	for {
		text := pulse
		select {
		case <-changed:
			if snap, tag, changed, err = h.see(r, e.watch); err != nil {
				return false, nil // the caller connects anew, and is told why then
			}
			if text, err = e.of(snap, tag); err != nil {
				return false, nil
			}
		case <-tick.C:
			if _, _, _, err = h.see(r, e.watch); err != nil {
				return false, nil
			}
		case <-end.C:
			return false, nil
		case <-e.watch.Ended():
			return false, nil
		case <-r.Context().Done():
			return false, nil
		}
		if r.Hold(extra(text)) != nil || len(text) > 0 && !send(text) || r.Hold(-extra(text)) != nil {
			return false, nil
		}
	}
}

// pulse is a comment, which shows that both are there.
var pulse = []byte(": \n\n")

// events are what one caller is told, one after the other.
type events struct {
	watch *service.Watch
	last  string          // the tag of what was told last
	later *exchange.Later // where the handler has ended
}

// of is the event of what the caller may know now, nothing where that was told.
func (e *events) of(snap secret.Snapshot, tag string) ([]byte, error) {
	if tag == e.last && tag != "" {
		return nil, nil
	}
	e.last = tag
	return event(snap, tag)
}

// Next is what there is to tell, when the handler has ended.
func (e *events) Next() (text []byte, last bool) {
	select {
	case <-e.watch.Ended():
		return nil, true
	default:
	}
	err := e.later.Work(func(ctx context.Context, c *access.Caller) error {
		snap, _, err := e.watch.Now(ctx, c)
		if err != nil {
			return err
		}
		text, err = e.of(snap, tagOf(snap))
		return err
	})
	if err == nil {
		err = e.later.Hold(watchHold + extra(text)) // until it is asked again: by then it has been sent
	}
	if err != nil { // the caller connects anew, and is told why then
		e.later.Failed(err)
		return nil, true
	}
	return text, false
}

// extra is how many bytes more a watcher holds while it is sent a text.
func extra(text []byte) int64 {
	if len(text) <= watchHold/4 {
		return 0
	}
	return 2 * int64(len(text))
}

// Gone ends the watch, and gives back what it held.
func (e *events) Gone() {
	e.watch.Close()
	e.later.Close()
}

// event has names and versions. A version is 0 where the store knows none of single secrets.
func event(snap secret.Snapshot, tag string) ([]byte, error) {
	versions := make(map[string]int, len(snap.Secrets))
	for key, got := range snap.Secrets {
		versions[key] = got.Version
	}
	data, err := json.Marshal(map[string]any{"versions": versions})
	return []byte("event: secrets\nid: " + tag + "\ndata: " + string(data) + "\n\n"), err
}
