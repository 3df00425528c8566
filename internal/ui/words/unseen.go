package words

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// blank are characters that show nothing, though Unicode counts them as letters, marks or symbols.
const blank = "\u034f\u115f\u1160\u2800\u3164\uffa0"

// Unseen names the characters of a text that nobody sees, or that turn what is beside them, by their code points:
// "U+200B, U+202E". It is "" where there are none. names.js does the same.
func Unseen(s string) string {
	var found []string
	for _, r := range s {
		odd := unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r != ' ' && unicode.Is(unicode.Zs, r) ||
			strings.ContainsRune(blank, r)
		if !odd {
			continue
		}
		if name := fmt.Sprintf("%U", r); !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return strings.Join(found, ", ")
}
