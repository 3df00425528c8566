package persecret

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
)

// step is one entry's part in a change.
type step struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Base  int64  `json:"base"` // the entry's version that it builds on; 0: there is none
	Value string `json:"value,omitempty"`
	By    string `json:"by,omitempty"`
}

// The operations of steps.
const (
	set      = "set"
	deletes  = "delete"
	undelete = "undelete"
)

// A journal is cut into parts that any Vault takes. A value that is longer has a part of its own, and since that is larger
// than the value's entry will be, what is committed can be carried out: no entry is refused for its size after that.
const (
	partBytes = 128 << 10
	partSteps = 500
)

// cut makes parts of steps, each of at most so many.
func cut(steps []step, most int) [][]step {
	var parts [][]step
	size := 0
	for _, st := range steps {
		b, err := json.Marshal(st) // as Vault itself writes it, with escapes for HTML
		if err != nil {
			panic("persecret: a step cannot be written: " + err.Error()) // it is texts and numbers
		}
		last := len(parts) - 1
		if last < 0 || size+len(b) > partBytes || len(parts[last]) == most {
			parts, size, last = append(parts, nil), 0, last+1
		}
		parts[last], size = append(parts[last], st), size+len(b)
	}
	return parts
}

func partAt(at kv2.Location, journal string, n int) kv2.Location {
	return at.Below(fmt.Sprintf("%s/%s-%d", journals, journal, n))
}

// prepare writes a journal, which nobody sees before the commit nor misses where there is none, and gives the number of its
// parts.
func (s *Store) prepare(ctx context.Context, at kv2.Location, p *pending, steps []step, most int) (int, error) {
	parts := cut(steps, most)
	p.ID, p.Parts = rand.Text(), len(parts)
	err := s.writeParts(ctx, at, p.ID, parts)
	if err != nil && !conn.Uncertain(err) && ctx.Err() == nil {
		s.removeParts(ctx, at, p.ID, len(parts))
	}
	return len(parts), err
}

// mayCarryOut asks whether the token's policies allow every step: what is committed and may not be carried out would keep
// the organisation's other changes waiting. A token that may not ask is let through.
func mayCarryOut(ctx context.Context, at kv2.Location, steps []step) error {
	requests := make([]conn.Request, 0, len(steps))
	for _, st := range steps {
		entry := at.Below(st.Path)
		if st.Op != set {
			requests = append(requests, entry.Request(http.MethodPut, st.Op, "update"))
		}
		switch {
		case st.Op == set && st.Base == 0:
			requests = append(requests, entry.Request(http.MethodPut, "data", "create"))
		case st.Op != deletes:
			requests = append(requests, entry.Request(http.MethodPut, "data", "update"))
		}
	}
	for part := range slices.Chunk(requests, partSteps) {
		if err := at.May(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// writeParts writes what the commit of a journal needs to be there.
func (s *Store) writeParts(ctx context.Context, at kv2.Location, journal string, parts [][]step) error {
	at.Holds = "a secret, with its name,"
	return each(ctx, len(parts), func(ctx context.Context, i int) error {
		_, err := partAt(at, journal, i).Put(ctx, 0, map[string]json.RawMessage{"steps": kv2.Encode(parts[i])})
		if err == conn.ErrMismatch { // an answer that was lost: nobody else knows the name
			return nil
		}
		return err
	})
}

// readParts gives a journal's steps; ok is false where it is not all there, as when it has been carried out meanwhile.
func (s *Store) readParts(ctx context.Context, at kv2.Location, p *pending) (steps []step, ok bool, err error) {
	parts := make([][]step, p.Parts)
	err = each(ctx, p.Parts, func(ctx context.Context, i int) error {
		e, err := partAt(at, p.ID, i).Read(ctx)
		if err == nil && e.Data != nil && json.Unmarshal(e.Data["steps"], &parts[i]) != nil {
			parts[i] = nil
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	for _, part := range parts {
		if part == nil {
			return nil, false, nil
		}
		steps = append(steps, part...)
	}
	return steps, true, nil
}

// removeParts removes a journal's entries. What stays because Vault does not answer, a sweep removes.
func (s *Store) removeParts(ctx context.Context, at kv2.Location, journal string, parts int) {
	ctx, cancel := s.conn.Bound(context.WithoutCancel(ctx))
	defer cancel()
	_ = each(ctx, parts, func(ctx context.Context, i int) error {
		return partAt(at, journal, i).Remove(ctx, "metadata")
	})
}

// commit writes the control entry that makes a journal valid. Its outcome is known where it is nil or ErrMismatch, which
// says that nothing was committed.
func (s *Store) commit(ctx context.Context, org id.ID, at kv2.Location, next *control) (*control, error) {
	try, cancel := s.conn.Shorten(ctx)
	defer cancel()
	for lost := 0; ; lost++ {
		written, err := s.put(try, org, at, next)
		switch {
		case err == conn.ErrMismatch:
			// Perhaps by our own write, whose answer was lost. Nobody writes the same again, so it is there or it never will be.
			now, err := s.control(ctx, org, at)
			if err != nil {
				return nil, err
			}
			if now.Pending != nil && now.Pending.ID == next.Pending.ID || now.finished(next.Pending.ID) {
				return now, nil
			}
			return nil, conn.ErrMismatch
		case conn.Uncertain(err) && lost == 0 && ctx.Err() == nil:
			try = ctx // with what was left for this
		default:
			return written, err
		}
	}
}

// roll carries out a committed journal and puts the control entry to rest. Those who help begin at its end, so that two
// who are at it meet in the middle.
func (s *Store) roll(ctx context.Context, org id.ID, at kv2.Location, c *control, steps []step, helping bool) error {
	err := each(ctx, len(steps), func(ctx context.Context, i int) error {
		if helping {
			i = len(steps) - 1 - i
		}
		return s.carryOut(ctx, org, at, steps[i])
	})
	if err != nil {
		return err
	}
	return s.rest(ctx, org, at, c)
}

// carryOut makes a step, or finds that it has been made or overtaken.
func (s *Store) carryOut(ctx context.Context, org id.ID, at kv2.Location, st step) error {
	at = at.Below(st.Path)
	s.drop(org, st.Path)
	switch st.Op {
	case set:
		_, err := at.Put(ctx, st.Base, data(st.Value, st.By))
		if err == conn.ErrMismatch {
			return nil
		}
		return err
	case deletes:
		return at.Delete(ctx, st.Base)
	case undelete:
		return bringBack(ctx, at, st)
	}
	return errs.New(errs.Unavailable, "a change that is under way was made by a newer server")
}

// bringBack undeletes a version and sets its value anew: unlike a write, a deletion or its reversal is of one version
// however late it comes, as from a server that stood still, and must not hit the one that is there by then.
func bringBack(ctx context.Context, at kv2.Location, st step) error {
	if err := at.Undelete(ctx, st.Base); err != nil {
		return err
	}
	e, err := at.ReadVersion(ctx, st.Base)
	if err != nil {
		return err
	}
	value, ours, err := valueOf(e)
	if err != nil || !ours { // overtaken and not kept any more, or somebody else's
		return err
	}
	_, err = at.Put(ctx, st.Base, data(value, st.By))
	// One that is too large with the other name beside it is back as the version that it was.
	if err == conn.ErrMismatch || errs.Is(err, errs.RequestTooLarge) {
		return nil
	}
	return err
}

// rest says that what is pending has been carried out, and removes the journal.
func (s *Store) rest(ctx context.Context, org id.ID, at kv2.Location, c *control) error {
	_, err := s.put(ctx, org, at, c.rested())
	if conn.Uncertain(err) {
		_, err = s.put(ctx, org, at, c.rested())
	}
	if err != nil && err != conn.ErrMismatch { // somebody else has said so
		return err
	}
	s.removeParts(ctx, at, c.Pending.ID, c.Pending.Parts)
	return nil
}

// drop forgets what is known of an entry that is being changed.
func (s *Store) drop(org id.ID, path string) {
	if key, ok := nameAt(path); ok {
		s.versions.forget(name{org, key})
		s.changed(name{org, key})
	}
}
