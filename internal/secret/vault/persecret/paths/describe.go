package paths

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"strongroom/internal/secret"
)

// What people note of a secret is among its entry's custom metadata, which Vault takes with values of up to 512 bytes
// of printable text: the description stands there in the form of a Go string of ASCII, in several where it is longer.
const (
	descriptionKey = "strongroom_description"
	expiresKey     = "strongroom_expires"
	maxCustomValue = 512
)

// MaxCustom is how many custom metadata Vault takes of an entry.
const MaxCustom = 64

func partKey(n int) string {
	if n == 0 {
		return descriptionKey
	}
	return fmt.Sprintf("%s_%d", descriptionKey, n+1)
}

// Describe gives custom metadata with the description in them, and all others' as they are.
func Describe(custom map[string]string, d secret.Description) map[string]string {
	next := maps.Clone(custom)
	if next == nil {
		next = make(map[string]string)
	}
	maps.DeleteFunc(next, func(k, _ string) bool { return strings.HasPrefix(k, descriptionKey) || k == expiresKey })
	if d.Text != "" {
		text := strconv.QuoteToASCII(d.Text)
		text = text[1 : len(text)-1]
		for n := 0; text != ""; n++ {
			size := min(len(text), maxCustomValue)
			next[partKey(n)], text = text[:size], text[size:]
		}
	}
	if !d.Expires.IsZero() {
		next[expiresKey] = d.Expires.UTC().Format(time.RFC3339)
	}
	return next
}

// Described is the description in custom metadata. What somebody has changed by hand and is not of its
// form is shown as it is.
func Described(custom map[string]string) secret.Description {
	var text strings.Builder
	for n := 0; ; n++ {
		part, ok := custom[partKey(n)]
		if !ok {
			break
		}
		text.WriteString(part)
	}
	d := secret.Description{Text: text.String()}
	if plain, err := strconv.Unquote(`"` + d.Text + `"`); err == nil {
		d.Text = plain
	}
	d.Expires, _ = time.Parse(time.RFC3339, custom[expiresKey])
	return d
}
