package records

import (
	"strings"
	"testing"

	"strongroom/internal/id"
)

const org id.ID = 0x031c8cbefe101000

func TestParseRefuses(t *testing.T) {
	for _, key := range []string{
		"", "secrets/", "secrets/x/k/a", "secrets/0000000000000000/k/a", Prefix(org), Prefix(org) + "k",
		Prefix(org) + "k/", Prefix(org) + "x/a", Head(org), Head(org) + "/", Prefix(org) + "k#/a",
		Prefix(org) + "k#x/a", Prefix(org) + "k#0/a", Prefix(org) + "k#01/a", Prefix(org) + "k#1", Prefix(org) + "k#1/",
		Prefix(org) + "k#4294967296/a", Prefix(org) + "h/a", Prefix(org) + "h/a\x001", Prefix(org) + "h/\x000000000001",
		Prefix(org) + "h#1/a\x00x", TrashRoot, TrashPrefix(org), TrashPrefix(org) + "x/a", TrashPrefix(org) + "1/a",
		TrashPrefix(org) + "0000000000001/", TrashPrefix(org) + "0000000000001#1/",
	} {
		if p, k, err := Parse(key); err == nil {
			t.Errorf("%q is taken for %+v of %+v", key, k, p)
		}
	}
}

// TestSlotsApart gives every record its own key, of which all can be told again, and its own belonging.
func TestSlotsApart(t *testing.T) {
	keys, belongings := map[string]bool{}, map[string]bool{}
	for _, form := range []Form{0, 1, 12} {
		for _, name := range []string{"a", "#1/a", "/a", "1/a", "a/b", "names", "k#1/a"} {
			for _, kind := range []Kind{Value, Meta, Listed, Version(1), Version(12), Trash(1), Trash(1769860800000)} {
				p := Place{org, form, name}
				slot := p.Slot(kind)
				if got, k, err := Parse(slot.Key); err != nil || got != p || k != kind {
					t.Errorf("%q: %+v of %+v, %v", slot.Key, k, got, err)
				}
				as := slot.As.Kind + "|" + slot.As.Key
				// The names of two sealed forms are told apart by their indexes.
				if form == 12 {
					as = "12|" + as
				}
				if keys[slot.Key] || belongings[as] {
					t.Errorf("%q, %q is another record's, too", slot.Key, as)
				}
				keys[slot.Key], belongings[as] = true, true
			}
		}
	}
}

func TestNamePadded(t *testing.T) {
	lengths := map[int]bool{}
	for n := range 200 {
		name := strings.Repeat("n", n)
		b := EncodeName(name)
		if got, err := DecodeName(b); err != nil || got != name {
			t.Errorf("%d bytes: %q, %v", n, got, err)
		}
		lengths[len(b)] = true
	}
	if len(lengths) != 7 || !lengths[32] || !lengths[224] {
		t.Errorf("names of less than 200 bytes are %v long", lengths)
	}
}

func FuzzDecodeName(f *testing.F) {
	f.Add(EncodeName("a"))
	f.Add([]byte{nameFormat, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		name, err := DecodeName(b)
		if err != nil {
			return
		}
		if again, err := DecodeName(EncodeName(name)); err != nil || again != name {
			t.Errorf("%x has the name %q, and that %q, %v", b, name, again, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(Prefix(org) + "k#1/a")
	f.Add(Prefix(org) + "h/a\x000000000001")
	f.Add(TrashPrefix(org) + "0000000000001#1/a")
	f.Fuzz(func(t *testing.T, key string) {
		if p, k, err := Parse(key); err == nil && p.Slot(k).Key != key {
			t.Errorf("%q reads as %+v of %+v", key, k, p)
		}
	})
}

func TestVersionLen(t *testing.T) {
	for _, form := range []Form{0, 1, 123} {
		p := Place{Org: org, Form: form, Name: "näme"}
		for _, n := range []int{0, 1, 1e9, 1e10, 1e12} {
			if got, want := p.VersionLen(n), len(p.Slot(Version(n)).Key); got != want {
				t.Errorf("%+v, version %d: %d bytes, want %d", p, n, got, want)
			}
		}
	}
}
