// Package verify looks whether the records of the embedded store are whole.
package verify

import (
	"context"
	"errors"
	"fmt"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/purge"
	"strongroom/internal/secret/embedded/records"
)

// How many records are listed at a time: any, and those that are no more than a name.
const (
	recordsPage = 500
	namesPage   = 5000
)

// Secrets opens every record of the embedded store, and looks whether each value has its name and each name its value,
// and whether what stands for a name is its index. Report is told of each thing that is wrong, by the record's key, and
// never given a value. A large change that is committed counts as carried out: it is, before anything is read. It gives
// the organisations that have records. Nothing is written.
func Secrets(ctx context.Context, from content.Reader, log *commitlog.Log,
	report func(key, what string)) ([]id.ID, error) {
	v := &verifier{ctx: ctx, report: report, names: from.Ring.Names(), seen: map[id.ID]bool{}}
	orgs, err := log.Verify(ctx, v.wrong)
	if err != nil {
		return nil, kv.Coded(err)
	}
	over, err := withCommitted(ctx, from.KV, log, orgs, v.wrong)
	if err != nil {
		return nil, kv.Coded(err)
	}
	v.Reader = content.Reader{KV: over, Ring: from.Ring}
	for _, root := range []string{records.Root, records.TrashRoot} {
		for rec, err := range kv.Each(ctx, over, root, recordsPage) {
			if err == nil {
				err = v.record(root, rec)
			}
			if err != nil {
				return nil, kv.Coded(err)
			}
		}
	}
	return v.orgs, v.marks()
}

// marks looks at the marks of what is being purged.
func (v *verifier) marks() error {
	for rec, err := range kv.Each(v.ctx, v.KV, purge.Root, recordsPage) {
		if err != nil {
			return kv.Coded(err)
		}
		if _, err := purge.OrgOf(rec.Key); err != nil {
			v.wrong(rec.Key, "its key names no organisation")
		}
	}
	return nil
}

type verifier struct {
	content.Reader
	ctx    context.Context
	report func(key, what string)
	names  keyring.Names
	orgs   []id.ID
	seen   map[id.ID]bool

	// Of the organisation that is being looked at; the names while they move alone:
	of      id.ID
	purged  bool                     // it has ended, and what is still there nobody reads
	listed  map[string]bool          // its list of names
	indexes map[records.Place]string // the names, those of the deleted secrets too, by where their records may be
}

func (v *verifier) wrong(key, format string, args ...any) {
	v.report(key, fmt.Sprintf(format, args...))
}

// has reports whether there is a record.
func (v *verifier) has(key string) (bool, error) {
	_, err := v.KV.Get(v.ctx, key)
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// head looks at an organisation's head, which says whether a large change is committed: its journal is there then, and
// only then.
func (v *verifier) head(rec kv.Record, org id.ID) error {
	h, err := commitlog.ParseHead(rec)
	if err != nil {
		v.wrong(rec.Key, "it is malformed")
	}
	there, err := v.has(commitlog.Key(org))
	switch {
	case err != nil:
	case h.Pending && !there:
		v.wrong(rec.Key, "it says that a large change is committed, and %s is missing: the change is lost, in whole "+
			"or in part", commitlog.Key(org))
	case !h.Pending && there:
		v.wrong(rec.Key, "it says that no large change is committed, and %s is there: the next start carries the "+
			"change out; until then, what is read may be in part what was before", commitlog.Key(org))
	}
	return err
}

// record looks at one record of an organisation.
func (v *verifier) record(root string, rec kv.Record) error {
	org, _, err := records.OrgOf(root, rec.Key)
	if err != nil {
		v.wrong(rec.Key, "its key names no organisation")
		return nil
	}
	if v.of != org {
		if err := v.begin(org); err != nil {
			return err
		}
	}
	if v.purged {
		return nil
	}
	if rec.Key == records.Head(org) {
		return v.head(rec, org)
	}
	place, kind, err := records.Parse(rec.Key)
	if err != nil {
		v.wrong(rec.Key, "it is of a kind that this influxd does not know")
		return nil
	}
	if form := uint32(place.Form); form != v.names.Form && (!v.names.Moving || form != v.names.From) {
		v.wrong(rec.Key, "the names of secrets are not kept in this form")
		return nil
	}
	if kind.HoldsName() {
		return v.name(rec, place, kind)
	}
	plain := v.opens(rec, org, place.Slot(kind).As)
	defer clear(plain)
	if _, err := content.ParseValue(plain); kind == records.Value && plain != nil && err != nil {
		v.wrong(rec.Key, "%v", err)
	}
	switch {
	case kind == records.Meta && plain != nil:
		if err := v.versions(rec, place, plain); err != nil {
			return err
		}
	case kind.IsVersion(), kind == records.Value && content.HasMeta(plain):
		there, err := v.there(place, records.Meta)
		if err != nil {
			return err
		}
		if !there {
			v.wrong(rec.Key, "the metadata of its secret are missing")
		}
	}
	if !v.names.Moving { // a secret's records have the same name, or index, all of them
		if kind != records.Value {
			return nil
		}
		there, err := v.isListed(place)
		if err == nil && !there {
			v.wrong(rec.Key, "it is not in the list of names")
		}
		return err
	}
	name, known := place.Name, true
	if place.Form.Sealed() {
		name, known = v.indexes[place]
	}
	switch {
	case kind == records.Value && (!known || !v.listed[name]):
		v.wrong(rec.Key, "it is not in the list of names")
	case !known:
		v.wrong(rec.Key, "its name is neither in the list of names nor among those of the deleted secrets")
	}
	return nil
}

// isListed reports whether the list of names has the name of a value that is there, and none in its place.
func (v *verifier) isListed(place records.Place) (bool, error) {
	rec, err := v.KV.Get(v.ctx, place.Slot(records.Listed).Key)
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	if err != nil || !place.Form.Sealed() {
		return err == nil, err
	}
	name, err := v.NameOf(v.ctx, place, records.Listed, rec.Value)
	if err != nil {
		return false, v.ctx.Err() // it is told of when it is its turn
	}
	at, err := v.Places(place.Org, name, v.names)
	return at.Now == place, err
}

// versions looks whether what metadata tell of is there: the value of each version that is kept, and, of a deleted
// secret, the record by which it is found.
func (v *verifier) versions(rec kv.Record, place records.Place, plain []byte) error {
	m, err := content.ParseMeta(plain)
	if err != nil {
		v.wrong(rec.Key, "%v", err)
		return nil
	}
	want := map[records.Kind]string{}
	for i := range m.Versions {
		ver := &m.Versions[i]
		if current := ver == m.Newest() && m.Deleted == nil; !current && !ver.Lost && !ver.Destroyed {
			want[records.Version(ver.N)] = fmt.Sprintf("the value of version %d, which it tells of, is missing", ver.N)
		}
	}
	if m.Deleted != nil {
		want[records.Trash(m.Deleted.At)] = "it is of a deleted secret, which is not among the deleted ones"
	} else {
		want[records.Value] = "the value of its secret is missing"
	}
	for kind, what := range want {
		there, err := v.there(place, kind)
		if err != nil {
			return err
		}
		if !there {
			v.wrong(rec.Key, "%s", what)
		}
	}
	return nil
}

// there reports whether the secret at a place has a record of the kind. While names move, it may be in either form; one
// whose name is not known, which is told of, counts as there.
func (v *verifier) there(place records.Place, kind records.Kind) (bool, error) {
	there, err := v.has(place.Slot(kind).Key)
	if err != nil || there || !v.names.Moving {
		return there, err
	}
	name, known := place.Name, true
	if place.Form.Sealed() {
		name, known = v.indexes[place]
	}
	if !known {
		return true, nil
	}
	at, err := v.Places(place.Org, name, v.names)
	if err != nil {
		return false, err
	}
	record, err := v.Find(v.ctx, nil, at, kind)
	return record.Sealed != nil, err
}

// name looks at a record that says what a name is.
func (v *verifier) name(rec kv.Record, place records.Place, kind records.Kind) error {
	name, err := v.NameOf(v.ctx, place, kind, rec.Value)
	if err != nil {
		v.wrong(rec.Key, "the name in it: %v; setting the secret of that name again puts it right", err)
		return nil
	}
	of := records.Value
	if _, deleted := kind.Deleted(); deleted {
		of = records.Meta
	}
	at, err := v.Places(place.Org, name, v.names)
	if err != nil {
		return err
	}
	if place != at.Now && (at.Was == nil || place != *at.Was) {
		v.wrong(rec.Key, "its key is not that of the name in it")
		return nil
	}
	record, err := v.Find(v.ctx, nil, at, of)
	if err == nil && record.Sealed == nil {
		v.wrong(rec.Key, "its %s missing", map[records.Kind]string{records.Value: "value is",
			records.Meta: "metadata are"}[of])
	}
	return err
}

// begin begins an organisation. While names move, it reads which it has: a secret may have its records in two forms.
func (v *verifier) begin(org id.ID) error {
	v.of, v.listed, v.indexes = org, map[string]bool{}, map[records.Place]string{}
	var err error
	if v.purged, err = v.has(purge.Key(org)); err != nil || v.purged {
		return err
	}
	if !v.seen[org] {
		v.orgs, v.seen[org] = append(v.orgs, org), true
		if there, err := v.has(records.Head(org)); err != nil || !there {
			v.wrong(records.Head(org), "it is missing")
			return err
		}
	}
	if !v.names.Moving {
		return nil
	}
	for _, prefix := range []string{records.Head(org), records.TrashPrefix(org)} {
		for rec, err := range kv.Each(v.ctx, v.KV, prefix, namesPage) {
			if err != nil {
				return err
			}
			place, kind, err := records.Parse(rec.Key)
			if err != nil || !kind.HoldsName() {
				continue
			}
			name, err := v.NameOf(v.ctx, place, kind, rec.Value)
			if err != nil {
				continue // told of when it is its turn
			}
			if kind == records.Listed {
				v.listed[name] = true
			}
			if err := v.index(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// index takes note of where the name's records may be.
func (v *verifier) index(name string) error {
	at, err := v.Places(v.of, name, v.names)
	if err != nil {
		return err
	}
	v.indexes[at.Now] = name
	if at.Was != nil {
		v.indexes[*at.Was] = name
	}
	return nil
}

// opens opens a record; nil where it does not open, which is told.
func (v *verifier) opens(rec kv.Record, org id.ID, to keyring.Belongs) []byte {
	plain, err := v.Ring.Open(org, to, rec.Value)
	if err != nil {
		v.wrong(rec.Key, "%v", err)
		return nil
	}
	return plain
}
