package content

import (
	"sync"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
)

// maxMade bounds how many metadata are remembered, each some hundred bytes.
const maxMade = 2000

// Made remembers the metadata that changes have sealed, for the next change of the same secret: to open and to read
// them is a large part of what a change costs. They are known by the very record that was sealed, and by what it
// belongs to, so that a record which was altered, moved or put back is opened and refused as ever.
type Made struct {
	mu    sync.Mutex
	metas map[sealedMeta]*Meta
}

type sealedMeta struct {
	org    id.ID
	as     keyring.Belongs
	sealed string
}

// Keep remembers the metadata that the record was sealed from. They are not the caller's any more.
func (m *Made) Keep(org id.ID, as keyring.Belongs, sealed []byte, of *Meta) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.metas == nil {
		m.metas = make(map[sealedMeta]*Meta)
	}
	for victim := range m.metas { // any: map order is as good as random
		if len(m.metas) < maxMade {
			break
		}
		delete(m.metas, victim)
	}
	m.metas[sealedMeta{org, as, string(sealed)}] = of
}

// Take gives the metadata that the record was sealed from, nil where they are not remembered. They
// are the caller's then.
func (m *Made) Take(org id.ID, f Found) *Meta {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := sealedMeta{org, f.As, string(f.Sealed)}
	of := m.metas[r]
	delete(m.metas, r)
	return of
}
