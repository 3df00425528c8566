package intent

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/persecret/paths"
)

// Step is one entry's part in a change. What it finds at a later version than its base it leaves alone.
type Step struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Base  int64  `json:"base"` // the entry's version that it builds on; 0: there is none
	Value string `json:"value,omitempty"`
	By    string `json:"by,omitempty"`
}

// The operations of steps.
const (
	Set      = "set"
	Delete   = "delete"
	Undelete = "undelete" // and set the value anew, which only Vault knows
)

// A journal is cut into parts that any Vault takes. A value that is longer has a part of its own, and since
// that is larger than the value's entry will be, what is committed can be carried out: no entry is refused
// for its size after that.
const (
	partBytes = 128 << 10
	partSteps = 500
)

// cut makes parts of steps, each of at most so many.
func cut(steps []Step, most int) [][]Step {
	var parts [][]Step
	size := 0
	for _, st := range steps {
		b, err := json.Marshal(st) // as Vault itself writes it, with escapes for HTML
		if err != nil {
			panic("journal: a step cannot be written: " + err.Error()) // it is texts and numbers
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

// prepare writes a journal, which nobody sees before the commit nor misses where there is none, and gives
// the number of its parts.
func (l *Log) prepare(ctx context.Context, at kv2.Location, p *pending, steps []Step, most int) (int, error) {
	parts := cut(steps, most)
	p.ID, p.Parts = rand.Text(), len(parts)
	err := l.writeParts(ctx, at, p.ID, parts)
	if err != nil && !conn.Uncertain(err) && ctx.Err() == nil {
		l.removeParts(ctx, at, p.ID, len(parts))
	}
	return len(parts), err
}

// mayCarryOut asks whether the token's policies allow every step: what is committed and may not be carried out would
// keep the organisation's other changes waiting until it is undone.
func mayCarryOut(ctx context.Context, at kv2.Location, steps []Step) error {
	requests := make([]conn.Request, 0, len(steps))
	for _, st := range steps {
		entry := at.Below(st.Path)
		if st.Op != Set {
			requests = append(requests, entry.Request(http.MethodPut, st.Op, "update"))
		}
		switch {
		case st.Op == Set && st.Base == 0:
			requests = append(requests, entry.Request(http.MethodPut, "data", "create"))
		case st.Op != Delete:
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

// writeParts writes what the commit of a journal needs to be there. Where one fails no more are begun, but those under
// way are left to end: a write that is cut off may still arrive, after the parts have been removed.
func (l *Log) writeParts(ctx context.Context, at kv2.Location, journal string, parts [][]Step) error {
	at.Holds = "a secret, with its name,"
	outcomes := make([]error, len(parts))
	var failed atomic.Bool
	_ = conn.Each(ctx, len(parts), func(ctx context.Context, i int) error {
		if failed.Load() {
			return nil
		}
		_, err := partAt(at, journal, i).Put(ctx, 0, map[string]json.RawMessage{"steps": kv2.Encode(parts[i])})
		if err != nil && err != conn.ErrMismatch { // that is an answer that was lost: nobody else knows the name
			outcomes[i] = err
			failed.Store(true)
		}
		return nil
	})
	return cmp.Or(outcomes...)
}

// Steps gives those of the change that is pending, or being undone; ok is false where its journal is not all there, as
// when it has been carried out meanwhile.
func (l *Log) Steps(ctx context.Context, at kv2.Location, c *State) (steps []Step, ok bool, err error) {
	if !c.Changing() && !c.Undoing() {
		return nil, false, errNewer
	}
	p := c.kept.Pending
	parts := make([][]Step, p.Parts)
	err = conn.Each(ctx, p.Parts, func(ctx context.Context, i int) error {
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
func (l *Log) removeParts(ctx context.Context, at kv2.Location, journal string, parts int) {
	ctx, cancel := l.conn.Bound(context.WithoutCancel(ctx))
	defer cancel()
	_ = conn.Each(ctx, parts, func(ctx context.Context, i int) error {
		return partAt(at, journal, i).Remove(ctx, "metadata")
	})
}

// carryOut makes a step, or finds that it has been made or overtaken.
func (l *Log) carryOut(ctx context.Context, org id.ID, at kv2.Location, st Step) error {
	at = at.Below(st.Path)
	l.forgetOne(org, st.Path)
	switch st.Op {
	case Set:
		_, err := at.Put(ctx, st.Base, paths.Data(st.Value, st.By))
		if err == conn.ErrMismatch {
			return nil
		}
		return err
	case Delete:
		return at.Delete(ctx, st.Base)
	case Undelete:
		return bringBack(ctx, at, st)
	}
	return errs.New(errs.Unavailable, "a change that is under way was made by a newer server")
}

// bringBack undeletes a version and sets its value anew: unlike a write, a deletion or its reversal is of one version
// however late it comes, as from a server that stood still, and must not hit the one that is there by then.
func bringBack(ctx context.Context, at kv2.Location, st Step) error {
	if err := at.Undelete(ctx, st.Base); err != nil {
		return err
	}
	e, err := at.ReadVersion(ctx, st.Base)
	if err != nil {
		return err
	}
	value, ours, err := paths.Value(e)
	if err != nil || !ours { // overtaken and not kept any more, or somebody else's
		return err
	}
	_, err = at.Put(ctx, st.Base, paths.Data(value, st.By))
	// One that is too large with the other name beside it is back as the version that it was.
	if err == conn.ErrMismatch || errs.Is(err, errs.RequestTooLarge) {
		return nil
	}
	return err
}
