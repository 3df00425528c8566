package paths

import (
	"path"
	"strings"
	"testing"
)

func TestPath(t *testing.T) {
	for name, want := range map[string]string{
		"password": "password", "db/password": "db/password", "a b": "a b", "a.b.c": "a.b.c", ".env": ".env",
		"a/.b": "a/.b", "%": "%25", "a%2Fb": "a%252Fb", "ключ": "%D0%BA%D0%BB%D1%8E%D1%87", "a\nb": "a%0Ab",
		"\xff": "%FF",
		"/":    "%2F", "//": "%2F%2F", "/a": "%2Fa", "a/": "a%2F", "a//": "a/%2F", "a//b": "a/%2Fb",
		"a///b": "a/%2F%2Fb", ".": "%2E", "..": ".%2E", "...": ".%2E%2E", "a/../b": "a/.%2E/b", "a/./b": "a/%2E/b",
		"a..b": "a.%2Eb", " ": "%20", " a": "%20a", "a /b": "a%20/b", "a/ b ": "a/%20b%20",
		"%strongroom/state":             "%25strongroom/state",
		strings.Repeat("a/", 16) + "b":  strings.Repeat("a/", 16) + "b",
		strings.Repeat("a/", 17) + "b":  strings.Repeat("a%2F", 17) + "b",
		"?list=true#x":                  "?list=true#x",
		"+*{}":                          "+*{}",
		strings.Repeat("/", 18) + "end": strings.Repeat("%2F", 18) + "end",
	} {
		got := Path(name)
		if got != want {
			t.Errorf("%q lies at %q, want %q", name, got, want)
		}
		if back, ok := NameAt(got); !ok || back != name {
			t.Errorf("%q is taken for the path of %q (%v)", got, back, ok)
		}
	}
}

func TestNotOurs(t *testing.T) {
	for _, p := range []string{"", Control, Control + "/state", "%", "%4", "%zz", "%2f", "%41", "a%2Fb", "é", "a/",
		"/a", "a//b", "..", "a b ", "%20%"} {
		if name, ok := NameAt(p); ok {
			t.Errorf("%q is taken for the path of %q", p, name)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"a", "../..", "a/../b", "//", "%2F", "é", "\x00", strings.Repeat("/%", 511), " . ",
		"a/./", "%strongroom/state"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" {
			return
		}
		p := Path(s)
		if back, ok := NameAt(p); !ok || back != s {
			t.Fatalf("%q lies at %q, which is the path of %q (%v)", s, p, back, ok)
		}
		if strings.Contains(p, "..") || path.Clean(p) != p || strings.HasPrefix(p, "/") ||
			strings.HasPrefix(p, Control) {
			t.Fatalf("%q lies at %q", s, p)
		}
		for segment := range strings.SplitSeq(p, "/") {
			if segment != strings.TrimSpace(segment) || segment == "" {
				t.Fatalf("%q lies at %q, with the segment %q", s, p, segment)
			}
		}
		if strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q lies at %q, which is not all printable ASCII", s, p)
		}
		// And the other way: what is taken for a path is the path of its name.
		if name, ok := NameAt(s); ok && Path(name) != s {
			t.Fatalf("%q is taken for the path of %q, which lies at %q", s, name, Path(name))
		}
	})
}
