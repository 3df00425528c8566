package kv2

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"reflect"

	"strongroom/internal/errs"
	"strongroom/internal/secret/vault/conn"
)

// Write is one version of an entry to be written by check-and-set.
type Write struct {
	Base Version // the version that it builds on; none where there is none
	Send func(context.Context) (Version, error)
	// Ours reports whether the version after the one that it builds on is what it writes. before has no data where the
	// version is not kept any more.
	Ours func(before, after Entry) bool
}

// fate is what has become of a write whose answer was lost.
type fate int

const (
	unknown fate = iota
	open         // it was not made, and may be on its way
	made
	never // it was not made, and cannot be any more
)

// Surely makes a write and finds out what became of it where its answer was lost, also one that the client sent
// again by itself: the version after the one that it builds on is its own, or else it was not made. It is sent again
// only while that version is not there. The error is conn.ErrMismatch where the write was not made, and
// conn.Unsure's where that is not known: the version that would tell is deleted or not kept any more, or the entry
// was removed and made anew.
func (l Location) Surely(ctx context.Context, w Write) (Version, error) {
	sending, cancel := l.Conn.Shorten(ctx)
	defer cancel()
	doubt := false
	for try := 1; ; try++ {
		watched, lost := conn.Watched(sending)
		v, err := w.Send(watched)
		doubt = doubt || lost()
		// What is too large was so each time.
		if err == nil || !doubt || errs.Is(err, errs.RequestTooLarge) {
			return v, err
		}
		became, v, looked := l.fate(ctx, w)
		switch {
		case looked != nil:
			return Version{}, conn.Unsure(looked)
		case became == made:
			return v, nil
		case became == never:
			return Version{}, conn.ErrMismatch
		case became == open && try == 1 && ctx.Err() == nil:
			sending = ctx // with what was left for this
			continue
		case err == conn.ErrMismatch:
			return Version{}, conn.Unsure(errs.New(errs.Unavailable,
				"the secret store did not answer, and others have changed the same since"))
		}
		return Version{}, conn.Unsure(err)
	}
}

// fate looks for a write. The version is the one that it has made.
func (l Location) fate(ctx context.Context, w Write) (fate, Version, error) {
	now, err := l.Read(ctx)
	if err != nil {
		return unknown, Version{}, err
	}
	base := w.Base
	switch {
	case now.Version == 0 && base.Version == 0:
		return open, Version{}, nil
	case now.Version == base.Version && now.Created == base.Created:
		return open, Version{}, nil
	case now.Version <= base.Version: // the entry was removed
		return unknown, Version{}, nil
	}
	after, before := now, Entry{}
	if now.Version > base.Version+1 {
		if after, err = l.ReadVersion(ctx, base.Version+1); err != nil {
			return unknown, Version{}, err
		}
	}
	if base.Version > 0 {
		if before, err = l.ReadVersion(ctx, base.Version); err != nil {
			return unknown, Version{}, err
		}
	}
	same := base.Version > 0 && before.Created == base.Created // versions begin anew after an entry's removal
	if !same {
		before = Entry{}
	}
	switch {
	case after.Data == nil:
		return unknown, Version{}, nil
	case w.Ours(before, after):
		return made, Version{base.Version + 1, after.Created}, nil
	case same:
		return never, Version{}, nil
	}
	return unknown, Version{}, nil
}

// PutSurely is Put, but that what became of it is looked for as Surely does.
func (l Location) PutSurely(ctx context.Context, base Version, data map[string]json.RawMessage) (Version, error) {
	return l.Surely(ctx, Write{
		Base: base,
		Send: func(ctx context.Context) (Version, error) { return l.Put(ctx, base.Version, data) },
		Ours: func(_, after Entry) bool { return SameData(after.Data, data) },
	})
}

// SameData reports whether two entries hold the same, in whatever form of JSON.
func SameData(a, b map[string]json.RawMessage) bool { return maps.EqualFunc(a, b, sameJSON) }

func sameJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var v, w any
	return exactly(a, &v) && exactly(b, &w) && reflect.DeepEqual(v, w)
}

// exactly reads JSON with its numbers as they are written.
func exactly(raw json.RawMessage, v *any) bool {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(v) == nil
}
