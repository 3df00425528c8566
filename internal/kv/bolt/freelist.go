package bolt

import (
	"go.etcd.io/bbolt"

	"strongroom/internal/boltfile"
)

// The list of free pages is a part of the file, and bbolt writes it anew with each commit: eight bytes for each page
// that is free, a megabyte where something large was deleted. Where it is long, it is left out, and written once, in
// the end. A process that is killed before that leaves a file without it, whose next opening looks at every page for
// what is free, which is a matter of parts of a second.
const (
	maxFreelist   = 64 << 10 // bytes, above which it is left out
	freelistEvery = 32       // commits, after which it is looked at
)

// watchFreelist leaves the list out where it has become long. The writer calls it between commits.
func (db *DB) watchFreelist() {
	if db.commits++; db.commits%freelistEvery != 0 || db.bolt.NoFreelistSync {
		return
	}
	info, err := db.file.Stat()
	if err != nil {
		return
	}
	file, err := boltfile.Open(db.file, info.Size())
	if err != nil {
		return
	}
	if n, err := file.FreelistSize(); err == nil && n > maxFreelist {
		db.bolt.NoFreelistSync = true
	}
}

// keepFreelist writes the list where it was left out. The writer has ended.
func (db *DB) keepFreelist() error {
	if !db.bolt.NoFreelistSync || db.state.failure() != nil || db.present() != nil {
		return nil
	}
	db.bolt.NoFreelistSync = false
	err := guard(func() error { return db.bolt.Update(func(*bbolt.Tx) error { return nil }) })
	if err != nil && isFull(err) {
		return nil // the next opening does without it
	}
	return err
}
