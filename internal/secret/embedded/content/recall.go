package content

import (
	"context"
	"errors"
	"time"

	"strongroom/internal/kv"
)

// Near has records of the engine in memory (package near).
type Near interface {
	// Recall gives a record as memory has it. All that it gives is of one revision at a time, which may not be the
	// last.
	Recall(key string) (rec kv.Record, known bool)
	// Serves reports whether a record is in memory, and memory has what was there so long ago, or all that had returned
	// by the call.
	Serves(ctx context.Context, key string, stale time.Duration) bool
}

// ErrForgotten is a record that is not in memory.
var ErrForgotten = errors.New("the record is not in memory")

// Recalling is the engine with what memory has of it, or, Alone, memory as if it were the engine.
type Recalling struct {
	kv.Store
	Near  Near
	Alone bool
}

// Get recalls the record, or asks the engine.
func (r Recalling) Get(ctx context.Context, key string) (kv.Record, error) {
	if rec, known := r.Near.Recall(key); known {
		return rec, nil
	}
	if r.Alone {
		return kv.Record{}, ErrForgotten
	}
	return r.Store.Get(ctx, key)
}

// List asks the engine.
func (r Recalling) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	if r.Alone {
		return nil, ErrForgotten
	}
	return r.Store.List(ctx, prefix, after, limit)
}
