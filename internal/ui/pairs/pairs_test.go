package pairs

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParseRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"no equals sign":        {"A=1\nhunter2\n", "line 2 has no ="},
		"no name":               {"=hunter2", "line 1 has no name"},
		"twice":                 {"A=1\nB=2\nexport A=hunter2", `line 3: "A" comes a second time`},
		"open quote":            {"A=1\n\nB=\"hunter2\n\n", `line 3: the value of "B" has no closing quote`},
		"text after the quote":  {"A='x' hunter2", `line 1: the value of "A" has more text`},
		"after several lines":   {"A='x\ny'\nB", "line 3 has no ="},
		"broken JSON":           {"{\n\"a\": \"hunter2\",\n]", "JSON is broken near line 3"},
		"unfinished JSON":       {`{"a": "hunter2"`, "JSON is broken"},
		"number":                {`{"a": 7}`, `line 1: the value of "a" must be a string`},
		"nested":                {"{\n\"a\":\n{\"b\": \"hunter2\"}}", `line 3: the value of "a" must be a string`},
		"null":                  {`{"a": null}`, `the value of "a" must be a string`},
		"JSON twice":            {"{\"a\": \"x\",\n\"a\": \"hunter2\"}", `line 2: "a" comes a second time`},
		"text after the object": {`{"a": "x"} hunter2`, "line 1: there is more text"},
		"list":                  {`[{"a": "hunter2"}]`, "a JSON list has no names"},
		"not UTF-8":             {"A=\xff", "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(tt.text))
			if err == nil {
				t.Fatalf("taken as %v", got)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %q, want one with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error holds a value: %q", err)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []Pair
	}{
		"nothing":  {"", nil},
		"comments": {"# a\n\n  # b\n", nil},
		"plain": {"A=1\nexport B = two words # note\r\nC=a=b#c\nD=",
			[]Pair{{"A", []byte("1")}, {"B", []byte("two words")}, {"C", []byte("a=b#c")}, {"D", []byte("")}}},
		"quotes": {"A='it\\n $B' # x\nB=\"a\\n\\\"b\\\" \\$c \\q\"",
			[]Pair{{"A", []byte(`it\n $B`)}, {"B", []byte("a\n\"b\" $c \\q")}}},
		"lines": {"KEY=\"-----BEGIN-----\nabc\n-----END-----\n\"\nB=2",
			[]Pair{{"KEY", []byte("-----BEGIN-----\nabc\n-----END-----\n")}, {"B", []byte("2")}}},
		"JSON": {"\ufeff {\"a/b\": \"x\\ny\", \"c\": \"\"}\n", []Pair{{"a/b", []byte("x\ny")}, {"c", []byte("")}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"A=1\nB='x\ny'\n", `{"a":"b"}`, "export A=\"\\n\" # c", "\xff", "{", "A=\"\\", "A"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		pairs, err := Parse(text)
		if err != nil {
			return
		}
		seen := make(map[string]bool)
		for _, p := range pairs {
			if seen[p.Name] {
				t.Errorf("%q comes twice", p.Name)
			}
			seen[p.Name] = true
			if !utf8.ValidString(p.Name) || !utf8.Valid(p.Value) {
				t.Errorf("%q is not UTF-8", p.Name)
			}
		}
	})
}
