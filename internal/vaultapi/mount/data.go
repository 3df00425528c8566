package mount

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/jsontext"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
	"strongroom/internal/vaultapi/dialect"
	"strongroom/internal/vaultapi/notes"
)

// lease is how many seconds clients may keep what they read; 0 leaves it to them.
func (m *Mount) lease() int { return int(m.Refresh / time.Second) }

// readData answers the map of an organisation's secrets, or a secret.
func (m *Mount) readData(r *dialect.Request, t target) (*dialect.Answer, error) {
	version, err := r.QueryInt("version")
	if err != nil {
		return nil, err
	}
	version = max(version, 0) // as Vault: the present one
	if t.whole() {
		return m.readOrg(r, t, version)
	}
	e, err := m.Secrets.Entry(r.Context(), r.Caller, t.org, t.name, version)
	if err != nil {
		return nil, err
	}
	n, _, err := m.Notes.Of(r.Context(), t.org, t.name)
	if err != nil {
		return nil, err
	}
	about := versionData(int64(e.Version), e.At, e.Deleted, e.Destroyed, n.Custom)
	if !e.Deleted.IsZero() || e.Destroyed {
		return nil, &dialect.Error{Status: http.StatusNotFound,
			Answer: &dialect.Answer{Data: map[string]any{"data": nil, "metadata": about}, Warnings: lost(n)}}
	}
	raw := append([]byte(`{"data":`), entryOf(e.Value)...)
	return m.values(raw, about, n)
}

// values answers data that has been begun, with what there is to say of the version.
func (m *Mount) values(raw []byte, about map[string]any, n notes.Note) (*dialect.Answer, error) {
	metadata, err := json.Marshal(about)
	if err != nil {
		return nil, err
	}
	raw = append(append(append(raw, `,"metadata":`...), metadata...), '}')
	return &dialect.Answer{Raw: raw, Wipe: true, LeaseDuration: m.lease(), Warnings: lost(n)}, nil
}

// entryOf is a value as an entry has it: the object that it was given as, or {"value": text}.
func entryOf(v secret.Value) json.RawMessage {
	if object, ok := v.Document(); ok {
		return object
	}
	return append(jsontext.Append([]byte(`{"value":`), v.Bytes()), '}')
}

func (m *Mount) readOrg(r *dialect.Request, t target, version int) (*dialect.Answer, error) {
	var snap secret.Snapshot
	scope := service.Scope(r.Caller, access.Use, t.org)
	err := m.sizes.Hold(r.Context(), r.Hold, scope, 0, func() (size int64, err error) {
		snap, err = m.Secrets.Snapshot(r.Context(), r.Caller, t.org, secret.Query{ForUse: true})
		for k, s := range snap.Secrets {
			size += int64(len(k) + s.Value.Len() + 128)
		}
		return size, err
	})
	if err != nil {
		return nil, err
	}
	if version > 0 && int64(version) != snap.Version {
		return nil, dialect.NotFound() // earlier ones are not kept; each secret has its own
	}
	n, _, err := m.Notes.Of(r.Context(), t.org, "")
	if err != nil {
		return nil, err
	}
	if m.recent != nil && r.Caller.May(t.need(access.Use)) {
		m.recent.note(t.org, snap)
	}
	size := 512
	for k, s := range snap.Secrets {
		size += len(k) + s.Value.Len() + 6
	}
	raw := append(make([]byte, 0, size), `{"data":{`...)
	for i, k := range snap.Names() {
		if i > 0 {
			raw = append(raw, ',')
		}
		raw = append(jsontext.Append(raw, k), ':')
		raw = jsontext.Append(raw, snap.Secrets[k].Value.Shown().Bytes())
	}
	a, err := m.values(append(raw, '}'), versionData(snap.Version, snap.Changed, time.Time{}, false, n.Custom), n)
	if err == nil {
		a.Held = true
	}
	return a, err
}

// body reads a write's data and cas.
func readWrite(r *dialect.Request) (body, data dialect.Body, cas *int, err error) {
	if body, err = r.ReadBody(); err != nil {
		return nil, nil, nil, err
	}
	if data, err = body.Map("data"); err != nil {
		return nil, nil, nil, err
	}
	if data == nil {
		return nil, nil, nil, dialect.Refuse("no data provided")
	}
	cas, err = casOf(body)
	return body, data, cas, err
}

// writeData sets a secret, or makes an organisation's secrets become the map.
func (m *Mount) writeData(r *dialect.Request, t target) (*dialect.Answer, error) {
	body, data, cas, err := readWrite(r)
	if err != nil {
		return nil, err
	}
	set := m.writeSecret
	if t.whole() {
		set = m.writeOrg
	}
	a, err := set(r, t, data, cas)
	if errs.Is(err, errs.NotFound) && m.NewOrgs {
		if err := m.adopt(r, t); err != nil {
			return nil, err
		}
		a, err = set(r, t, data, cas)
	}
	if err == nil {
		a.Warnings = append(a.Warnings, body.Ignored("data", "options", "version")...)
	}
	return a, err
}

// adopt makes the organisation that somebody writes to, where it is named by an ID that is not there.
func (m *Mount) adopt(r *dialect.Request, t target) error {
	unknown := errs.New(errs.NotFound, "no such organization") // which is told with a sentence
	if t.org.String() != t.said {
		return unknown
	}
	_, err := m.Orgs.AdoptOrg(r.Context(), r.Caller, t.org)
	if errs.Is(err, errs.Unauthorized) {
		return unknown
	}
	return err
}

// written answers a write.
func written(version int64, n notes.Note) *dialect.Answer {
	return &dialect.Answer{Data: versionData(version, time.Now(), time.Time{}, false, n.Custom), Warnings: lost(n)}
}

// texts reads the map of an organisation: texts alone can be its secrets.
func texts(r *dialect.Request, t target, data dialect.Body, had int) (map[string]secret.Value, error) {
	if err := secret.HoldChange(r.Hold, had, len(data)); err != nil {
		return nil, err
	}
	values := make(map[string]secret.Value, len(data))
	for k, raw := range data {
		v, ok := text(raw)
		if !ok {
			return nil, dialect.Refuse(fmt.Sprintf("the secret %q must be a text and is a %s: an organization's map "+
				"holds texts alone; write it as an entry of its own, %s/<name>; nothing was changed", errs.Clip(k),
				dialect.Kind(raw), errs.Clip(t.said)))
		}
		values[k] = v
	}
	return values, nil
}

func text(raw json.RawMessage) (secret.Value, bool) {
	if dialect.Kind(raw) != "string" {
		return secret.Value{}, false
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return secret.Value{}, false
	}
	return secret.NewValue([]byte(s)), true
}

func (m *Mount) writeOrg(r *dialect.Request, t target, data dialect.Body, cas *int) (*dialect.Answer, error) {
	values, err := texts(r, t, data, 0)
	if err != nil {
		return nil, err
	}
	n, err := m.required(r.Context(), r.Caller, t, cas)
	if err != nil {
		return nil, err
	}
	wish := service.Replacement{Values: values, At: wide(cas)}
	if m.recent != nil {
		wish.Merge = m.recent
	}
	out, err := m.Secrets.Replace(r.Context(), r.Caller, t.org, wish)
	if err != nil {
		return nil, err
	}
	return written(out.Version, n), nil
}

func wide(n *int) *int64 {
	if n == nil {
		return nil
	}
	w := int64(*n)
	return &w
}

func (m *Mount) writeSecret(r *dialect.Request, t target, data dialect.Body, cas *int) (*dialect.Answer, error) {
	v, err := valueOf(data)
	if err != nil {
		return nil, err
	}
	n, err := m.required(r.Context(), r.Caller, t, cas)
	if err != nil {
		return nil, err
	}
	change := secret.Change{Set: map[string]secret.Value{t.name: v}}
	if cas != nil {
		change.Versions = map[string]int{t.name: *cas}
	}
	out, err := m.Secrets.Apply(r.Context(), r.Caller, t.org, change)
	if err != nil {
		return nil, err
	}
	return written(int64(out.Versions[t.name]), n), nil
}

// valueOf is the value that an entry is kept as.
func valueOf(data dialect.Body) (secret.Value, error) {
	if raw, ok := data["value"]; ok && len(data) == 1 {
		if v, ok := text(raw); ok {
			return v, nil
		}
	}
	object, err := json.Marshal(data)
	if err != nil {
		return secret.Value{}, err
	}
	return secret.NewDocument(object), nil
}

// patchData merges what is sent into what is there (RFC 7396).
func (m *Mount) patchData(r *dialect.Request, t target) (*dialect.Answer, error) {
	body, data, cas, err := readWrite(r)
	if err != nil {
		return nil, err
	}
	n, err := m.required(r.Context(), r.Caller, t, cas)
	if err != nil {
		return nil, err
	}
	var a *dialect.Answer
	if t.whole() {
		a, err = m.patchOrg(r, t, data, cas, n)
	} else {
		a, err = m.patchSecret(r, t, data, cas, n)
	}
	if err == nil {
		a.Warnings = append(a.Warnings, body.Ignored("data", "options", "version")...)
	}
	return a, err
}

func (m *Mount) patchOrg(r *dialect.Request, t target, data dialect.Body, cas *int,
	n notes.Note) (*dialect.Answer, error) {
	change := secret.Change{At: wide(cas)}
	for k, raw := range data {
		if dialect.Kind(raw) == "null" {
			change.Delete = append(change.Delete, k)
			delete(data, k)
		}
	}
	err := secret.HoldChange(r.Hold, 0, len(change.Delete))
	if err != nil {
		return nil, err
	}
	if change.Set, err = texts(r, t, data, len(change.Delete)); err != nil {
		return nil, err
	}
	out, err := m.Secrets.Apply(r.Context(), r.Caller, t.org, change)
	if err != nil {
		return nil, err
	}
	return written(out.Version, n), nil
}

func (m *Mount) patchSecret(r *dialect.Request, t target, data dialect.Body, cas *int,
	n notes.Note) (*dialect.Answer, error) {
	out, err := m.Secrets.Update(r.Context(), r.Caller, t.org, t.name, cas,
		func(was secret.Value) (secret.Value, error) {
			next := make(dialect.Body)
			if err := json.Unmarshal(entryOf(was), &next); err != nil {
				return secret.Value{}, err
			}
			if err := merge(next, data, 0); err != nil {
				return secret.Value{}, err
			}
			return valueOf(next)
		})
	if errs.Is(err, errs.NotFound) {
		return nil, m.unpatched(r, t, n, err)
	}
	if err != nil {
		return nil, err
	}
	return written(int64(out.Versions[t.name]), n), nil
}

// unpatched tells of a secret that is not there, or is deleted, that it cannot be patched.
func (m *Mount) unpatched(r *dialect.Request, t target, n notes.Note, err error) error {
	if told := m.unseen(r, t, err); told != err {
		return told
	}
	none := &dialect.Error{Status: http.StatusNotFound, Empty: true}
	if !t.may(r.Caller, access.Read) {
		return none
	}
	info, err := m.Secrets.Info(r.Context(), r.Caller, t.org, t.name)
	if err != nil || info.Deleted.IsZero() {
		return none
	}
	about := versionData(int64(info.Version), info.Updated, info.Deleted, false, n.Custom)
	return &dialect.Error{Status: http.StatusNotFound, Answer: &dialect.Answer{Data: about, Warnings: lost(n)}}
}

// maxDepth bounds how deep objects are merged.
const maxDepth = 64

// merge carries out a merge patch.
func merge(into, patch dialect.Body, depth int) error {
	if depth > maxDepth {
		return dialect.Refuse(fmt.Sprintf("the patch is more than %d objects deep", maxDepth))
	}
	for k, raw := range patch {
		switch dialect.Kind(raw) {
		case "null":
			delete(into, k)
		case "map":
			inner, err := patch.Map(k)
			if err != nil {
				return err
			}
			was := make(dialect.Body)
			if dialect.Kind(into[k]) == "map" {
				if was, err = into.Map(k); err != nil {
					return err
				}
			}
			if err := merge(was, inner, depth+1); err != nil {
				return err
			}
			b, err := json.Marshal(was)
			if err != nil {
				return err
			}
			into[k] = b
		default:
			into[k] = raw
		}
	}
	return nil
}

// deleteData deletes a secret, or all of an organisation's. What is deleted can be brought back for a time.
func (m *Mount) deleteData(r *dialect.Request, t target) (*dialect.Answer, error) {
	var err error
	if t.whole() {
		_, err = m.Secrets.Replace(r.Context(), r.Caller, t.org, service.Replacement{})
	} else {
		_, err = m.Secrets.Apply(r.Context(), r.Caller, t.org, secret.Change{Delete: []string{t.name}})
	}
	return nil, err
}
