package commitlog

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/records"
)

// The bounds of what one transaction carries out, a change or a step of it, so that it fits one transaction as it is
// and as a staged record: one operation is the head's, and there is some room for the conditions, the head and the
// record's own overhead.
const (
	MaxRecords = kv.MaxOps - 1
	MaxBytes   = kv.MaxTxnBytes - 8<<10
)

// Records are what a change makes of the organisation's records: values by whole key, nil for one that is deleted.
type Records map[string][]byte

// size is how much the records take in a transaction.
func (r Records) size() int {
	n := 0
	for key, value := range r {
		n += len(key) + len(value)
	}
	return n
}

// Fit reports whether one transaction can carry them out.
func (r Records) Fit() bool { return len(r) <= MaxRecords && r.size() <= MaxBytes }

// fitAmple is Fit for a kv.Ample. A record that no other engine takes is not for that one either.
func (r Records) fitAmple() bool {
	if len(r) >= kv.AmpleOps || r.size() > kv.AmpleBytes-(kv.MaxTxnBytes-MaxBytes) {
		return false
	}
	for key, value := range r {
		if len(key)+len(value) > MaxBytes {
			return false
		}
	}
	return true
}

// steps divides them into parts that one transaction each can carry out, in the order of the keys.
func (r Records) steps() ([]Records, error) {
	var steps []Records
	size := 0
	for _, key := range slices.Sorted(maps.Keys(r)) {
		more := len(key) + len(r[key])
		if more > MaxBytes {
			return nil, errs.New(errs.RequestTooLarge, "a secret's metadata are too large for the embedded store: %d "+
				"bytes, at most %d", more, MaxBytes)
		}
		if n := len(steps); n == 0 || len(steps[n-1]) == MaxRecords || size+more > MaxBytes {
			steps, size = append(steps, Records{}), 0
		}
		steps[len(steps)-1][key] = r[key]
		size += more
	}
	return steps, nil
}

// opsWith are the operations that carry them out, and one more on another key, in the order of the keys, which are
// given in any.
func (r Records) opsWith(keys []string, more kv.Op) []kv.Op {
	ops := make([]kv.Op, 0, len(r)+1)
	for _, key := range byKind(keys) {
		if more.Key != "" && more.Key < key {
			ops, more = append(ops, more), kv.Op{}
		}
		ops = append(ops, r.op(key))
	}
	if more.Key != "" {
		ops = append(ops, more)
	}
	return ops
}

// ops are the operations that carry them out, in the order of the keys.
func (r Records) ops() []kv.Op {
	ops := make([]kv.Op, 0, len(r))
	for _, key := range slices.Sorted(maps.Keys(r)) {
		ops = append(ops, r.op(key))
	}
	return ops
}

func (r Records) op(key string) kv.Op {
	if value := r[key]; value != nil {
		return kv.Put(key, value)
	}
	return kv.Delete(key)
}

// byKind sorts keys. Those of a change of many secrets come secret by secret, in the order of their places: to put
// those of a kind together is most of it then, and to sort what is sorted takes little.
func byKind(keys []string) []string {
	type kind struct {
		prefix string
		keys   []string
	}
	var kinds []*kind
	for _, key := range keys {
		prefix := records.KindPrefix(key)
		i := slices.IndexFunc(kinds, func(k *kind) bool { return k.prefix == prefix })
		if i < 0 {
			i, kinds = len(kinds), append(kinds, &kind{prefix: prefix})
		}
		kinds[i].keys = append(kinds[i].keys, key)
	}
	slices.SortFunc(kinds, func(a, b *kind) int { return strings.Compare(a.prefix, b.prefix) })
	sorted := keys[:0]
	for _, k := range kinds {
		sorted = append(sorted, k.keys...)
	}
	slices.Sort(sorted) // which takes a look at each where they are sorted
	return sorted
}

// stepFormat is the first byte of an encoded step. After it come its records, each: length of the key (uvarint), key,
// length of the value plus one, or 0 for a deletion (uvarint), value. In the first format it was a secret's name with
// the record of its value, which stood for that record and the one in the list of names.
const (
	stepFormat      = 2
	stepFormatNames = 1
)

func (r Records) encode() []byte {
	b := make([]byte, 1, 1+r.size()+8*len(r))
	b[0] = stepFormat
	for _, key := range slices.Sorted(maps.Keys(r)) {
		b = binary.AppendUvarint(b, uint64(len(key)))
		b = append(b, key...)
		if r[key] == nil {
			b = binary.AppendUvarint(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(r[key]))+1)
		b = append(b, r[key]...)
	}
	return b
}

var errStep = errors.New("the staged step is malformed")

func decode(org id.ID, b []byte) (Records, error) {
	if len(b) == 0 || b[0] != stepFormat && b[0] != stepFormatNames {
		return nil, errStep
	}
	byName := b[0] == stepFormatNames
	b = b[1:]
	take := func(n uint64) ([]byte, bool) {
		if n > uint64(len(b)) {
			return nil, false
		}
		part := b[:n:n]
		b = b[n:]
		return part, true
	}
	length := func() (uint64, bool) {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return 0, false
		}
		b = b[n:]
		return v, true
	}
	r := Records{}
	for len(b) > 0 {
		n, ok := length()
		if !ok {
			return nil, errStep
		}
		key, ok := take(n)
		if !ok || len(key) == 0 {
			return nil, errStep
		}
		if n, ok = length(); !ok {
			return nil, errStep
		}
		var value []byte
		if n > 0 {
			if value, ok = take(n - 1); !ok {
				return nil, errStep
			}
		}
		if byName {
			of := records.Place{Org: org, Name: string(key)}
			listed := of.Slot(records.Listed).Key
			r[of.Slot(records.Value).Key], r[listed] = value, nil
			if value != nil {
				r[listed] = []byte{}
			}
			continue
		}
		r[string(key)] = value
	}
	return r, nil
}
