package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"strongroom/internal/id"
)

var update = flag.Bool("update", false, "write the golden file anew (a change of the format: say so in the commit)")

const (
	orgA id.ID = 0x031c8cbefe101000
	orgB id.ID = 0x031c8cbefe101001
)

// fixed is a keyring of fixed keys: term t has the key t, t, t, …
func fixed(t testing.TB, current uint32, terms ...uint32) *Keyring {
	t.Helper()
	c := &content{StoreID: "00112233445566778899aabbccddeeff", Secret: bytes.Repeat([]byte{0xee}, keyLen),
		Current: current}
	for _, n := range terms {
		c.Terms = append(c.Terms, term{Term: n, Key: bytes.Repeat([]byte{byte(n)}, keyLen)})
	}
	if !c.valid() {
		t.Fatal("the keyring is not valid")
	}
	k := newKeyring(nil, rootKey{})
	k.adopt(c, 1)
	return k
}

func mustSeal(t testing.TB, k *Keyring, org id.ID, to Belongs, plaintext string) []byte {
	t.Helper()
	b, err := k.Seal(org, to, []byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var foo = Belongs{Kind: "secret", Key: "foo"}

func TestOpenRefuses(t *testing.T) {
	k := fixed(t, 2, 1, 2)
	sealed := mustSeal(t, k, orgA, foo, "bar")
	refused := func(name string, k *Keyring, org id.ID, to Belongs, sealed []byte, want error) {
		t.Helper()
		if got, err := k.Open(org, to, sealed); !errors.Is(err, want) || got != nil {
			t.Errorf("%s: %q, %v; want %v", name, got, err, want)
		}
	}
	refused("another organisation", k, orgB, foo, sealed, ErrOpen)
	refused("another name", k, orgA, Belongs{"secret", "fop"}, sealed, ErrOpen)
	refused("another kind", k, orgA, Belongs{"secrets", "foo"}, sealed, ErrOpen)
	refused("the border moved", k, orgA, Belongs{"secretf", "oo"}, sealed, ErrOpen)
	refused("no name", k, orgA, Belongs{}, sealed, ErrOpen)

	other := bytes.Clone(sealed)
	other[4] = 1
	refused("another term that there is", k, orgA, foo, other, ErrOpen)
	other[4] = 3
	refused("a term that there is not", k, orgA, foo, other, ErrTerm)
	refused("a keyring without the term", fixed(t, 1, 1), orgA, foo, sealed, ErrTerm)

	strange := fixed(t, 2, 2)
	strange.content.Terms[0].Key[0] ^= 1
	refused("other keys", strange, orgA, foo, sealed, ErrOpen)

	for i := range sealed {
		refused(fmt.Sprintf("cut at %d", i), k, orgA, foo, sealed[:i], ErrOpen)
		for bit := range 8 {
			flipped := bytes.Clone(sealed)
			flipped[i] ^= 1 << bit
			if got, err := k.Open(orgA, foo, flipped); err == nil {
				t.Errorf("bit %d of byte %d is another, and it opens: %q", bit, i, got)
			}
		}
	}
	refused("more behind it", k, orgA, foo, append(bytes.Clone(sealed), 0), ErrOpen)
	refused("nothing", k, orgA, foo, nil, ErrOpen)
}

// TestBelongingsDiffer has belongings that a careless encoding would make the same.
func TestBelongingsDiffer(t *testing.T) {
	k := fixed(t, 1, 1)
	all := []Belongs{
		{"", ""}, {"a", ""}, {"", "a"}, {"ab", "c"}, {"a", "bc"}, {"abc", ""}, {"a/b", "c"}, {"a", "b/c"},
		{"a\x00", "b"}, {"a", "\x00b"}, {"a\x00\x00\x00\x01b", ""}, {"a", "\x00\x00\x00\x01b"},
		{"", "\x00\x00\x00\x01b"}, {"\x00\x00\x00\x05", "b"},
	}
	for i, from := range all {
		sealed := mustSeal(t, k, orgA, from, "x")
		for j, to := range all {
			if _, err := k.Open(orgA, to, sealed); (err == nil) != (i == j) {
				t.Errorf("sealed for %q, opened for %q: %v", from, to, err)
			}
		}
	}
}

func TestSealAndOpen(t *testing.T) {
	k := fixed(t, 2, 1, 2)
	for _, plaintext := range []string{"", "x", "bar", strings.Repeat("long", 1<<18)} {
		sealed := mustSeal(t, k, orgA, foo, plaintext)
		if len(sealed) != len(plaintext)+Overhead {
			t.Errorf("%d bytes sealed are %d, want %d more", len(plaintext), len(sealed), Overhead)
		}
		if len(plaintext) > 2 && bytes.Contains(sealed, []byte(plaintext)) {
			t.Error("the plaintext is in it")
		}
		if got, err := k.Open(orgA, foo, sealed); err != nil || string(got) != plaintext {
			t.Errorf("Open: %d bytes, %v; want %d", len(got), err, len(plaintext))
		}
		if bytes.Equal(sealed, mustSeal(t, k, orgA, foo, plaintext)) {
			t.Error("sealed twice, the same")
		}
	}
	// What an older term sealed opens.
	old := mustSeal(t, fixed(t, 1, 1), orgA, foo, "old")
	if got, err := k.Open(orgA, foo, old); err != nil || string(got) != "old" {
		t.Errorf("of an older term: %q, %v", got, err)
	}
	if n, err := TermOf(old); err != nil || n != 1 {
		t.Errorf("TermOf: %d, %v", n, err)
	}
}

// golden is a value of the golden file.
type golden struct {
	Term                         uint32
	Org                          id.ID
	Kind, Key, Plaintext, Sealed string // Sealed is base64
}

func goldenCases() []golden {
	return []golden{
		{Term: 1, Org: orgA, Kind: "secret", Key: "foo", Plaintext: "bar"},
		{Term: 1, Org: orgB, Kind: "secret", Key: "foo", Plaintext: "bar"},
		{Term: 2, Org: orgA, Kind: "secret", Key: "", Plaintext: ""},
		{Term: 200, Org: orgA, Kind: "other kind", Key: "ключ/🔑", Plaintext: strings.Repeat("long ", 40)},
	}
}

// TestGolden freezes the format: the same keys and nonces give the same bytes for ever, and what was sealed opens.
func TestGolden(t *testing.T) {
	const path = "testdata/golden.json"
	nonce := func(b []byte) {
		for i := range b {
			b[i] = byte(0xa0 + i)
		}
	}
	sealAll := func() (all []golden) {
		for _, g := range goldenCases() {
			k := fixed(t, g.Term, 1, 2, 200)
			k.nonce = nonce
			g.Sealed = base64.StdEncoding.EncodeToString(mustSeal(t, k, g.Org, Belongs{g.Kind, g.Key}, g.Plaintext))
			all = append(all, g)
		}
		return all
	}
	if *update {
		b, err := json.MarshalIndent(sealAll(), "", "  ")
		if err == nil {
			err = os.WriteFile(path, append(b, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want []golden
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	got := sealAll()
	if len(want) != len(got) {
		t.Fatalf("the golden file has %d values, want %d", len(want), len(got))
	}
	for i, g := range want {
		if g != got[i] {
			t.Errorf("value %d: sealed now as %s, was %s", i, got[i].Sealed, g.Sealed)
		}
		sealed, err := base64.StdEncoding.DecodeString(g.Sealed)
		if err != nil {
			t.Fatal(err)
		}
		plaintext, err := fixed(t, 1, 1, 2, 200).Open(g.Org, Belongs{g.Kind, g.Key}, sealed)
		if err != nil || string(plaintext) != g.Plaintext {
			t.Errorf("value %d: %q, %v", i, plaintext, err)
		}
	}
}

func TestDeriveKey(t *testing.T) {
	k := fixed(t, 1, 1)
	a, err := k.DeriveKey("audit")
	if err != nil || len(a) != 32 {
		t.Fatalf("%d bytes, %v", len(a), err)
	}
	if b, _ := k.DeriveKey("other"); bytes.Equal(a, b) {
		t.Error("two labels give one key")
	}
	if b, _ := fixed(t, 7, 1, 7).DeriveKey("audit"); !bytes.Equal(a, b) {
		t.Error("the key is another after a rotation")
	}
	const want = "GKbTlD6WtGgtvMxAlA2FkZl2io6zOaslb72iqdguHs0="
	if got := base64.StdEncoding.EncodeToString(a); got != want {
		t.Errorf("derived %s, was %s", got, want)
	}
}

// TestCacheIsBounded works with more organisations than the cache holds, from several goroutines.
func TestCacheIsBounded(t *testing.T) {
	k := fixed(t, 1, 1)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range maxCached {
				org := id.ID(1 + g*maxCached/2 + i)
				sealed, err := k.Seal(org, foo, []byte("x"))
				if err == nil {
					_, err = k.Open(org, foo, sealed)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if len(k.ready) > maxCached {
		t.Errorf("the keys of %d organisations are kept, at most %d", len(k.ready), maxCached)
	}
}

func FuzzOpen(f *testing.F) {
	k := fixed(f, 2, 1, 2)
	sealed := mustSeal(f, k, orgA, foo, "bar")
	f.Add(sealed)
	f.Add(sealed[:Overhead])
	f.Add([]byte{})
	f.Add([]byte{valueFormat, 0, 0, 0, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		plaintext, err := k.Open(orgA, foo, b)
		if err == nil && !bytes.Equal(b, sealed) && string(plaintext) != "bar" {
			t.Errorf("%x opens as %q", b, plaintext)
		}
	})
}

// FuzzOpenContent reads keyring records; only those made with the key open, so that it tries the parsing behind it too.
func FuzzOpenContent(f *testing.F) {
	root, err := newCipher(make([]byte, keyLen))
	if err != nil {
		f.Fatal(err)
	}
	value, err := sealContent(root, fixed(f, 2, 1, 2).content)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value, []byte(`{"storeId":"x","current":1,"terms":[{"term":1}]}`))
	f.Fuzz(func(t *testing.T, value, plaintext []byte) {
		openContent(root, value)
		nonce := make([]byte, nonceLen)
		made := root.Seal(append([]byte{recordFormat}, nonce...), nonce, plaintext,
			append([]byte{recordFormat}, contentLabel...))
		if c, err := openContent(root, made); err == nil && !c.valid() {
			t.Error("a keyring that is not valid was taken")
		}
		parseSealRecord(plaintext)
	})
}

func BenchmarkOpen(b *testing.B) {
	k := fixed(b, 1, 1)
	sealed := mustSeal(b, k, orgA, foo, strings.Repeat("x", 64))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Open(orgA, foo, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	k := fixed(b, 1, 1)
	value := bytes.Repeat([]byte("x"), 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Seal(orgA, foo, value); err != nil {
			b.Fatal(err)
		}
	}
}
