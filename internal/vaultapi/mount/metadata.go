package mount

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/directory"
	"strongroom/internal/secret"
	"strongroom/internal/vaultapi/dialect"
	"strongroom/internal/vaultapi/notes"
)

// versionState is what metadata say of each version.
type versionState struct {
	Created   string `json:"created_time"`
	Deleted   string `json:"deletion_time"`
	Destroyed bool   `json:"destroyed"`
}

// metadata is the answer about an entry.
func metadata(current int64, created, updated time.Time, versions map[string]versionState, oldest int64,
	n notes.Note) *dialect.Answer {
	return &dialect.Answer{Data: map[string]any{
		"cas_required": n.CASRequired, "created_time": created.UTC().Format(time.RFC3339Nano),
		"current_version": current, "custom_metadata": n.Custom, "delete_version_after": "0s", "max_versions": 0,
		"oldest_version": oldest, "updated_time": updated.UTC().Format(time.RFC3339Nano), "versions": versions,
	}}
}

// errLost answers who asks for what is noted of an entry. That a write needs no cas, or that nobody has a mark on it,
// must not be made up.
var errLost = errs.New(errs.Internal, "what was noted here does not open; %s", anew)

// readMetadata tells what is known of an entry, its values excepted.
func (m *Mount) readMetadata(r *dialect.Request, t target) (*dialect.Answer, error) {
	if t.whole() {
		o, err := m.Secrets.Outline(r.Context(), r.Caller, t.org)
		if err != nil {
			return nil, err
		}
		n, _, err := m.Notes.Of(r.Context(), t.org, "")
		if err == nil && n.Lost {
			err = errLost
		}
		versions := map[string]versionState{}
		if o.Version > 0 {
			versions[strconv.FormatInt(o.Version, 10)] = versionState{Created: o.Changed.UTC().Format(time.RFC3339Nano)}
		}
		return metadata(o.Version, o.Changed, o.Changed, versions, o.Version, n), err
	}
	info, err := m.Secrets.Info(r.Context(), r.Caller, t.org, t.name)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	n, noted, noteErr := m.Notes.Of(r.Context(), t.org, t.name)
	switch {
	case noteErr != nil:
		return nil, noteErr
	case n.Lost:
		return nil, errLost
	case err != nil && !noted:
		return nil, err
	case err != nil:
		return metadata(0, n.Created, n.Updated, map[string]versionState{}, 0, n), nil
	}
	versions := make(map[string]versionState, len(info.Versions))
	oldest := int64(0)
	for _, v := range info.Versions {
		e := versionState{Created: v.At.UTC().Format(time.RFC3339Nano), Deleted: stamp(v.Deleted),
			Destroyed: v.Destroyed}
		if v.Number == info.Version && !info.Deleted.IsZero() {
			e.Deleted = stamp(info.Deleted)
		}
		if !v.Restorable && !v.Destroyed && v.Deleted.IsZero() && v.Number != info.Version {
			continue // it is known of and not kept
		}
		if oldest == 0 && v.Number > 1 {
			oldest = int64(v.Number)
		}
		versions[strconv.Itoa(v.Number)] = e
	}
	if len(info.Versions) > 0 && info.Versions[0].Number == 1 {
		oldest = 0 // as Vault: nothing was dropped
	}
	return metadata(int64(info.Version), info.Created, info.Updated, versions, oldest, n), nil
}

// writeMetadata sets, or merges, what is noted of an entry, which need not have a value.
func (m *Mount) writeMetadata(r *dialect.Request, t target) (*dialect.Answer, error) {
	body, err := r.ReadBody()
	if err != nil {
		return nil, err
	}
	if err := settled(body); err != nil {
		return nil, err
	}
	required, err := body.Bool("cas_required")
	if err != nil {
		return nil, err
	}
	act := access.Act{Action: "secrets.describe", Org: t.org, Keys: t.keys(), Detail: noted(body)}
	if err := m.Guard.Allow(r.Context(), r.Caller, act, t.need(access.Write)); err != nil {
		return nil, err
	}
	err = m.Orgs.OrgExists(r.Context(), t.org)
	if err == nil && !t.whole() {
		err = m.Secrets.Valid(t.name, secret.Value{})
	}
	if err == nil && r.Op == dialect.Patch {
		err = m.mayPatch(r, t)
	}
	if err == nil {
		err = m.note(r, t, body, required)
	}
	return nil, m.Guard.Done(r.Context(), r.Caller, act, err)
}

// noted says for the record what is noted of an entry.
func noted(body dialect.Body) string {
	var said []string
	for _, field := range []string{"custom_metadata", "cas_required"} {
		if raw, ok := body[field]; ok {
			said = append(said, field+"="+string(raw[:min(len(raw), maxNoted)]))
		}
	}
	return strings.Join(said, " ")
}

// maxNoted is how much of a field the record has, in bytes.
const maxNoted = 1024

func (t target) keys() []string {
	if t.whole() {
		return nil
	}
	return []string{t.name}
}

// mayPatch refuses a patch of what is not there. Since that tells what is, it takes reading of the secret or using it.
func (m *Mount) mayPatch(r *dialect.Request, t target) error {
	if t.whole() {
		return nil
	}
	if !t.may(r.Caller, access.Read) && !t.may(r.Caller, access.Use) {
		return dialect.NotAllowed(nil)
	}
	_, noted, err := m.Notes.Of(r.Context(), t.org, t.name)
	if err != nil || noted {
		return err
	}
	if !t.may(r.Caller, access.Read) { // who uses secrets tells only whether there is a value
		_, err := m.Secrets.Use(r.Context(), r.Caller, t.org, t.name)
		if errs.Is(err, errs.NotFound) {
			return &dialect.Error{Status: 404, Empty: true}
		}
		return err
	}
	if _, err = m.Secrets.Info(r.Context(), r.Caller, t.org, t.name); errs.Is(err, errs.NotFound) {
		return &dialect.Error{Status: 404, Empty: true}
	}
	return err
}

func (m *Mount) note(r *dialect.Request, t target, body dialect.Body, required bool) error {
	custom, err := body.Map("custom_metadata")
	if err != nil {
		return err
	}
	set := make(map[string]string, len(custom))
	var remove []string
	for k, raw := range custom {
		if r.Op == dialect.Patch && dialect.Kind(raw) == "null" {
			remove = append(remove, k)
			delete(custom, k)
		}
	}
	if set, err = dialect.Body(map[string]json.RawMessage{"custom_metadata": encoded(custom)}).TextMap(
		"custom_metadata"); err != nil {
		return err
	}
	return m.Notes.Change(r.Context(), t.org, t.name, func(n *notes.Note) error {
		next := make(map[string]string)
		if n.Lost && (r.Op == dialect.Patch || !says(body, "cas_required") || !says(body, "custom_metadata")) {
			return dialect.Refuse("what was noted here does not open, and cannot be kept in part; " + anew)
		}
		if r.Op == dialect.Patch {
			maps.Copy(next, n.Custom)
			for _, k := range remove {
				delete(next, k)
			}
		}
		maps.Copy(next, set)
		if _, given := body["custom_metadata"]; given {
			if err := validCustom(next); err != nil {
				return err
			}
			if n.Custom = next; len(next) == 0 {
				n.Custom = nil
			}
		}
		if _, given := body["cas_required"]; given {
			n.CASRequired = required
		}
		return nil
	})
}

// says reports whether the body has the field, and something in it.
func says(body dialect.Body, field string) bool {
	raw, ok := body[field]
	return ok && dialect.Kind(raw) != "null"
}

func encoded(b dialect.Body) json.RawMessage {
	if b == nil {
		return json.RawMessage("null")
	}
	raw, err := json.Marshal(b)
	if err != nil { // it has just been read
		panic(err)
	}
	return raw
}

// The bounds of custom metadata.
const (
	maxCustom      = 64
	maxCustomKey   = 128
	maxCustomValue = 512
)

func validCustom(custom map[string]string) error {
	refuse := func(format string, args ...any) error {
		return dialect.Refuse("1 error occurred:\n\t* custom_metadata validation failed: " + fmt.Sprintf(format,
			args...) + "\n\n")
	}
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if len(custom) > maxCustom {
		return refuse("payload must contain at most %d keys, provided %d", maxCustom, len(custom))
	}
	for k, v := range custom {
		switch {
		case len(k) == 0 || len(k) > maxCustomKey:
			return refuse("length of key %q is %d but must be 0 < len(key) <= %d", errs.Clip(k), len(k), maxCustomKey)
		case len(v) == 0 || len(v) > maxCustomValue:
			return refuse("length of value for key %q is %d but must be 0 < len(value) <= %d", errs.Clip(k), len(v),
				maxCustomValue)
		case strings.ContainsFunc(k, unprintable):
			return refuse("key %q contains unprintable characters", errs.Clip(k))
		case strings.ContainsFunc(v, unprintable):
			return refuse("value for key %q contains unprintable characters", errs.Clip(k))
		}
	}
	return nil
}

// deleteMetadata removes an entry with all its versions, for good.
func (m *Mount) deleteMetadata(r *dialect.Request, t target) (*dialect.Answer, error) {
	if t.whole() {
		if err := m.Secrets.PurgeAll(r.Context(), r.Caller, t.org); err != nil {
			return nil, err
		}
		if m.recent != nil {
			m.recent.forget(t.org)
		}
		return nil, m.Notes.Purge(r.Context(), t.org)
	}
	if err := m.Secrets.Remove(r.Context(), r.Caller, t.org, t.name, false); err != nil {
		return nil, err
	}
	return nil, m.Notes.Remove(r.Context(), t.org, t.name)
}

// mark deletes, undeletes or destroys versions of a secret.
func (m *Mount) mark(mark secret.Mark) func(*dialect.Request, target) (*dialect.Answer, error) {
	return func(r *dialect.Request, t target) (*dialect.Answer, error) {
		body, err := r.ReadBody()
		if err != nil {
			return nil, err
		}
		versions, err := body.Versions()
		switch {
		case err != nil:
			return nil, err
		case len(versions) == 0:
			return nil, dialect.Refuse("No version number provided")
		case t.whole():
			return nil, dialect.Refuse("an organization's versions are not kept; the versions of each of its " +
				"secrets are: " +
				t.kind + "/" + errs.Clip(t.said) + "/<name>")
		}
		return nil, m.Secrets.Mark(r.Context(), r.Caller, t.org, t.name, secret.Marking{Mark: mark, Versions: versions})
	}
}

// list answers the names in a folder; folders end in a slash.
func (m *Mount) list(r *dialect.Request, t target) (*dialect.Answer, error) {
	o, err := m.Secrets.Outline(r.Context(), r.Caller, t.org)
	if err != nil {
		return nil, err
	}
	noted, lost, err := m.Notes.Names(r.Context(), t.org)
	if err != nil {
		return nil, err
	}
	names := append(slices.Collect(maps.Keys(o.Secrets)), o.Deleted...)
	for _, k := range noted {
		if k != "" && (target{org: t.org, name: k}).may(r.Caller, access.Read) {
			names = append(names, k)
		}
	}
	prefix := ""
	if !t.whole() {
		prefix = t.name + "/"
	}
	keys := make(map[string]bool)
	left := 0
	for _, k := range names {
		if !walkable(k) {
			left++
			continue
		}
		below, ok := strings.CutPrefix(k, prefix)
		if !ok || below == "" {
			continue
		}
		if folder, _, deeper := strings.Cut(below, "/"); deeper {
			below = folder + "/"
		}
		keys[below] = true
	}
	var warnings []string
	if left > 0 {
		warnings = append(warnings, fmt.Sprintf("%d secrets of the organization have names that are no paths (they "+
			"begin or end with a slash, or have empty parts or dots); they are among the data of %s", left,
			errs.Clip(t.said)))
	}
	if lost {
		warnings = append(warnings, "a note of an entry of the organization does not open; an entry that has no value "+
			"may be missing here")
	}
	switch {
	case len(keys) > 0:
		return &dialect.Answer{Data: map[string]any{"keys": slices.Sorted(maps.Keys(keys))}, Warnings: warnings}, nil
	case lost:
		return nil, warned(r, warnings...)
	}
	return nil, dialect.NotFound()
}

// walkable reports whether a client that goes from folder to folder can reach the name.
func walkable(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

// listOrgs answers the organisations whose secrets the caller may read of, each as an entry and as a folder.
func (m *Mount) listOrgs(r *dialect.Request) (*dialect.Answer, error) {
	if !mayAny(r.Caller) {
		return nil, dialect.NotAllowed(nil)
	}
	keys := []string{}
	page := identity.Page{Limit: orgsAtOnce}
	for {
		orgs, err := m.Orgs.Orgs(r.Context(), r.Caller, directory.OrgFilter{}, page)
		if err != nil {
			return nil, err
		}
		for _, o := range orgs {
			if r.Caller.MaySome(access.Read, o.ID) {
				keys = append(keys, o.ID.String(), o.ID.String()+"/")
			}
			page.After = o.ID
		}
		if len(orgs) < page.Limit {
			break
		}
	}
	if len(keys) == 0 {
		return nil, dialect.NotFound()
	}
	return &dialect.Answer{Data: map[string]any{"keys": keys}}, nil
}

const orgsAtOnce = 500

// subkeys answers the members of an entry without their values.
func (m *Mount) subkeys(r *dialect.Request, t target) (*dialect.Answer, error) {
	version, err := r.QueryInt("version")
	if err != nil {
		return nil, err
	}
	depth, err := r.QueryInt("depth")
	if err != nil {
		return nil, err
	}
	if !t.whole() {
		return m.subkeysOf(r, t, version, depth)
	}
	o, err := m.Secrets.Outline(r.Context(), r.Caller, t.org)
	if err != nil {
		return nil, err
	}
	if version > 0 && int64(version) != o.Version {
		return nil, dialect.NotFound()
	}
	n, _, err := m.Notes.Of(r.Context(), t.org, "")
	keys := make(map[string]any, len(o.Secrets))
	for k := range o.Secrets {
		keys[k] = nil
	}
	return &dialect.Answer{Data: map[string]any{"metadata": versionData(o.Version, o.Changed, time.Time{}, false,
		n.Custom), "subkeys": keys}, Warnings: lost(n)}, err
}

func (m *Mount) subkeysOf(r *dialect.Request, t target, version, depth int) (*dialect.Answer, error) {
	e, shape, err := m.Secrets.Shape(r.Context(), r.Caller, t.org, t.name, max(version, 0), depth)
	if err != nil {
		return nil, err
	}
	n, _, err := m.Notes.Of(r.Context(), t.org, t.name)
	if err != nil {
		return nil, err
	}
	about := versionData(int64(e.Version), e.At, e.Deleted, e.Destroyed, n.Custom)
	data := map[string]any{"metadata": about, "subkeys": shape}
	if !e.Deleted.IsZero() || e.Destroyed {
		return nil, &dialect.Error{Status: 404, Answer: &dialect.Answer{Data: data, Warnings: lost(n)}}
	}
	return &dialect.Answer{Data: data, Warnings: lost(n)}, nil
}
