package plan

import (
	"slices"
	"time"

	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

// move plans that a name gets what another one has: its value, with its earlier versions, whose numbers, times and
// authors stay, and its description. Where something was kept under the name, the numbers go on from there. The other
// name is not changed: that it ends is a part of the change.
func (p *Plan) move(name, was string, value secret.Value, by string, time time.Time) error {
	from, old, current, err := p.look(was)
	if err != nil {
		return err
	}
	if old == nil || current.Sealed == nil {
		return secret.NotFound(was)
	}
	at, m, _, err := p.look(name)
	if err != nil {
		return err
	}
	behind := 0
	if m != nil {
		behind = m.Newest().N
	}
	// It is set as any value is; what came before it then gets its place before it.
	if err := p.set(name, value, by, time); err != nil {
		return err
	}
	if _, m, _, err = p.look(name); err != nil {
		return err
	}
	m.Versions = slices.Clone(m.Versions[:len(m.Versions)-1])
	for _, v := range old.Versions {
		n := v.N
		v.N += behind
		m.Versions = append(m.Versions, v)
		if n == old.Newest().N {
			continue
		}
		if err := p.copyVersion(from, n, at, v.N); err != nil {
			return err
		}
	}
	for len(m.Versions) > max(p.History, 1) {
		p.drop(at, records.Version(m.Versions[0].N))
		m.Versions = m.Versions[1:]
	}
	if behind == 0 {
		m.Created = old.Created
	}
	m.Description, m.Expires = old.Description, old.Expires
	p.isNow(name, m.Newest().N, time)
	return p.putMeta(at, m)
}

// copyVersion plans that the value of an earlier version is one of another secret, too. One that does not open, or is
// not kept, is passed by.
func (p *Plan) copyVersion(from content.Places, n int, to content.Places, as int) error {
	record, err := p.find(from, records.Version(n))
	if err != nil || record.Sealed == nil {
		return err
	}
	plain, err := p.From.Ring.OpenFresh(p.ctx, p.Org, record.As, record.Sealed)
	if err != nil {
		return nil
	}
	defer clear(plain)
	return p.Put(to, records.Version(as), plain)
}
