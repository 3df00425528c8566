package auditlog

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/audit/chain"
	"strongroom/internal/audit/verify"
)

// hashPrefix is what stands before a line's hash.
const hashPrefix = `,"hash":"`

// TestVerifyTampered alters a log of 10 lines (1 open, 2 to 9 entries, 10 close) in every way and reads what is found.
func TestVerifyTampered(t *testing.T) {
	path := written(t, 8)
	other := written(t, 8)
	at := func(l []string, n int) *string { return &l[n-1] }
	flip := func(s *string, old, new string) {
		if !strings.Contains(*s, old) {
			t.Fatalf("no %q in %s", old, *s)
		}
		*s = strings.Replace(*s, old, new, 1)
	}
	for _, tt := range []struct {
		name   string
		change func(l []string) []string
		want   []string
	}{
		{"a field", func(l []string) []string {
			flip(at(l, 5), "alice", "mallo")
			return l
		}, []string{"altered 5-5 at 5"}},
		{"an outcome", func(l []string) []string {
			flip(at(l, 5), "allowed", "denied")
			return l
		}, []string{"altered 5-5 at 5"}},
		{"two lines", func(l []string) []string {
			flip(at(l, 5), "alice", "mallo")
			flip(at(l, 6), "alice", "mallo")
			return l
		}, []string{"altered 5-6 at 5"}},
		{"a space", func(l []string) []string {
			flip(at(l, 5), `,"user"`, `, "user"`)
			return l
		}, []string{"altered 5-5 at 5"}},
		{"a hash", func(l []string) []string {
			i := strings.Index(l[4], hashPrefix) + len(hashPrefix)
			c := "0"
			if l[4][i] == '0' {
				c = "1"
			}
			l[4] = l[4][:i] + c + l[4][i+1:]
			return l
		}, []string{"altered 5-5 at 5"}},
		{"a hash in capitals", func(l []string) []string {
			i := strings.Index(l[4], hashPrefix) + len(hashPrefix)
			l[4] = l[4][:i] + strings.ToUpper(l[4][i:i+chain.HashChars]) + l[4][i+chain.HashChars:]
			return l
		}, []string{"foreign 0-0 at 5", "missing 5-5 at 6"}},
		{"a number", func(l []string) []string {
			flip(at(l, 5), `"seq":5`, `"seq":50`)
			return l
		}, []string{"altered 5-5 at 5"}},
		{"a number and a field", func(l []string) []string {
			flip(at(l, 5), `"seq":5`, `"seq":50`)
			flip(at(l, 5), "alice", "mallo")
			return l
		}, []string{"missing 5-49 at 5"}},
		{"the first line", func(l []string) []string {
			flip(at(l, 1), "allowed", "denied")
			return l
		}, []string{"altered 1-1 at 1"}},
		{"the last line", func(l []string) []string {
			flip(at(l, 10), "allowed", "denied")
			return l
		}, []string{"altered 10-10 at 10"}},
		{"a line taken out", func(l []string) []string { return slices.Delete(l, 4, 5) }, []string{"missing 5-5 at 5"}},
		{"lines taken out", func(l []string) []string { return slices.Delete(l, 4, 7) }, []string{"missing 5-7 at 5"}},
		{"the first lines taken out", func(l []string) []string { return l[3:] }, []string{"missing 1-3 at 1"}},
		{"a line taken out and the next renumbered", func(l []string) []string {
			flip(at(l, 6), `"seq":6`, `"seq":5`)
			return slices.Delete(l, 4, 5)
		}, []string{"altered 5-5 at 5"}},
		{"lines swapped", func(l []string) []string {
			l[4], l[5] = l[5], l[4]
			return l
		}, []string{"missing 5-5 at 5", "out of order 5-5 at 6"}},
		{"a line doubled", func(l []string) []string {
			return slices.Insert(l, 5, l[4])
		}, []string{"out of order 5-5 at 6"}},
		{"a line added", func(l []string) []string {
			forged := strings.Replace(l[4], "alice", "mallo", 1)
			return slices.Insert(l, 5, forged)
		}, []string{"out of order 5-5 at 6"}},
		{"text added", func(l []string) []string {
			return slices.Insert(l, 5, "hello\n")
		}, []string{"foreign 0-0 at 6"}},
		{"a line garbled", func(l []string) []string {
			l[4] = l[4][9:]
			return l
		}, []string{"foreign 0-0 at 5", "missing 5-5 at 6"}},
		{"a line too long", func(l []string) []string {
			l[4] = strings.Repeat("x", 9*chain.MaxLine) + l[4]
			return l
		}, []string{"foreign 0-0 at 5", "missing 5-5 at 6"}},
		{"an empty line", func(l []string) []string { return slices.Insert(l, 5, "\n") }, []string{"foreign 0-0 at 6"}},
		{"another log of the same key", func(l []string) []string {
			return append(l, linesOf(t, other)...)
		}, []string{"restarted 1-1 at 11"}},
		{"the last line cut", func(l []string) []string { l[9] = l[9][:40]; return l }, []string{"torn 0-0 at 10"}},
		{"nothing", func(l []string) []string { return l }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := check(t, strings.Join(tt.change(linesOf(t, path)), ""))
			if d := cmp.Diff(tt.want, kinds(r)); d != "" {
				t.Errorf("findings (-want +got):\n%s", d)
			}
			problem := len(tt.want) > 0 && !strings.HasPrefix(tt.want[0], "torn")
			if r.OK() == problem {
				t.Errorf("OK is %t with %q", r.OK(), kinds(r))
			}
		})
	}
}

// TestVerifyEveryByte alters each byte of a log in turn; none may pass.
func TestVerifyEveryByte(t *testing.T) {
	text := []byte(read(t, written(t, 2)))
	for i := range text {
		altered := bytes.Clone(text)
		altered[i] ^= 1
		if r := check(t, string(altered)); r.OK() && i < len(text)-1 {
			t.Fatalf("byte %d altered: nothing found\n%s", i, altered)
		}
	}
}

func TestVerifyWrongKey(t *testing.T) {
	text := read(t, written(t, 3))
	r, err := verify.Sources(t.Context(), bytes.Repeat([]byte{8}, 32), verify.Expect{}, verify.Source{Name: "a", Reader: strings.NewReader(text)})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) != 1 || r.Findings[0].Kind != verify.WrongKey || r.OK() {
		t.Errorf("got %+v", r)
	}
	if _, err := verify.Sources(t.Context(), []byte("short"), verify.Expect{}, verify.Source{Name: "a", Reader: strings.NewReader(text)}); err == nil {
		t.Error("a short key was taken")
	}
}

func TestVerifyCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := verify.Files(ctx, []string{written(t, 1)}, testKey, verify.Expect{}, io.Discard); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

func TestVerifyFiles(t *testing.T) {
	path := written(t, 3)
	dir := t.TempDir()
	altered, empty := filepath.Join(dir, "altered"), filepath.Join(dir, "empty")
	write(t, altered, strings.Replace(read(t, path), "key2", "key3", 1))
	write(t, empty, "")
	for _, tt := range []struct {
		name   string
		paths  []string
		err    string
		output string
	}{
		{"none", nil, "name the files", ""},
		{"no such file", []string{filepath.Join(dir, "none")}, "no such file", ""},
		{"not packed", []string{filepath.Join(dir, "x.gz")}, "unpacking", ""},
		{"empty", []string{empty}, "there is no line", ""},
		{"altered", []string{altered}, "not whole", "PROBLEM: " + altered + ":3: line 3 was altered\n"},
		{"whole", []string{path}, "", "lines 1 to 5, "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "not packed" {
				write(t, tt.paths[0], "plain")
			}
			var out strings.Builder
			err := verify.Files(t.Context(), tt.paths, testKey, verify.Expect{}, &out)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if !strings.HasPrefix(out.String(), tt.output) {
				t.Errorf("output:\n%swant:\n%s", out.String(), tt.output)
			}
		})
	}
}

// FuzzVerify feeds the verifier anything: it must end without a panic, and take nothing that lacks the key.
func FuzzVerify(f *testing.F) {
	text := read(f, written(f, 2))
	f.Add([]byte(text))
	f.Add([]byte(text[:len(text)/2]))
	f.Add([]byte(`{"seq":1,"hash":"`))
	f.Add([]byte("{\"seq\":18446744073709551615,\"action\":\"audit.open\"" + hashPrefix + strings.Repeat("0",
		64) + "\"}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := chain.ParseLine(b); err == nil {
			if got := string(chain.AppendEnd(bytes.Clone(l.Body), &l.Hash)); got != string(b)+"\n" {
				t.Errorf("%q was read as %q", b, got)
			}
		}
		r, err := verify.Sources(t.Context(), bytes.Repeat([]byte{9}, 32), verify.Expect{}, verify.Source{Name: "a", Reader: bytes.NewReader(b)})
		if err != nil || r.Verified > 0 || r.Lines > 0 && r.OK() {
			t.Errorf("%q: %+v, %v", b, r, err)
		}
	})
}
