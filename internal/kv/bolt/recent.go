package bolt

import (
	"slices"
	"strings"
	"sync"

	"strongroom/internal/bounded"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt/format"
)

// The bounds of what recent keeps, in bytes: of all records, and of one. The records that every request reads (that an
// organisation exists, the head of its list) are small.
const (
	maxRecent       = 2 << 20
	maxRecentRecord = 1 << 10
	recentOverhead  = 128 // of the map and the record itself, about
)

// recent keeps records that were read, so that to read one again takes no transaction of bbolt's, which costs more than
// the reading. What it gives is always what a transaction begun at that moment would have given: a commit first takes
// out the records that it touches, and nothing that was read before its end comes in after it. What it has put goes in
// then: whoever changes a record reads it before the next change.
type recent struct {
	mu      sync.RWMutex
	records *bounded.Map[string, kv.Record]
	closed  bool
	ended   uint64 // commits, so that a reader can tell whether one came between
	writing bool   // a commit is under way: what is read now may be of before or after it
}

func newRecent() *recent { return &recent{records: bounded.New[string, kv.Record](maxRecent, nil)} }

// get gives the record, its value a copy.
func (c *recent) get(key string) (kv.Record, bool) {
	c.mu.RLock()
	rec, ok := c.records.Get(key)
	c.mu.RUnlock()
	rec.Value = slices.Clone(rec.Value)
	return rec, ok
}

// moment is taken before a record is read, for add.
func (c *recent) moment() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ended
}

// add keeps a record that was read after the moment, unless a commit may have changed it since.
func (c *recent) add(rec kv.Record, moment uint64) {
	rec.Value = slices.Clone(rec.Value)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && !c.writing && c.ended == moment {
		c.keep(rec)
	}
}

// keep puts a record in, unless it is too large. The lock is held.
func (c *recent) keep(rec kv.Record) {
	size := len(rec.Key) + len(rec.Value) + recentOverhead
	if size > maxRecentRecord {
		c.records.Drop(rec.Key)
		return
	}
	c.records.Put(rec.Key, rec, size)
}

// begin takes out what the transactions touch. Until end, nothing comes in.
func (c *recent) begin(batch []*request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = true
	for _, r := range batch {
		for _, op := range r.ops {
			if op.kind != kv.OpDeletePrefix {
				c.records.Drop(op.key)
				continue
			}
			c.removePrefix(op.key)
		}
	}
}

// maxKept bounds in bytes what a commit may have put for that to be kept: a large one would drive
// out what is read often.
const maxKept = 64 << 10

// end is the end of the commit. Where it was made, what it has put is kept, unless that is much.
func (c *recent) end(batch []*request, made bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = false
	c.ended++
	size := 0
	for _, r := range batch {
		size += r.size
	}
	if !made || c.closed || size > maxKept {
		return
	}
	for _, r := range batch {
		if r.err != nil {
			continue
		}
		for _, op := range r.ops {
			switch op.kind {
			case kv.OpPut: // its bytes are the request's own, and nobody changes them any more
				c.keep(kv.Record{Key: op.key, Value: op.raw[format.RevLen:], Rev: r.rev})
			case kv.OpDelete:
				c.records.Drop(op.key) // an earlier one of the batch may have put it
			case kv.OpDeletePrefix:
				c.removePrefix(op.key)
			}
		}
	}
}

// close empties it for good.
func (c *recent) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.records.Clear()
}

// removePrefix takes out the records below a prefix. The lock is held.
func (c *recent) removePrefix(prefix string) {
	for key := range c.records.Keys() {
		if strings.HasPrefix(key, prefix) {
			c.records.Drop(key)
		}
	}
}
