package kv

import "context"

// Prober is an engine that tells of many keys at once whether they are there.
type Prober interface {
	// Probe reports of each key whether there is a record, all at one moment. Keys in order take the least time. The
	// errors are those of Get, but for ErrNotFound.
	Probe(ctx context.Context, keys []string) (there []bool, err error)
}
