package lines

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// signed is a line's sign in these tests: a line that is wanted begins with "+", and names its words.
func signed(line []byte) Sign {
	if !bytes.HasPrefix(line, []byte{'+'}) {
		return 0
	}
	s := Kind
	for w := range bytes.FieldsSeq(line[1:]) {
		s |= Word(w)
	}
	return s
}

// walk goes through the lines before end and gives those that are wanted, but for very long ones: in which pieces those
// are read depends on where the reading began.
func walk(t *testing.T, b *Book, path string, end int64, want Sign) (got []string, visited int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := b.Walk(f, end, want)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for {
		l, err := w.Line()
		if err == io.EOF {
			return got, visited
		}
		if err != nil {
			t.Fatal(err)
		}
		if visited++; signed(l)&want == want && !bytes.HasPrefix(l, []byte("++")) {
			got = append(got, string(l))
		}
	}
}

func TestWalkErrors(t *testing.T) {
	b := NewBook(signed)
	if err := b.Follow(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := b.Walk(f, 0, Kind); err == nil {
		t.Error("a closed file was walked through")
	}
}

// TestWalk compares with reading the whole file, as it grows, is emptied, gets lines without an end and very long ones,
// with room for few marks and for many.
func TestWalk(t *testing.T) {
	for n := range 4 {
		rnd := rand.New(rand.NewPCG(2, uint64(n)))
		path := filepath.Join(t.TempDir(), fmt.Sprint(n))
		b := NewBook(signed)
		b.maxMarks = []int{2, 7, 100, maxMarks}[n%4]
		text := []byte{}
		for step := range 20 {
			switch rnd.IntN(12) {
			case 0:
				text = text[:0]
			case 1:
				text = append(text, strings.Repeat("+", rnd.IntN(3*Block))+"\n"...)
			case 2:
				text = append(text, "+ begun"...)
			case 3:
				text = append(text, '\n')
			}
			for i := range rnd.IntN(30) {
				mark := "-"
				if rnd.IntN(3) == 0 {
					mark = "+"
				}
				text = fmt.Appendf(text, "%s %d %d %s\n", mark, step*100+i, rnd.IntN(4),
					strings.Repeat(".", rnd.IntN(5)*rnd.IntN(5000)))
			}
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if rnd.IntN(3) == 0 {
				if err := b.Follow(path); err != nil {
					t.Fatal(err)
				}
			}
			end := len(text)
			if rnd.IntN(3) == 0 { // where some line begins
				end = bytes.LastIndexByte(text[:rnd.IntN(len(text)+1)], '\n') + 1
			}
			want := Kind
			if rnd.IntN(2) == 0 {
				want |= Word([]byte(fmt.Sprint(rnd.IntN(5))))
			}
			var plain []string
			back, err := NewBackwards(bytes.NewReader(text), int64(end))
			for err == nil {
				var l []byte
				if l, _, err = back.Line(); err == nil && signed(l)&want == want && !bytes.HasPrefix(l, []byte("++")) {
					plain = append(plain, string(l))
				}
			}
			if got, _ := walk(t, b, path, int64(end), want); !slices.Equal(got, plain) {
				t.Fatalf("file %d, step %d, before %d of %d: %d lines, want %d", n, step, end, len(text),
					len(got), len(plain))
			}
		}
	}
}

// TestBounds: a book keeps no more marks and files than it may, and the newest of them.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	b := NewBook(signed)
	b.maxMarks = 10
	for n := range 2 * maxFiles {
		path := filepath.Join(dir, fmt.Sprint(n))
		for size := range 50 {
			if err := os.WriteFile(path, bytes.Repeat([]byte("+ a\n"), size), 0o600); err != nil {
				t.Fatal(err)
			}
			if size%20 == 0 {
				walk(t, b, path, int64(4*size), Kind)
			} else if err := b.Follow(path); err != nil {
				t.Fatal(err)
			}
		}
		k := b.files[0]
		if len(k.marks) < 5 || len(k.marks) > 10 || k.marks[len(k.marks)-1].at != 4*48 {
			t.Errorf("file %d: %d marks: %v", n, len(k.marks), k.marks)
		}
	}
	if len(b.files) != maxFiles {
		t.Errorf("%d files", len(b.files))
	}
}

// TestLearns: what one walk has read, the next does not visit.
func TestLearns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	text := strings.Repeat("-\n", 1000) + "+ a\n" + strings.Repeat("-\n", 1000) + "+ b\n" + strings.Repeat("-\n", 1000)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b := NewBook(signed)
	for try, want := range []int{3002, 2, 2} {
		if got, visited := walk(t, b, path, int64(len(text)), Kind); len(got) != 2 || visited != want {
			t.Errorf("try %d: %d lines, %d visited, want %d", try, len(got), visited, want)
		}
	}
	if got, visited := walk(t, b, path, int64(len(text)), Kind|Word([]byte("a"))); len(got) != 1 || visited != 1 {
		t.Errorf("by a word: %d lines, %d visited", len(got), visited)
	}
}
