package embedded

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/kvtest"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/records"
)

// What may come of a record that is damaged, by its kind.
type damageable struct {
	// means says that the record's value means something. Else only its key does.
	means bool
	// unseen says why neither check nor a reader need tell of damage; "" where one of them must.
	unseen string
}

// damagedKinds has every kind of record that the data of a store have. One that is not in it fails the test.
var damagedKinds = map[string]damageable{
	"value":        {means: true},
	"metadata":     {means: true},
	"version":      {means: true},
	"listed":       {},
	"sealed name":  {means: true},
	"trash":        {},
	"sealed trash": {means: true},
	"head": {means: true, unseen: "it holds the organisation's version, which is nobody's secret, and is " +
		"not authenticated"},
	"core/dated/<org>":  {unseen: "whoever looks for dates finds it again within a day"},
	"core/dated/looked": {means: true, unseen: "it says when all was looked through, which is then done again"},
	keyring.SealRecord: {means: true, unseen: "it opens the keyring or does not; when it was made is no more than " +
		"told"},
	keyring.KeyringRecord: {means: true},
}

var anyOrg = regexp.MustCompile(`\b[0-9a-f]{16}\b`)

func damagedKind(key string) string {
	if place, kind, err := records.Parse(key); err == nil {
		sealed := map[bool]string{true: "sealed "}[place.Form.Sealed()]
		_, deleted := kind.Deleted()
		switch {
		case kind == records.Value:
			return "value"
		case kind == records.Meta:
			return "metadata"
		case kind.IsVersion():
			return "version"
		case deleted:
			return sealed + "trash"
		case kind == records.Listed:
			return map[bool]string{true: "sealed name", false: "listed"}[place.Form.Sealed()]
		}
	}
	if strings.HasPrefix(key, records.Root) && strings.HasSuffix(key, "/names") {
		return "head"
	}
	return anyOrg.ReplaceAllString(key, "<org>")
}

// TestEveryRecordDamaged damages each record of a store in turn. Whoever reads then has the right value or an error and
// never another value, no history is shorter without an error, nothing is brought back with another value, and what
// cannot be read is not written over. Check names the record.
func TestEveryRecordDamaged(t *testing.T) {
	t.Parallel()
	for _, f := range []form{inClear, inSeal, beingRotated} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			testEveryRecordDamaged(t, f)
		})
	}
}

func testEveryRecordDamaged(t *testing.T, f form) {
	w := &damagedWorld{db: openKV(t), key: keyFile(t)}
	s := w.open(t)
	if s == nil {
		t.Fatal("a new store does not open")
	}
	f.begin(t, s)
	for _, o := range []id.ID{org, otherOrg} {
		for n := range 3 {
			c := secret.Change{Set: map[string]secret.Value{}, By: "ann"}
			for _, name := range []string{"a", "b", "dated", "gone", "gone too"} {
				if n < 2 || name == "a" {
					c.Set[name] = secret.NewValue(fmt.Appendf(nil, "%s %s %d", o, name, n+1))
				}
			}
			if _, err := s.Apply(t.Context(), o, c); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Apply(t.Context(), o, secret.Change{Set: setOf("once", o.String()+" once 1")}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apply(t.Context(), o, secret.Change{Delete: []string{"gone", "gone too"}}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"dated", "once"} {
			if err := s.Describe(t.Context(), o, name, secret.Description{Text: "x",
				Expires: damagedDate}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.DatedOrgs(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.whole = w.all(t)
	w.seen = w.look(t, w.open(t))
	if problems := verified(t, w.open(t)); len(problems) > 0 || len(w.seen.values) != 4 || len(w.seen.versions) != 10 {
		t.Fatalf("whole data: %q, %+v", problems, w.seen)
	}
	byKind := map[string][]string{}
	for _, key := range slices.Sorted(maps.Keys(w.whole)) {
		kind := damagedKind(key)
		if _, ok := damagedKinds[kind]; !ok {
			t.Errorf("the record %s is of the kind %q, of which nobody has said what damage does", key, kind)
		}
		byKind[kind] = append(byKind[kind], key)
	}
	n := 0
	for kind, keys := range byKind {
		mine := 0
		for _, key := range keys {
			if strings.Contains(key, otherOrg.String()) {
				continue // it is there to be put in the place of others
			}
			mine++
			for what, ops := range w.damages(key, keys) {
				if n++; n%everyPoint != 0 {
					continue
				}
				w.damaged(t, damagedKinds[kind], key, kind+" "+key+": "+what, ops)
			}
		}
		if mine == 0 {
			t.Errorf("no record of the kind %s is damaged", kind)
		}
	}
}

var damagedDate = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

type damagedWorld struct {
	db    kv.Store
	key   seal.KeyFile
	whole map[string][]byte
	seen  damagedView
}

// open is a store as a server that has just started has it; nil where it does not start.
func (w *damagedWorld) open(t *testing.T) *Store {
	t.Helper()
	ring, err := keyring.Open(t.Context(), w.db, keyring.Config{Seal: w.key})
	if len(w.whole) == 0 && err != nil {
		ring, err = keyring.OpenOrInit(t.Context(), w.db, keyring.Config{Seal: w.key})
	}
	if err != nil {
		return nil
	}
	return New(Config{KV: w.db, Keyring: ring, History: 10})
}

func (w *damagedWorld) all(t *testing.T) map[string][]byte { return kvtest.All(t, w.db) }

// to puts the data to what they were, but for the ops.
func (w *damagedWorld) to(t *testing.T, ops []kv.Op) { kvtest.Become(t, w.db, w.whole, ops) }

// damages are what is done to a record, among those of its kind.
func (w *damagedWorld) damages(key string, kind []string) map[string][]kv.Op {
	was := w.whole[key]
	done := map[string][]kv.Op{"removed": {kv.Delete(key)}}
	put := func(what string, value []byte) {
		if !bytes.Equal(value, was) {
			done[what] = []kv.Op{kv.Put(key, value)}
		}
	}
	put("emptied", []byte{})
	put("cut in half", was[:len(was)/2])
	put("cut by one byte", was[:max(len(was)-1, 0)])
	put("one byte longer", append(bytes.Clone(was), 0))
	for _, at := range []int{0, 1, 5, len(was) / 2, len(was) - 17, len(was) - 1} {
		if at >= 0 && at < len(was) {
			flipped := bytes.Clone(was)
			flipped[at] ^= 1 << (at % 8)
			put(fmt.Sprintf("a bit of byte %d flipped", at), flipped)
		}
	}
	for _, other := range kind {
		if other == key || bytes.Equal(w.whole[other], was) {
			continue
		}
		done["swapped with "+other] = []kv.Op{kv.Put(key, w.whole[other]), kv.Put(other, was)}
	}
	return done
}

// damagedView is what a reader sees of an organisation's secrets; what gave an error is not in it.
type damagedView struct {
	names    []string
	values   map[string]string
	versions map[string]string // by name and number
	infos    map[string]string
	deleted  string
	failed   []string
}

func (w *damagedWorld) look(t *testing.T, s *Store) (seen damagedView) {
	t.Helper()
	seen = damagedView{values: map[string]string{}, versions: map[string]string{}, infos: map[string]string{}}
	failed := func(what string, err error) bool {
		if err != nil {
			seen.failed = append(seen.failed, fmt.Sprint(what, ": ", err))
		}
		return err != nil
	}
	if names, err := s.Keys(t.Context(), org); !failed("names", err) {
		seen.names = names
	}
	take := func(from map[string]secret.Secret) {
		for name, got := range from {
			if was, ok := seen.values[name]; ok && was != string(got.Value.Bytes()) {
				t.Errorf("%q is read in two ways", name)
			}
			seen.values[name] = string(got.Value.Bytes())
		}
	}
	if snap, err := s.Read(t.Context(), org, secret.Query{Versions: true}); !failed("all", err) {
		take(snap.Secrets)
	}
	for _, name := range damagedNames {
		snap, err := s.Read(t.Context(), org, secret.Query{Keys: []string{name}})
		if !failed(name, err) {
			take(snap.Secrets)
		}
		i, err := s.Info(t.Context(), org, name)
		if !failed("info of "+name, err) {
			seen.infos[name] = fmt.Sprintf("%+v", i)
		}
		for n := 1; n <= 4; n++ {
			if got, err := s.ReadVersion(t.Context(), org, name, n); !failed(name, err) {
				seen.versions[fmt.Sprint(name, " ", n)] = string(got.Value.Bytes())
			}
		}
	}
	if infos, err := s.Infos(t.Context(), org, secret.Page{}); !failed("infos", err) {
		for _, i := range infos {
			if !slices.Contains(damagedNames, i.Key) {
				t.Errorf("there is a secret %q", i.Key)
			}
		}
	}
	if gone, err := s.Deleted(t.Context(), org, secret.Page{}); !failed("deleted", err) {
		seen.deleted = fmt.Sprintf("%+v", gone)
	}
	return seen
}

var damagedNames = []string{"a", "b", "dated", "gone", "gone too", "once"}

// damaged damages a record, and looks at all that somebody may do then.
func (w *damagedWorld) damaged(t *testing.T, kind damageable, key, what string, ops []kv.Op) {
	t.Helper()
	removed := ops[0].Kind == kv.OpDelete
	w.to(t, ops)
	s := w.open(t)
	if s == nil {
		return // the server does not start, and says why
	}
	told := strings.Join(verified(t, s), "\n")
	named := strings.Contains(told, key+": ") ||
		// What is missing is told of by the record that should have it.
		removed && told != ""
	if !named && kind.unseen == "" && (removed || kind.means) {
		t.Errorf("%s: check does not name it: %q", what, told)
	}
	got := w.look(t, s)
	for name, value := range got.values {
		if value != w.seen.values[name] {
			t.Errorf("%s: %q is %q", what, name, value)
		}
	}
	for version, value := range got.versions {
		if value != w.seen.versions[version] {
			t.Errorf("%s: version %s is %q", what, version, value)
		}
	}
	for name, info := range got.infos {
		if info != w.seen.infos[name] && told == "" {
			t.Errorf("%s: it is said of %q without an error\n%s, and was\n%s", what, name, info, w.seen.infos[name])
		}
	}
	for _, name := range got.names {
		if !slices.Contains(w.seen.names, name) {
			t.Errorf("%s: there is a name %q", what, name)
		}
	}
	if got.deleted != "" && got.deleted != w.seen.deleted && told == "" {
		t.Errorf("%s: the deleted ones are\n%s, and were\n%s", what, got.deleted, w.seen.deleted)
	}
	if told == "" && len(got.failed) == len(w.seen.failed) &&
		(len(got.values) < len(w.seen.values) || len(got.names) < len(w.seen.names)) {
		t.Errorf("%s: something is missing, and nobody is told: %+v", what, got)
	}
	w.acts(t, what, ops)
}

// acts has each act done to what is damaged.
func (w *damagedWorld) acts(t *testing.T, what string, ops []kv.Op) {
	t.Helper()
	do := func(act, name string, f func(s *Store) (secret.Outcome, error), want string) {
		t.Helper()
		w.to(t, ops)
		before := w.all(t)
		s := w.open(t)
		if s == nil {
			t.Errorf("%s: it starts no more", what)
			return
		}
		if _, err := f(s); err != nil {
			if kind := damagedKind(ops[0].Key); kind != "head" && kind != "core/dated/looked" &&
				!maps.EqualFunc(before, w.all(t), bytes.Equal) {
				t.Errorf("%s: %s is refused (%v) and has changed something", what, act, err)
			}
			return
		}
		if v, err := secret.Get(t.Context(), s, org, name); want != "" && (err != nil || string(v.Bytes()) != want) {
			t.Errorf("%s: %s went well, and %q is %q, %v", what, act, name, v.Bytes(), err)
		}
		// What was there of earlier versions is right or an error now, too.
		for version, value := range w.look(t, s).versions {
			was, ok := w.seen.versions[version]
			if ok && value != was {
				t.Errorf("%s: after %s version %s is %q", what, act, version, value)
			}
		}
	}
	restore := func(name string, version int) func(s *Store) (secret.Outcome, error) {
		return func(s *Store) (secret.Outcome, error) { return s.Restore(t.Context(), org, name, version, "eve") }
	}
	do("bringing back version 1", "a", restore("a", 1), w.seen.versions["a 1"])
	do("bringing back version 2", "a", restore("a", 2), w.seen.versions["a 2"])
	do("bringing back what is deleted", "gone", restore("gone", 0), org.String()+" gone 2")
	do("bringing back an early one of it", "gone", restore("gone", 1), org.String()+" gone 1")
	for _, name := range []string{"a", "dated", "once", "gone"} {
		do("setting "+name, name, func(s *Store) (secret.Outcome, error) {
			return s.Apply(t.Context(), org, secret.Change{Set: setOf(name, "new")})
		}, "new")
	}
	do("deleting a", "a", func(s *Store) (secret.Outcome, error) {
		return s.Apply(t.Context(), org, secret.Change{Delete: []string{"a"}})
	}, "")
	do("undeleting", "gone", func(s *Store) (secret.Outcome, error) {
		return s.Mark(t.Context(), org, "gone", marking(secret.UndeleteVersion, 2))
	}, "")
}
