package paths

import (
	"strings"
)

// A secret's name is its path below the organisation's, as it stands wherever that is a path in Vault:
// db/password lies at …/db/password. What Vault would refuse, clean away or list otherwise is percent-encoded
// (RFC 3986, the bytes of UTF-8):
//
//   - the sign % itself;
//   - all but printable ASCII: Vault asks its release's Unicode tables what is printable, and a name must not change
//     its path with those;
//   - a slash that would make an empty segment, and all slashes of a name with more than maxFolders of them;
//   - a space at either end of a segment;
//   - a dot that follows a dot, which Vault takes for a way out, and a segment that is one dot.
//
// Each name has one path and each path at most one name. A path that is not the one of its name is somebody else's, and
// so is all below Control, which no name leads to.

// maxFolders bounds how deep a list has to look.
const maxFolders = 16

// Control is the folder in which what is not a secret is kept.
const Control = "%strongroom"

// Path is the path of a name that is not empty, below the organisation's.
func Path(name string) string {
	var b strings.Builder
	flat := strings.Count(name, "/") > maxFolders
	// slash reports whether a slash at i parts two segments.
	slash := func(i int) bool {
		return name[i] == '/' && !flat && i > 0 && i < len(name)-1 && name[i-1] != '/'
	}
	starts := func(i int) bool { return i == 0 || slash(i-1) }
	ends := func(i int) bool { return i == len(name)-1 || slash(i+1) }
	for i := range len(name) {
		switch c := name[i]; {
		case c == '/' && !slash(i),
			c == ' ' && (starts(i) || ends(i)),
			c == '.' && (i > 0 && name[i-1] == '.' || starts(i) && ends(i)),
			c == '%', c < ' ', c > '~':
			const hex = "0123456789ABCDEF"
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// NameAt is the name whose path it is; ok is false where it is none's.
func NameAt(path string) (name string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			b.WriteByte(path[i])
			continue
		}
		if i+2 >= len(path) {
			return "", false
		}
		high, low := digit(path[i+1]), digit(path[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	name = b.String()
	return name, name != "" && Path(name) == path
}

func digit(c byte) int { return strings.IndexByte("0123456789ABCDEF", c) }
