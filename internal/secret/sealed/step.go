package sealed

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
)

// The bounds of a step, so that it fits one transaction as it is and as a staged record: two operations a name and one
// for the head; some room for the conditions, the head and the record's own overhead.
const (
	stepNames = (kv.MaxOps - 1) / 2
	stepBytes = kv.MaxTxnBytes - 8<<10
)

// step is a part of a change that one transaction can carry out.
type step struct {
	changes []nameChange
	size    int // of its operations' keys and values
}

// nameChange sets one name's record, or deletes it where the record is nil.
type nameChange struct {
	name   string
	record []byte // sealed
}

// size is how much the change takes in a transaction.
func (c nameChange) size(org id.ID) int {
	return len(nameKey(org, c.name)) + len(secretKey(org, c.name)) + len(c.record)
}

// plan seals the values and divides the change into steps, in the order of the names.
func (s *Store) plan(org id.ID, change secret.Change) ([]step, error) {
	changes := make([]nameChange, 0, len(change.Set)+len(change.Delete))
	at := s.now()
	for _, name := range slices.Sorted(maps.Keys(change.Set)) {
		if !fits(org, name) {
			return nil, errs.New(errs.RequestTooLarge, "a key of %d bytes is too long for the embedded store", len(name))
		}
		record, err := s.sealValue(org, name, change.Set[name], at)
		if err != nil {
			return nil, err
		}
		changes = append(changes, nameChange{name, record})
	}
	// What no record can be named is not there to be deleted.
	deleted := slices.DeleteFunc(slices.Clone(change.Delete), func(name string) bool { return !fits(org, name) })
	slices.Sort(deleted)
	for _, name := range slices.Compact(deleted) {
		if name == "" || len(nameKey(org, name)) > kv.MaxKey { // there can be no such secret
			continue
		}
		changes = append(changes, nameChange{name, nil})
	}
	var steps []step
	for _, c := range changes {
		size := c.size(org)
		if size > stepBytes {
			return nil, errs.New(errs.RequestTooLarge, "secret %q is too large for the embedded store: %d bytes of name and value, at most %d", c.name, size, stepBytes)
		}
		if n := len(steps); n == 0 || len(steps[n-1].changes) == stepNames || steps[n-1].size+size > stepBytes {
			steps = append(steps, step{})
		}
		last := &steps[len(steps)-1]
		last.changes, last.size = append(last.changes, c), last.size+size
	}
	return steps, nil
}

// fits reports whether the engine takes the keys of the name's records.
func fits(org id.ID, name string) bool {
	return max(len(nameKey(org, name)), len(secretKey(org, name))) <= kv.MaxKey
}

// ops are the step's operations.
func (st step) ops(org id.ID) []kv.Op {
	ops := make([]kv.Op, 0, 2*len(st.changes)+1)
	for _, c := range st.changes {
		if c.record == nil {
			ops = append(ops, kv.Delete(nameKey(org, c.name)), kv.Delete(secretKey(org, c.name)))
		} else {
			ops = append(ops, kv.Put(nameKey(org, c.name), nil), kv.Put(secretKey(org, c.name), c.record))
		}
	}
	return ops
}

// stepFormat is the first byte of an encoded step. After it come its changes, each: length of the name (uvarint), name,
// length of the record plus one, or 0 for a deletion (uvarint), record.
const stepFormat = 1

func (st step) encode() []byte {
	b := make([]byte, 1, 1+st.size)
	b[0] = stepFormat
	for _, c := range st.changes {
		b = binary.AppendUvarint(b, uint64(len(c.name)))
		b = append(b, c.name...)
		if c.record == nil {
			b = binary.AppendUvarint(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(c.record))+1)
		b = append(b, c.record...)
	}
	return b
}

var errStep = errors.New("the staged step is malformed")

func decodeStep(b []byte) (step, error) {
	var st step
	if len(b) == 0 || b[0] != stepFormat {
		return st, errStep
	}
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
	for len(b) > 0 {
		n, ok := length()
		if !ok {
			return st, errStep
		}
		name, ok := take(n)
		if !ok || len(name) == 0 {
			return st, errStep
		}
		c := nameChange{name: string(name)}
		if n, ok = length(); !ok {
			return st, errStep
		}
		if n > 0 {
			if c.record, ok = take(n - 1); !ok {
				return st, errStep
			}
		}
		st.changes = append(st.changes, c)
	}
	return st, nil
}
