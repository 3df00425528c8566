package id

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

// epoch is the start of InfluxDB's ID time, 2017-04-09T00:00:00Z, in milliseconds: IDs made here sort among those it
// made.
const epoch = 1491696000000

const (
	sequenceBits = 12
	machineBits  = 10
)

// Generator makes IDs that rise with time: 42 bits of milliseconds, 10 of a number drawn at start (so that two
// servers on one store rarely meet), 12 of a sequence. Uniqueness in a store is the store's to check; the generator
// makes a clash unlikely.
type Generator struct {
	mu      sync.Mutex
	now     func() time.Time
	machine uint64
	last    uint64
	seq     uint64
}

// NewGenerator returns a generator on the wall clock.
func NewGenerator() *Generator {
	var b [2]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return &Generator{now: time.Now, machine: uint64(binary.BigEndian.Uint16(b[:])) & (1<<machineBits - 1)}
}

// Next returns a new ID. It never goes back, also when the clock does.
func (g *Generator) Next() ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	ms := uint64(max(g.now().UnixMilli()-epoch, 1))
	if ms > g.last {
		g.last, g.seq = ms, 0
	} else if g.seq++; g.seq == 1<<sequenceBits {
		g.last, g.seq = g.last+1, 0
	}
	return ID(g.last<<(machineBits+sequenceBits) | g.machine<<sequenceBits | g.seq)
}
