// Package mount is the KV v2 mount: an organisation as one entry, the map of all its secrets, and each secret as an
// entry below it. What these entries cannot be is refused with a sentence, and nothing half stored.
package mount

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity/directory"
	"strongroom/internal/inflight"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
	"strongroom/internal/vaultapi/dialect"
	"strongroom/internal/vaultapi/notes"
)

// Config is what the mount needs; all but Refresh, NewOrgs and Merge must be set.
type Config struct {
	Path    string
	Secrets *service.Service
	Orgs    *directory.Service
	Notes   *notes.Book
	Guard   *access.Guard
	Refresh time.Duration // lease_duration of what is read
	NewOrgs bool          // the first write to an organisation that is not there makes it
	Merge   bool          // a write of an earlier version goes through where it changes what others have not
}

// Mount is the handlers. Make it with New.
type Mount struct {
	Config
	recent *recent // nil where nothing is merged
	sizes  *inflight.Sizes
}

// New makes the handlers.
func New(c Config) *Mount {
	m := &Mount{Config: c, sizes: inflight.NewSizes()}
	if c.Merge {
		m.recent = newRecent()
	}
	return m
}

// target is what a path below the mount leads to.
type target struct {
	kind string // data, metadata, …
	org  id.ID  // zero where there is no such organisation
	said string // how the path calls the organisation
	name string // of the secret; "" is the organisation itself
	// folder says that the path ended in a slash.
	folder bool
}

func (t target) whole() bool { return t.name == "" }

// Serve answers one request below the mount.
func (m *Mount) Serve(r *dialect.Request) (*dialect.Answer, error) {
	below := strings.TrimPrefix(strings.TrimPrefix(r.Path, m.Path), "/")
	kind, rest, deeper := strings.Cut(below, "/")
	switch kind {
	case "config":
		if !deeper {
			return m.config(r)
		}
	case "data", "metadata", "delete", "undelete", "destroy", "subkeys":
		t, err := m.target(r.Context(), kind, rest)
		if err != nil {
			return nil, err
		}
		if t.said == "" {
			return m.top(r, kind, deeper)
		}
		return m.entry(r, t)
	}
	return nil, m.invalidPath(r)
}

// target reads a path below a kind: an organisation by its ID, or by its name where that is no ID, and a secret's name.
func (m *Mount) target(ctx context.Context, kind, rest string) (target, error) {
	t := target{kind: kind}
	t.said, t.name, _ = strings.Cut(rest, "/")
	t.folder = strings.HasSuffix(rest, "/")
	t.name = strings.TrimSuffix(t.name, "/")
	var err error
	if t.org, err = id.Parse(t.said); err == nil || t.said == "" {
		return t, nil
	}
	t.org, err = m.Orgs.OrgNamed(ctx, t.said)
	if errs.Is(err, errs.NotFound) {
		return t, nil // told as the organisation's absence is, to those who may know
	}
	return t, err
}

// top answers what is asked of all organisations.
func (m *Mount) top(r *dialect.Request, kind string, slash bool) (*dialect.Answer, error) {
	switch {
	case kind == "metadata" && r.Op == dialect.List:
		return m.listOrgs(r)
	case r.Op == dialect.Write:
		return nil, dialect.Refuse("cannot write to a path ending in '/'")
	case slash:
		return nil, m.invalidPath(r)
	}
	return nil, warned(r, "Non-listing operations on the root of a K/V v2 mount are not supported.")
}

// entry answers what is asked of an organisation or of a secret.
func (m *Mount) entry(r *dialect.Request, t target) (*dialect.Answer, error) {
	handlers := map[string]map[dialect.Op]func(*dialect.Request, target) (*dialect.Answer, error){
		"data": {dialect.Read: m.readData, dialect.Write: m.writeData, dialect.Patch: m.patchData,
			dialect.Delete: m.deleteData},
		"metadata": {dialect.Read: m.readMetadata, dialect.Write: m.writeMetadata, dialect.Patch: m.writeMetadata,
			dialect.Delete: m.deleteMetadata, dialect.List: m.list},
		"delete":   {dialect.Write: m.mark(secret.DeleteVersion)},
		"undelete": {dialect.Write: m.mark(secret.UndeleteVersion)},
		"destroy":  {dialect.Write: m.mark(secret.DestroyVersion)},
		"subkeys":  {dialect.Read: m.subkeys},
	}
	do, ok := handlers[t.kind][r.Op]
	switch {
	case !ok && r.Op == dialect.List:
		return nil, m.invalidPath(r)
	case !ok:
		return nil, dialect.Unsupported()
	case t.folder && r.Op == dialect.Write:
		return nil, dialect.Refuse("cannot write to a path ending in '/'")
	case t.folder && r.Op != dialect.List && t.kind == "metadata":
		return nil, m.unseen(r, t, dialect.NotFound())
	case t.folder && r.Op != dialect.List:
		return nil, m.invalidPath(r)
	}
	a, err := do(r, t)
	return a, m.unseen(r, t, err)
}

// unseen tells of an organisation that is not there. To read it is 404, for those who may read all there are; to write
// is refused, since 404 would be taken for success by those who ask again.
func (m *Mount) unseen(r *dialect.Request, t target, err error) error {
	if err == nil || !errs.Is(err, errs.NotFound) || r.Op == dialect.Read || r.Op == dialect.List {
		return err
	}
	exists := m.Orgs.OrgExists(r.Context(), t.org)
	if !errs.Is(exists, errs.NotFound) {
		return err
	}
	if r.Op == dialect.Delete || t.kind != "data" && t.kind != "metadata" {
		return nil // what is not there need not be deleted
	}
	text := fmt.Sprintf("%s: there is no organization %q here", dialect.Denied, errs.Clip(t.said))
	if m.NewOrgs {
		text += "; a token that may write organizations (influx auth create --vault-client --write-orgs) makes it " +
			"with its first write, under its ID"
	} else {
		text += "; import it (influxd import), make it (influx org create), or let the first write make it " +
			"(--vault-api-new-orgs)"
	}
	return &dialect.Error{Status: http.StatusForbidden, Errors: []string{text}}
}

// invalidPath is the answer for what is no path of version 2, in the words that clients show.
func (m *Mount) invalidPath(r *dialect.Request) error {
	command := map[dialect.Op]string{dialect.Read: "get", dialect.List: "list", dialect.Write: "put",
		dialect.Patch: "patch", dialect.Delete: "delete"}[r.Op]
	return warned(r, "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API "+
		"endpoints to use. If using the Vault CLI, use 'vault kv "+command+"' for this operation.")
}

// warned is 404 with warnings, for those who may do anything here.
func warned(r *dialect.Request, warnings ...string) error {
	if !mayAny(r.Caller) {
		return dialect.NotAllowed(nil)
	}
	return &dialect.Error{Status: http.StatusNotFound, Answer: &dialect.Answer{Raw: json.RawMessage("null"),
		Warnings: warnings}}
}

func mayAny(c *access.Caller) bool {
	for _, p := range c.Permissions {
		if p.Resource.Type == access.Secrets || p.Resource.Type == access.Instance {
			return true
		}
	}
	return false
}

func (t target) need(a access.Action) access.Permission {
	return access.To(a, access.Resource{Type: access.Secrets, OrgID: t.org, Name: t.name})
}

// may reports whether the caller may do the action with the secret, or with some of the organisation's.
func (t target) may(c *access.Caller, a access.Action) bool {
	if t.whole() {
		return c.MaySome(a, t.org)
	}
	return c.May(t.need(a))
}

// Capabilities tells what the caller may do with a path below the mount; nothing where that is nothing.
func (m *Mount) Capabilities(ctx context.Context, c *access.Caller, path string) ([]string, error) {
	kind, rest, _ := strings.Cut(path, "/")
	if kind == "config" && rest == "" && mayAny(c) {
		return []string{"read"}, nil
	}
	t, err := m.target(ctx, kind, rest)
	if err != nil {
		return nil, err
	}
	if t.said == "" {
		if kind == "metadata" && mayAny(c) {
			return []string{"list"}, nil
		}
		return nil, nil
	}
	read, write, use := t.may(c, access.Read), t.may(c, access.Write), t.may(c, access.Use)
	var can []string
	add := func(may bool, names ...string) {
		if may {
			can = append(can, names...)
		}
	}
	switch kind {
	case "data":
		add(write && (use || !t.whole()), "create")
		add(write, "delete")
		add(write && (use || read || t.whole()), "patch")
		add(use, "read")
		add(write && (use || !t.whole()), "update")
	case "metadata":
		add(write, "create", "delete")
		add(read, "list")
		add(write && (read || use || t.whole()), "patch")
		add(read, "read")
		add(write, "update")
	case "delete", "undelete", "destroy":
		add(write && !t.whole(), "update")
	case "subkeys":
		add(read, "read")
	}
	return can, nil
}

// config is how the mount keeps what is written: as the server's settings say, which are not changed from here.
func (m *Mount) config(r *dialect.Request) (*dialect.Answer, error) {
	if !mayAny(r.Caller) {
		return nil, dialect.NotAllowed(nil)
	}
	switch r.Op {
	case dialect.Read:
		return &dialect.Answer{Data: map[string]any{"cas_required": false, "delete_version_after": "0s",
			"max_versions": 0}}, nil
	case dialect.Write:
		body, err := r.ReadBody()
		if err != nil {
			return nil, err
		}
		if err := settled(body); err != nil {
			return nil, err
		}
		if required, err := body.Bool("cas_required"); err != nil || required {
			return nil, dialect.Refuse("cas_required is for single secrets here; set it with their metadata")
		}
		return nil, nil
	}
	return nil, dialect.Unsupported()
}

// settled refuses settings that the server's own decide.
func settled(body dialect.Body) error {
	n, err := body.Int("max_versions")
	if err == nil && n != 0 {
		err = dialect.Refuse("max_versions is the server's to say (--secret-history); leave it at 0")
	}
	if err != nil {
		return err
	}
	after, err := body.Duration("delete_version_after")
	if err == nil && after > 0 {
		err = dialect.Refuse("delete_version_after is not known here: what is written stays until it is deleted; " +
			"leave it at 0s")
	}
	return err
}

// stamp writes a time as answers have it.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// versionData is what answers say of one version.
func versionData(version int64, at, deleted time.Time, destroyed bool, custom map[string]string) map[string]any {
	return map[string]any{
		"created_time": at.UTC().Format(time.RFC3339Nano), "custom_metadata": custom, "deletion_time": stamp(deleted),
		"destroyed": destroyed, "version": version,
	}
}

// casOf reads the version that a write must find; nil where it names none.
func casOf(body dialect.Body) (*int, error) {
	options, err := body.Map("options")
	if err != nil {
		return nil, err
	}
	if _, ok := options["cas"]; !ok {
		return nil, nil
	}
	n, err := options.Int("cas")
	if err != nil || n < 0 {
		return nil, dialect.Refuse("error parsing check-and-set parameter")
	}
	return &n, nil
}

// required refuses a write without cas where the entry's metadata ask for one.
func (m *Mount) required(ctx context.Context, c *access.Caller, t target, cas *int) (notes.Note, error) {
	if !t.may(c, access.Write) {
		return notes.Note{}, nil // which the service refuses, and is told nothing
	}
	n, _, err := m.Notes.Of(ctx, t.org, t.name)
	switch {
	case err != nil || cas != nil:
	case n.Lost:
		err = dialect.Refuse(dialect.CASNeeded + ", as far as is known: what was noted here does not open; " + anew)
	case n.CASRequired:
		err = dialect.Refuse(dialect.CASNeeded)
	}
	return n, err
}

// anew is what to do about a note that does not open.
const anew = "write the metadata anew (POST, with cas_required and custom_metadata, {} for none), or delete them"

// lost are the warnings of an answer that goes without a note, since it does not open.
func lost(n notes.Note) []string {
	if !n.Lost {
		return nil
	}
	return []string{"custom_metadata are left out, and whether writes need cas is not known: what was noted here " +
		"does not open; " + anew}
}
