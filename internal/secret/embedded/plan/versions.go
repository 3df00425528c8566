package plan

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

// trash plans that a secret is deleted, whose value has been taken care of and whose metadata are still to be put.
// Without a history it is forgotten.
func (p *Plan) trash(at content.Places, m *content.Meta, by string, time time.Time) error {
	p.changed = time
	p.drop(at, records.Value)
	p.drop(at, records.Listed)
	if p.History == 0 {
		p.forget(at, m)
		return nil
	}
	m.Deleted = &content.Deletion{At: time.UnixMilli(), By: by}
	return p.PutName(at, records.Trash(m.Deleted.At))
}

// forget plans the end of all that is kept of a secret that is deleted.
func (p *Plan) forget(at content.Places, m *content.Meta) {
	p.drop(at, records.Meta)
	for _, v := range m.Versions {
		p.drop(at, records.Version(v.N))
	}
	p.untrash(at, m)
}

// Restore plans a new version with the value of an earlier one; n is 0 for the newest of a deleted secret.
func (p *Plan) Restore(name string, n int, by string, time time.Time) error {
	at, m, current, err := p.look(name)
	if err != nil {
		return err
	}
	if m == nil {
		return secret.NotFound(name)
	}
	newest := m.Newest().N
	if n == 0 {
		n = newest
	}
	if n == newest && current.Sealed != nil {
		return nil
	}
	record, err := p.find(at, records.Version(n))
	if err != nil {
		return err
	}
	if record.Sealed == nil || !m.Version(n).Readable() {
		return errs.New(errs.NotFound, "secret %q has no version %d that could be restored", name, n)
	}
	value, _, err := p.From.OpenValue(p.ctx, p.Org, record)
	if err != nil {
		return fmt.Errorf("version %d of secret %q of organisation %s: %w", n, name, p.Org, err)
	}
	return p.set(name, value, by, time)
}

// Mark plans that versions of a secret are deleted, brought back or destroyed.
func (p *Plan) Mark(name string, marking secret.Marking, time time.Time) error {
	at, m, current, err := p.look(name)
	if err != nil {
		return err
	}
	if m == nil {
		return secret.NotFound(name)
	}
	if err := marking.Of(content.Time(m.Created)); err != nil {
		return err
	}
	mark, by := marking.Mark, marking.By
	before := *m
	before.Versions = slices.Clone(m.Versions)
	for _, n := range marking.Versions {
		v := m.Version(n)
		if v == nil {
			continue
		}
		newest := v == m.Newest()
		switch {
		case mark == secret.DeleteVersion && newest:
			if current.Sealed != nil {
				if err := p.putAside(at, m, current); err != nil {
					return err
				}
				if current, err = (content.Found{}), p.trash(at, m, by, time); err != nil || p.History == 0 {
					return err
				}
			}
		case mark == secret.DeleteVersion:
			if v.Readable() {
				v.Deleted = time.UnixMilli()
			}
		case mark == secret.DestroyVersion:
			v.Destroyed, v.Deleted = true, 0
			p.drop(at, records.Version(n))
			if newest && current.Sealed != nil {
				if current, err = (content.Found{}), p.trash(at, m, by, time); err != nil || p.History == 0 {
					return err
				}
			}
		case mark == secret.UndeleteVersion && newest:
			if current.Sealed == nil {
				if current, err = p.undelete(at, m, time); err != nil {
					return err
				}
			}
		case mark == secret.UndeleteVersion:
			v.Deleted = 0
		}
	}
	if slices.Equal(before.Versions, m.Versions) && before.Deleted == m.Deleted {
		return nil
	}
	return p.putMeta(at, m)
}

// undelete plans that a deleted secret comes back as the version that it was; where that is not kept, nothing.
func (p *Plan) undelete(at content.Places, m *content.Meta, time time.Time) (content.Found, error) {
	v := m.Newest()
	record, err := p.find(at, records.Version(v.N))
	if err != nil || record.Sealed == nil || v.Destroyed {
		return content.Found{}, err
	}
	plain, err := p.From.Ring.OpenFresh(p.ctx, p.Org, record.As, record.Sealed)
	if err != nil {
		return content.Found{}, fmt.Errorf("version %d of secret %q of organisation %s: %w", v.N, at.Name, p.Org, err)
	}
	defer clear(plain)
	p.isNow(at.Name, v.N, time)
	p.drop(at, records.Version(v.N))
	p.untrash(at, m)
	if err := p.Put(at, records.Value, plain); err != nil {
		return content.Found{}, err
	}
	if err := p.PutName(at, records.Listed); err != nil {
		return content.Found{}, err
	}
	return p.find(at, records.Value)
}

// Remove plans the end of all that is kept of a secret.
func (p *Plan) Remove(name string, deletedOnly bool, time time.Time) error {
	if !content.Fits(name) {
		return nil
	}
	at, m, current, err := p.look(name)
	if errs.Is(err, errs.Internal) && !deletedOnly { // what is known of it does not open: all that there is of it goes
		m, err = p.traces(at)
	}
	if err != nil || m == nil {
		return err
	}
	if current.Sealed != nil {
		if deletedOnly {
			return secret.ErrNotDeleted
		}
		p.changed = time
		p.drop(at, records.Value)
		p.drop(at, records.Listed)
	}
	p.forget(at, m)
	return nil
}

// tracesPage is how many records are listed at a time; each may have the longest value.
const tracesPage = 64

// traces makes metadata of the records that there are of a secret, for their end.
func (p *Plan) traces(at content.Places) (*content.Meta, error) {
	m := &content.Meta{}
	for _, place := range []*records.Place{&at.Now, at.Was} {
		if place == nil {
			continue
		}
		for rec, err := range kv.Each(p.ctx, p.From.KV, place.Versions(), tracesPage) {
			if err != nil {
				return nil, err
			}
			if _, kind, err := records.Parse(rec.Key); err == nil && kind.IsVersion() {
				m.Versions = append(m.Versions, content.Version{N: kind.Number()})
			}
		}
	}
	return m, nil
}

// Describe plans that a secret's description is replaced.
func (p *Plan) Describe(name string, d secret.Description) error {
	at, m, current, err := p.look(name)
	if err != nil {
		return err
	}
	if m == nil || current.Sealed == nil {
		return secret.NotFound(name)
	}
	p.bounded = true
	m.Description, m.Expires = d.Text, 0
	if !d.Expires.IsZero() {
		m.Expires = d.Expires.UnixMilli()
		// Also where it is there: who finds no date takes it away, and knows of a change by the head alone.
		p.Write(records.Dated(p.Org), []byte{})
	}
	return p.putMeta(at, m)
}

// Expire plans the end of a deleted secret and of the record, of the kind, by which it is found: of the record alone
// where the secret has been brought back or deleted anew. Metadata that are gone keep no deleted secret for good.
func (p *Plan) Expire(record string, kind records.Kind, name string) error {
	at, m, current, err := p.look(name)
	gone := errors.Is(err, content.ErrNoMeta)
	if gone {
		m, err = p.traces(at)
	}
	if err != nil {
		return err
	}
	p.Write(record, nil)
	p.name(name, kind)
	switch {
	case gone && current.Sealed == nil:
		p.forget(at, m)
	case gone:
	case m != nil && current.Sealed == nil && m.Deleted != nil && records.Trash(m.Deleted.At) == kind:
		p.forget(at, m)
	}
	return nil
}
