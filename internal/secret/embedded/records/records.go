// Package records says where the records of the embedded secret store stand: their keys, and what each is sealed as.
//
// An organisation's records:
//
//	secrets/<org>/k/<name>        the sealed value
//	secrets/<org>/m/<name>        the sealed metadata: versions, who and when; none for what the first versions wrote
//	secrets/<org>/h/<name>␀<n>    the sealed value of an earlier version, or of a deleted secret
//	secrets/<org>/names/<name>    empty; the list of names, so that listing reads no values
//	secrets/<org>/names           the head: put anew by every change, so that its revision tells whether a list is
//	                              still the newest
//	trash/<org>/<time>/<name>     empty; the deleted secrets in the order of their deletion
//
// So it is with names in clear. Where they are sealed, a name's index (keyring.Index) stands in its place, and #<term>/
// in that of the slash before it:
//
//	secrets/<org>/k#<term>/<index>
//
// The records names#… and trash… then hold the name, sealed (name.go). What is sealed says which index it belongs to,
// as it does with a name, and is told apart from what belongs to a name that reads like the index.
package records

import (
	"fmt"
	"strconv"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
)

// What the keys begin with.
const (
	Root      = "secrets/"
	TrashRoot = "trash/"
	// DatedRoot is of records of the whole store.
	DatedRoot = "core/dated/"
)

// BehindAll is behind all of an organisation's keys that have the same beginning: no part of a key begins with a byte
// that UTF-8 never has.
const BehindAll = "\xff"

// Prefix is what the keys of an organisation's records begin with, those of the deleted secrets excepted.
func Prefix(org id.ID) string { return Root + org.String() + "/" }

// TrashPrefix is what the keys of an organisation's deleted secrets begin with.
func TrashPrefix(org id.ID) string { return TrashRoot + org.String() + "/" }

// Dated is the key of the record that says that some of an organisation's secrets may have a date by which to replace
// them.
func Dated(org id.ID) string { return DatedRoot + org.String() }

// Head is the key of an organisation's head. It is before the keys of the list of names, and the beginning of them.
func Head(org id.ID) string { return Prefix(org) + listed }

// The kinds of record, as the keys name them.
const (
	value    = "k"
	metadata = "m"
	version  = "h"
	listed   = "names"
	trash    = "trash"
)

// Kind is a kind of record that a secret has.
type Kind struct {
	name string
	n    int64 // of a version its number, of a deletion its time
}

// The kinds.
var (
	Value  = Kind{name: value}
	Meta   = Kind{name: metadata}
	Listed = Kind{name: listed}
)

// Version is the kind of an earlier version's value.
func Version(n int) Kind { return Kind{version, int64(n)} }

// Trash is the kind of a secret that was deleted at the time (Unix ms), by which they are sorted.
func Trash(at int64) Kind { return Kind{trash, at} }

// HoldsName reports whether the records of the kind say what the name is: in a sealed form nothing else does.
func (k Kind) HoldsName() bool { return k.name == listed || k.name == trash }

// IsVersion reports whether the kind is an earlier version's.
func (k Kind) IsVersion() bool { return k.name == version }

// Number returns the version's number of a kind that is a version.
func (k Kind) Number() int { return int(k.n) }

// Deleted gives the time of the deletion (Unix ms) of a kind made by Trash.
func (k Kind) Deleted() (at int64, ok bool) { return k.n, k.name == trash }

// Form is the form of the names in keys: keyring.Clear, or the number of the term whose indexes stand for them.
type Form uint32

// appendMark appends what stands between the kind and the name or index.
func (f Form) appendMark(b []byte) []byte {
	if f == Form(keyring.Clear) {
		return append(b, '/')
	}
	return append(strconv.AppendUint(append(b, '#'), uint64(f), 10), '/')
}

func (f Form) mark() string { return string(f.appendMark(nil)) }

// Sealed reports whether names are sealed in the form.
func (f Form) Sealed() bool { return f != Form(keyring.Clear) }

// Place is where the records of one secret stand: its name, or in a sealed form the name's index.
type Place struct {
	Org  id.ID
	Form Form
	Name string
}

// At gives the place of a name in a form.
func At(ring *keyring.Keyring, org id.ID, form Form, name string) (Place, error) {
	if !form.Sealed() {
		return Place{org, form, name}, nil
	}
	index, err := ring.Index(uint32(form), org, name)
	return Place{org, form, index}, err
}

// Order gives what stands for a name of the organisation in the keys of records; nil where that is the name itself.
func Order(ring *keyring.Keyring, org id.ID) (place func(name string) (string, error)) {
	form := Form(ring.Names().Form)
	if !form.Sealed() {
		return nil
	}
	return func(name string) (string, error) {
		at, err := At(ring, org, form, name)
		return at.Name, err
	}
}

// Slot is the place of one record: its key, and what it is sealed as, should it be.
type Slot struct {
	Key string
	As  keyring.Belongs
}

// What records are sealed as. Those of a sealed form belong to an index, which is no name.
const (
	valueKind   = "secret"
	metaKind    = "secret metadata"
	versionKind = "secret version"
	listedKind  = "secret name"
	trashKind   = "deleted secret name"

	byIndex = " by index"
)

// keyRoom is what most keys fit in. A change makes a dozen of them, and what they are made in need not be collected.
const keyRoom = 160

// Slot is where the secret's record of a kind is.
func (p Place) Slot(k Kind) Slot {
	as := p.As(k)
	var room [keyRoom]byte
	if k.name == trash {
		b := append(p.Org.Append(append(room[:0], TrashRoot...)), '/')
		b = p.Form.appendMark(appendNumber(b, k.n, timeDigits))
		return Slot{string(append(b, p.Name...)), as}
	}
	b := append(p.Org.Append(append(room[:0], Root...)), '/')
	b = p.Form.appendMark(append(b, k.name...))
	return Slot{string(append(b, as.Key...)), as}
}

// around is how many bytes the longest of a secret's keys in clear, one of a version or of a
// deletion, has beside the name.
var around = max(len(Place{Name: "n"}.Slot(Version(0)).Key), len(Place{Name: "n"}.Slot(Trash(0)).Key)) - len("n")

// Versions is what the keys of the secret's earlier versions begin with.
func (p Place) Versions() string {
	zero := p.Slot(Version(0)).Key
	return zero[:strings.LastIndexByte(zero, 0)+1]
}

// VersionLen is the length of the key of an earlier version's value.
func (p Place) VersionLen(n int) int {
	var room [20]byte
	digits := max(versionDigits, len(strconv.AppendInt(room[:0], int64(n), 10)))
	var mark [keyRoom]byte
	return len(Root) + id.Length + len("/"+version) + len(p.Form.appendMark(mark[:0])) + len(p.Name) + len("\x00") +
		digits
}

// Longest is the length of the longest key that a secret's records have with its name in clear. An index is shorter
// than any name that is near the engine's limit.
func Longest(name string) int { return around + len(name) }

// As is what the secret's record of a kind is sealed as.
func (p Place) As(k Kind) keyring.Belongs {
	sealed := p.Form.Sealed()
	switch k.name {
	case metadata:
		return belongs(sealed, metaKind, metaKind+byIndex, p.Name)
	case version:
		// A name holds no control character, so that it ends where the NUL is.
		var room [keyRoom]byte
		return belongs(sealed, versionKind, versionKind+byIndex,
			string(appendNumber(append(append(room[:0], p.Name...), 0), k.n, versionDigits)))
	case listed:
		return belongs(sealed, listedKind, listedKind+byIndex, p.Name)
	case trash:
		return belongs(sealed, trashKind, trashKind+byIndex, string(appendNumber(nil, k.n, timeDigits))+"/"+p.Name)
	}
	return belongs(sealed, valueKind, valueKind+byIndex, p.Name)
}

func belongs(sealed bool, ofName, ofIndex, key string) keyring.Belongs {
	if sealed {
		return keyring.Belongs{Kind: ofIndex, Key: key}
	}
	return keyring.Belongs{Kind: ofName, Key: key}
}

// How many digits a version's number and a deletion's time have at least, so that keys are in their order.
const (
	versionDigits = 10
	timeDigits    = 13
)

// appendNumber appends a number that is not negative, with zeros before it up to so many digits.
func appendNumber(b []byte, n int64, digits int) []byte {
	var room [20]byte
	text := strconv.AppendInt(room[:0], n, 10)
	for range digits - len(text) {
		b = append(b, '0')
	}
	return append(b, text...)
}

// Of is what the keys of all an organisation's records of a kind begin with.
func Of(org id.ID, form Form, kind Kind) string { return Prefix(org) + kind.name + form.mark() }

// Names is what the keys of the list of names begin with.
func Names(org id.ID, form Form) string { return Head(org) + form.mark() }

// Prefixes are what the keys of all records of a form begin with, in the order in which they can be moved to another:
// the names last, which say what an index is of. The deleted secrets are none of them: they are in the order of time.
func Prefixes(org id.ID, form Form) []string {
	var all []string
	for _, kind := range []string{value, metadata, version, listed} {
		all = append(all, Prefix(org)+kind+form.mark())
	}
	return all
}

// KindPrefix is what the key of a secret's record begins with up to the kind; of another record it may be anything that
// its key begins with.
func KindPrefix(key string) string {
	of := min(len(key), len(Root)+id.Length+1)
	if n := strings.IndexByte(key[of:], '/'); n >= 0 {
		return key[:of+n]
	}
	return key[:of]
}

// OrgOf gives the organisation of a record whose key begins with the root.
func OrgOf(root, key string) (org id.ID, rest string, err error) {
	text, rest, _ := strings.Cut(strings.TrimPrefix(key, root), "/")
	if org, err = id.Parse(text); err != nil {
		return 0, "", fmt.Errorf("the record %q is of no organisation: %w", key, err)
	}
	return org, rest, nil
}

// Parse takes the key of a secret's record apart. The head is none.
func Parse(key string) (Place, Kind, error) {
	unknown := func() (Place, Kind, error) {
		return Place{}, Kind{}, fmt.Errorf("record %q: it is of a kind that this influxd does not know; start "+
			"a newer one", key)
	}
	root := Root
	if strings.HasPrefix(key, TrashRoot) {
		root = TrashRoot
	}
	org, rest, err := OrgOf(root, key)
	if err != nil {
		return Place{}, Kind{}, err
	}
	i := strings.IndexAny(rest, "/#")
	if i < 0 {
		return unknown()
	}
	place, kind := Place{Org: org}, Kind{name: rest[:i]}
	if rest = rest[i:]; rest[0] == '#' {
		number, after, _ := strings.Cut(rest[1:], "/")
		form, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return unknown()
		}
		place.Form, rest = Form(form), "/"+after
	}
	place.Name = rest[1:]
	switch {
	case root == TrashRoot:
		at, err := strconv.ParseInt(kind.name, 10, 64)
		if err != nil {
			return Place{}, Kind{}, fmt.Errorf("the record %q has not the form of a deleted secret's", key)
		}
		kind = Trash(at)
	case kind.name == version:
		i := strings.LastIndexByte(place.Name, 0)
		if i < 0 {
			return unknown()
		}
		n, err := strconv.Atoi(place.Name[i+1:])
		if err != nil {
			return unknown()
		}
		place.Name, kind = place.Name[:i], Version(n)
	case kind != Value && kind != Meta && kind != Listed:
		return unknown()
	}
	// There are other ways to write a number, and no other key is this record's.
	if place.Name == "" || place.Slot(kind).Key != key {
		return unknown()
	}
	return place, kind, nil
}
