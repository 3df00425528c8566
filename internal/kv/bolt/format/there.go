package format

import "go.etcd.io/bbolt"

// passedBy is how many records There passes by before it looks for a key from the root.
const passedBy = 8

// There tells which keys a bucket has, given its cursor: fast for keys in order.
func There(cursor *bbolt.Cursor, keys []string) []bool {
	there := make([]bool, len(keys))
	var at []byte // the first record that is not before the key
	for i, key := range keys {
		near := i > 0 && key >= keys[i-1]
		for n := 0; near && at != nil && string(at) < key; n++ {
			at, _ = cursor.Next()
			near = n < passedBy
		}
		if !near {
			at, _ = cursor.Seek([]byte(key))
		}
		there[i] = at != nil && string(at) == key
	}
	return there
}
