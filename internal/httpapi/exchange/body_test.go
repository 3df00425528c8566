package exchange

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// escape is one escape sequence of JSON.
var escape = regexp.MustCompile(`\\(?:u([0-9a-fA-F]{4})|.)`)

// FuzzCheckText holds the check against what encoding/json does: it puts U+FFFD where text is broken.
func FuzzCheckText(f *testing.F) {
	for _, s := range []string{`a`, `\ud83d\udd11`, `\ud83d`, `\udd11`, `\ud83d\\udd11`, `\\ud83d`, `\ufffd`, "\ufffd",
		"\xff", `\ud800\ud800\udc00`, `\uD83D\uDD11\n`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		text := append(append([]byte{'"'}, s...), '"')
		err := CheckText(text)
		var decoded string
		if json.Unmarshal(text, &decoded) != nil {
			return
		}
		meant := strings.Count(string(s), "\ufffd")
		for _, m := range escape.FindAllSubmatch(s, -1) {
			if strings.EqualFold(string(m[1]), "fffd") {
				meant++
			}
		}
		broken := !utf8.Valid(s) || strings.Count(decoded, "\ufffd") != meant
		if broken != (err != nil) {
			t.Errorf("%q reads %q: broken is %v, the check says %v", s, decoded, broken, err)
		}
	})
}
