package secrets

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadDotenv(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"":                       {},
		"A=b":                    {"A": "b"},
		"\ufeffA=b\r\nC=d\r\n":   {"A": "b", "C": "d"},
		"  export A = b # c\n#x": {"A": "b"},
		"A=b#c":                  {"A": "b#c"},
		"A=":                     {"A": ""},
		`A='b # "c" $D \n'`:      {"A": `b # "c" $D \n`},
		`A="b\n\"\\\$\x" # c`:    {"A": "b\n\"\\$\\x"},
		"A=\"b\nc\"\nD=e":        {"A": "b\nc", "D": "e"},
	} {
		got, err := readDotenv([]byte(text))
		if err != nil || !cmp.Equal(want, got) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"sesame":              "line 1 is not",
		"A=b\n\nse same=x":    "line 3 is not",
		"=sesame":             "line 1 is not",
		"A='sesame":           "line 1: the quote",
		"A='b' sesame":        "line 1: something follows",
		"A=\"b\nc\" sesame":   "line 2: something follows",
		"A=sesame\nA=sesame2": `line 2: "A" is there twice`,
	} {
		if _, err := readDotenv([]byte(text)); err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "sesame") {
			t.Errorf("%q: %v, want %q and no value", text, err, want)
		}
	}
}

func FuzzReaders(f *testing.F) {
	f.Add([]byte("A=\"b\\n\"\n"))
	f.Add([]byte(`{"a":"b"}`))
	f.Add([]byte("a: b\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, read := range readers {
			_, _ = read(raw) // without a panic
		}
	})
}
