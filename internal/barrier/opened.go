package barrier

import (
	"bytes"
	"slices"
	"sync"

	"strongroom/internal/bounded"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
)

// maxOpened bounds the records that are remembered, in bytes, and maxOpenedRecord one of them.
const (
	maxOpened       = 4 << 20
	maxOpenedRecord = 4 << 10
)

// opened remembers what records were when they were opened last: every request asks for its organisation's, and to open
// that was 5 % of what a list costs. A record counts as that only to the byte, and under the current term: one that was
// altered, moved, or sealed under a term that is gone is opened, and refused, as ever. The zero value remembers
// nothing.
type opened struct {
	mu      *sync.RWMutex
	records *bounded.Map[string, openedRecord]
}

type openedRecord struct{ sealed, plain []byte }

func newOpened() opened {
	return opened{new(sync.RWMutex), bounded.New[string, openedRecord](maxOpened, nil)}
}

// get gives the value of the record, nil where it is not remembered.
func (o opened) get(r kv.Record, term uint32) []byte {
	if o.records == nil {
		return nil
	}
	o.mu.RLock()
	was, ok := o.records.Get(r.Key)
	o.mu.RUnlock()
	if of, err := keyring.TermOf(r.Value); !ok || err != nil || of != term || !bytes.Equal(was.sealed, r.Value) {
		return nil
	}
	return slices.Clone(was.plain)
}

// put remembers the value of a record that was opened. Nobody changes the record's.
func (o opened) put(r kv.Record, plain []byte, term uint32) {
	if o.records == nil {
		return
	}
	of, err := keyring.TermOf(r.Value)
	if err != nil || of != term || len(plain) == 0 || len(plain) > maxOpenedRecord {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.records.Put(r.Key, openedRecord{slices.Clone(r.Value), slices.Clone(plain)},
		128+2*len(r.Key)+len(r.Value)+len(plain))
}
