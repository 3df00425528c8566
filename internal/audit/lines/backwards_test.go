package lines

import (
	"bytes"
	"io"
	"slices"
	"testing"
)

// FuzzBackwards compares with reading forwards.
func FuzzBackwards(f *testing.F) {
	f.Add([]byte("a\nb\n\nc"))
	f.Add([]byte("\n"))
	f.Add([]byte(""))
	f.Add([]byte("no end"))
	f.Add(append(bytes.Repeat([]byte("0123456\n"), Block/8+1), "y\n"...))
	f.Fuzz(func(t *testing.T, text []byte) {
		var want []string
		for l := range bytes.Lines(text) {
			if l, ok := bytes.CutSuffix(l, []byte{'\n'}); ok && len(l) > 0 && len(l) < Block {
				want = append(want, string(l))
			}
		}
		slices.Reverse(want)
		b, err := NewBackwards(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for {
			l, at, err := b.Line()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(text[at:], l) {
				t.Errorf("%.100q is not at %d", l, at)
			}
			if len(l) > 0 {
				got = append(got, string(l))
			}
		}
		if !slices.Equal(want, got) {
			t.Errorf("%d lines, want %d: %.1000q", len(got), len(want), text)
		}
	})
}
