package influxdb

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"

	"strongroom/internal/boltfile"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// The bounds of what is read before it is passed on.
const (
	someRecords = 4096
	someBytes   = 4 << 20
)

// each passes on the records of a bucket, some at a time. What is passed on was there at one moment. Where InfluxDB
// commits meanwhile, it goes on from the last of them with what is there then.
func each(ctx context.Context, path, bucket string, f func(Some) error) error {
	failed := func(err error) error { return fmt.Errorf("reading the InfluxDB file %s: %w", path, err) }
	file, err := os.Open(path)
	if err != nil {
		return failed(errors.Unwrap(err))
	}
	defer file.Close()
	w := &stream{ctx: ctx, bucket: bucket, pass: f, told: make(map[boltfile.Damage]bool)}
	for tries := 0; tries < attempts; {
		before := w.last
		if w.file, err = open(file); err != nil {
			return failed(err)
		}
		w.begin()
		w.next = w.last
		err := w.file.WalkAfter(w, bucket, []byte(w.last))
		if err == nil {
			err = w.flush()
		}
		switch {
		case w.err != nil: // who is given them wants no more
			return w.err
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			return nil
		case !errors.Is(err, errChanged) && w.file.Current():
			return failed(err)
		}
		if tries++; w.last != before {
			tries = 0
		}
	}
	return failed(errBusy)
}

// errChanged ends a walk through a file to which has been written.
var errChanged = errors.New("the file has changed")

// stream is the boltfile.Visitor that passes on the records of a bucket.
type stream struct {
	ctx    context.Context
	file   *boltfile.File
	bucket string
	pass   func(Some) error
	err    error  // pass's
	last   string // the key of the last that was passed on

	Some   // what is to be passed on next
	count  int
	size   int
	next   string            // the key of the last of it
	damage []boltfile.Damage // that is in it

	told map[boltfile.Damage]bool // that was passed on
}

func (w *stream) Bucket(path []string) bool { return len(path) == 1 }

func (w *stream) Record(path []string, key, value []byte) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.count >= someRecords || w.size >= someBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if why := w.read(string(key), value); why != "" {
		w.Skipped = append(w.Skipped, Skip{Kind: kinds[w.bucket], Name: nameOf(w.bucket, key), Count: 1, Why: why})
	}
	w.count++
	w.size += len(key) + len(value)
	w.next = string(key)
	return nil
}

// read takes up one record, or says why it cannot.
func (w *stream) read(key string, value []byte) (why string) {
	if w.bucket == secretsBucket {
		s, why := readSecret(key, value)
		if why == "" {
			w.Secrets = append(w.Secrets, s)
		}
		return why
	}
	a, unknown, why := readAuthorization(key, value)
	if why == "" {
		w.Authorizations = append(w.Authorizations, a)
		w.Skipped = append(w.Skipped, unknown...)
	}
	return why
}

func (w *stream) Damaged(path []string, d boltfile.Damage) {
	if !w.told[d] {
		w.damage = append(w.damage, d)
		w.Skipped = append(w.Skipped, damaged(w.bucket, d))
	}
}

// begin begins what is to be passed on next.
func (w *stream) begin() { w.Some, w.count, w.size, w.damage = Some{}, 0, 0, nil }

// flush passes on what was read, if it belongs together.
func (w *stream) flush() error {
	if !w.file.Current() {
		return errChanged
	}
	if len(w.Secrets)+len(w.Authorizations)+len(w.Skipped) > 0 {
		if w.err = w.pass(w.Some); w.err != nil {
			return w.err
		}
	}
	w.last = w.next
	for _, d := range w.damage {
		w.told[d] = true
	}
	w.begin()
	return nil
}

// readSecret reads a secret, or says why it cannot be. What may be a key or a value is for whoever stores it to say.
func readSecret(key string, value []byte) (s Secret, why string) {
	if len(key) < id.Length {
		return s, malformed
	}
	org, err := id.Parse(key[:id.Length])
	if err != nil {
		return s, "its key does not begin with an organization's ID"
	}
	plain := make([]byte, base64.StdEncoding.DecodedLen(len(value)))
	n, err := base64.StdEncoding.Decode(plain, value)
	if err != nil {
		return s, "its value is not base64"
	}
	return Secret{Org: org, Key: key[id.Length:], Value: secret.NewValue(plain[:n:n])}, ""
}
