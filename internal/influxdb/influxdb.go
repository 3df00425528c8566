// Package influxdb reads the embedded database of a real InfluxDB 2 (influxd.bolt), of the first alphas to the newest,
// and gives what Strongroom keeps of it. It never writes, takes no lock, and so reads also while InfluxDB runs.
//
// InfluxDB keeps JSON records in top-level buckets, named by the 16 hexadecimal characters of their IDs
// (tenant/storage.go, authorization/storage.go, kv/secret.go). A secret's key is its organisation's ID directly
// followed by the secret's own key; its value is base64.
package influxdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/boltfile"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/secret"
)

// Contents is what was read.
type Contents struct {
	Identities
	Skipped []Skip
	// EachAuthorizations and EachSecrets read those, and call f with some at a time: of secrets, all of one
	// organisation's after each other. They end with f's error. Where one is nil, there are none.
	EachAuthorizations, EachSecrets func(ctx context.Context, f func(Some) error) error
}

// Some are authorizations or secrets that belong together: they were there at one moment. Skipped is what could not be
// read among them.
type Some struct {
	Authorizations []identity.Authorization
	Secrets        []Secret
	Skipped        []Skip
}

// Whole is an EachSecrets that has them all.
func Whole(secrets []Secret) func(context.Context, func(Some) error) error {
	return func(_ context.Context, f func(Some) error) error { return f(Some{Secrets: secrets}) }
}

// Secret is one secret of an organisation.
type Secret struct {
	Org   id.ID
	Key   string
	Value secret.Value
	// Description is what is noted of it; InfluxDB keeps none.
	Description secret.Description
}

// Skip is what is in the file and not in Contents. Name is empty where the skip stands for all of the kind, and then
// Count says how many. It holds no value, token or hash.
type Skip struct {
	Kind  string
	Name  string
	Count int
	Why   string
}

// FileName is how InfluxDB names its database, in a folder ~/.influxdbv2 or /var/lib/influxdb.
const FileName = "influxd.bolt"

// attempts is how often a file is read again because InfluxDB has committed meanwhile.
const attempts = 20

// Read reads the file, or the file FileName in the folder, that the path names: at once all but the authorizations and
// the secrets, of which a file may have very many. They are read when they are asked for.
func Read(ctx context.Context, path string) (*Contents, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, FileName)
	}
	c, err := read(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("reading the InfluxDB file %s: %w", path, err)
	}
	c.EachAuthorizations = func(ctx context.Context, f func(Some) error) error {
		return each(ctx, path, authorizationsBucket, f)
	}
	c.EachSecrets = func(ctx context.Context, f func(Some) error) error { return each(ctx, path, secretsBucket, f) }
	return c, nil
}

// errBusy is a file that never stays as it is.
var errBusy = errors.New("InfluxDB writes to it all the time: stop InfluxDB, or name a copy of the file")

func read(ctx context.Context, path string) (*Contents, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err) // the path is in front already
	}
	defer file.Close()
	for range attempts {
		bolt, err := open(file)
		if err != nil {
			return nil, err
		}
		c, err := readBolt(ctx, bolt)
		if bolt.Current() { // what was read belongs together
			return c, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return nil, errBusy
}

func open(file *os.File) (*boltfile.File, error) {
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a file")
	case info.Size() == 0:
		return nil, errors.New("it is empty")
	}
	bolt, err := boltfile.Open(file, info.Size())
	if errors.Is(err, boltfile.ErrFormat) {
		return nil, errors.New("it is not a database of InfluxDB 2: name its influxd.bolt, often in ~/.influxdbv2 or " +
			"/var/lib/influxdb")
	}
	return bolt, err
}

func readBolt(ctx context.Context, file *boltfile.File) (*Contents, error) {
	w := newWalk(ctx)
	if err := file.Walk(w); err != nil {
		return nil, err
	}
	switch {
	case w.ours:
		return nil, errors.New("it is Strongroom's own, and there is nothing to import: --bolt-path opens it")
	case !w.influxdb && w.broken > 0:
		return nil, errors.New("it is damaged so far that nothing of InfluxDB's can be found in it")
	case !w.influxdb:
		return nil, errors.New("it is a bbolt database of another program, not of InfluxDB 2")
	}
	if len(w.instance) == 0 {
		if err := file.WalkAfter(&holders{w}, authorizationsBucket, nil); err != nil {
			return nil, err
		}
	}
	return w.finish(), nil
}

// walk is the boltfile.Visitor that takes the records up.
type walk struct {
	ctx      context.Context
	contents Contents
	influxdb bool
	ours     bool
	broken   int
	other    map[string]int // by bucket: how many records of a kind that is not taken over
	order    []string

	passwords map[id.ID][]byte
	instance  map[id.ID]bool // who owns the instance
	holders   map[id.ID]bool // who holds a token that may do everything; looked for where nobody owns it
	roles     int            // that are not of organisations
}

func newWalk(ctx context.Context) *walk {
	return &walk{ctx: ctx, other: make(map[string]int), passwords: make(map[id.ID][]byte),
		instance: make(map[id.ID]bool), holders: make(map[id.ID]bool)}
}

// Bucket notes what kind of file it is. What there may be very many of is read by itself.
func (w *walk) Bucket(path []string) bool {
	_, known := readers[path[0]]
	w.influxdb = w.influxdb || known
	w.ours = w.ours || path[0] == "strongroom-meta"
	return len(path) == 1 && path[0] != secretsBucket && path[0] != authorizationsBucket
}

// Record takes up one record. It keeps nothing of key and value.
func (w *walk) Record(path []string, key, value []byte) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if len(path) == 0 {
		return nil
	}
	if read, ok := readers[path[0]]; ok {
		if why := read(w, string(key), value); why != "" {
			w.skip(kinds[path[0]], nameOf(path[0], key), why)
		}
		return nil
	}
	if !isIndex(path[0]) {
		if w.other[path[0]] == 0 {
			w.order = append(w.order, path[0])
		}
		w.other[path[0]]++
	}
	return nil
}

// Damaged takes note of what cannot be read.
func (w *walk) Damaged(path []string, d boltfile.Damage) {
	w.broken++
	where := "the file"
	if len(path) > 0 {
		where = path[0]
	}
	w.contents.Skipped = append(w.contents.Skipped, damaged(where, d))
}

func damaged(where string, d boltfile.Damage) Skip {
	return Skip{Kind: "damage", Name: where, Count: 1,
		Why: "the file is damaged, and what was there is not in this report (" + d.String() + ")"}
}

func (w *walk) skip(kind, name, why string) {
	w.contents.Skipped = append(w.contents.Skipped, Skip{Kind: kind, Name: name, Count: 1, Why: why})
}

// nameOf is what a report may say of a record that could not be read: its key, where that is an ID and no token.
func nameOf(bucket string, key []byte) string {
	text := clip(string(key))
	if bucket == secretsBucket {
		return text
	}
	if _, err := id.Parse(string(key)); err != nil && bucket != mappingsBucket {
		return "(a key that is no ID)"
	}
	return text
}

func clip(s string) string { return errs.ClipTo(80, strings.ToValidUTF8(s, "�")) }

// finish puts together what came from several buckets.
func (w *walk) finish() *Contents {
	c := &w.contents
	for i := range c.Users {
		u := &c.Users[i]
		u.PasswordHash = w.passwords[u.ID]
		delete(w.passwords, u.ID)
	}
	if n := len(w.passwords); n > 0 {
		c.Skipped = append(c.Skipped, Skip{Kind: "password", Count: n, Why: "of users who are not in the file"})
	}
	if w.roles > 0 {
		c.Skipped = append(c.Skipped, Skip{Kind: "member", Count: w.roles, Why: "roles in single things (buckets, " +
			"dashboards, tasks …); here only organizations have members"})
	}
	w.findOperators()
	for _, bucket := range w.order {
		kind, why := bucket, "not known to this influxd"
		if known, ok := notKept[bucket]; ok {
			kind, why = known, "Strongroom does not keep these"
		}
		c.Skipped = append(c.Skipped, Skip{Kind: kind, Count: w.other[bucket], Why: why})
	}
	return c
}

// findOperators marks who may do everything when signed in: since 2.0 whom InfluxDB says to own the instance; before it
// said so, those who hold a token that may do everything.
func (w *walk) findOperators() {
	owners := w.instance
	if len(owners) == 0 {
		owners = w.holders
	}
	found := false
	for i := range w.contents.Users {
		u := &w.contents.Users[i]
		u.Operator = owners[u.ID]
		found = found || u.Operator && u.Status == identity.Active
	}
	if !found && len(w.contents.Users) > 0 {
		w.contents.Skipped = append(w.contents.Skipped, Skip{Kind: "operator",
			Why: "no active user of the file owns the instance or holds a token that may do everything: " +
				"nobody who signs in will be the operator", Count: 1})
	}
}

// holders is the boltfile.Visitor that looks for tokens that may do everything.
type holders struct{ *walk }

func (h *holders) Bucket(path []string) bool { return len(path) == 1 }

func (h *holders) Record(_ []string, key, value []byte) error {
	if err := h.ctx.Err(); err != nil {
		return err
	}
	a, _, why := readAuthorization(string(key), value)
	if why == "" && a.Status == identity.Active && mayEverything(a.Permissions) {
		h.holders[a.UserID] = true
	}
	return nil
}

// Damaged is told when the authorizations are brought.
func (h *holders) Damaged([]string, boltfile.Damage) {}

// mayEverything reports whether the permissions are an operator's: everything that the oldest versions gave theirs.
func mayEverything(permissions []access.Permission) bool {
	c := access.Caller{Principal: &access.Principal{Permissions: permissions}}
	for _, t := range []access.ResourceType{access.Authorizations, access.Buckets, access.Orgs, access.Users,
		access.Secrets, "dashboards", "sources", "tasks", "telegrafs"} {
		if !c.May(access.To(access.Write, access.Resource{Type: t})) ||
			!c.May(access.To(access.Read, access.Resource{Type: t})) {
			return false
		}
	}
	return true
}
