package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"strongroom/internal/boltfile"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt/format"
)

// peekTries bounds how often Peek starts again because the server has committed meanwhile.
const peekTries = 20

// Peek reads some records of a file that a running server may hold, without its lock. What it returns belongs together:
// one transaction's view. Keys that are not there are left out.
func Peek(path string, keys ...string) (map[string]kv.Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for range peekTries {
		found, current, err := peek(f, keys)
		if err != nil {
			return nil, fmt.Errorf("reading the database %s: %w", path, err)
		}
		if current {
			return found, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, fmt.Errorf("reading the database %s: it changes too fast; try again when the server is less busy", path)
}

func peek(f *os.File, keys []string) (found map[string]kv.Record, current bool, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	file, err := boltfile.Open(f, info.Size())
	if err != nil {
		return nil, false, err
	}
	p := &peeker{keys: keys, found: make(map[string]kv.Record)}
	if err := file.Walk(p); err != nil && !errors.Is(err, errEnough) {
		return nil, !file.Current(), err
	}
	return p.found, file.Current(), nil
}

// errEnough ends a walk that has found everything.
var errEnough = errors.New("found")

type peeker struct {
	keys  []string
	found map[string]kv.Record
}

func (p *peeker) Bucket(path []string) bool {
	return len(path) == 1 && path[0] == string(format.DataBucket)
}

func (p *peeker) Record(path []string, key, value []byte) error {
	if len(path) != 1 || !slices.Contains(p.keys, string(key)) || len(value) < format.RevLen {
		return nil
	}
	p.found[string(key)] = kv.Record{Key: string(key), Rev: int64(binary.BigEndian.Uint64(value)),
		Value: slices.Clone(value[format.RevLen:])}
	if len(p.found) == len(p.keys) {
		return errEnough
	}
	return nil
}

// Damaged is told of what cannot be read. In a file that is being written it may be a page that has since become
// another; in one that is not, what was looked for is missing, and whoever asked says so.
func (p *peeker) Damaged([]string, boltfile.Damage) {}
