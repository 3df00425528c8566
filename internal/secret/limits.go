package secret

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"

	"strongroom/internal/errs"
)

// Limits bound what a caller may store, in bytes. Zero fields take the defaults.
type Limits struct {
	MaxKey   int // 1 KiB
	MaxValue int // 1 MiB
}

// The default limits.
const (
	DefaultMaxKey   = 1 << 10
	DefaultMaxValue = 1 << 20
)

// Check says why no store may be given the secret; nil where it may.
func (l Limits) Check(key string, v Value) error {
	maxKey, maxValue := cmp.Or(l.MaxKey, DefaultMaxKey), cmp.Or(l.MaxValue, DefaultMaxValue)
	switch {
	case key == "":
		return errs.New(errs.Invalid, "a secret's key must not be empty")
	case len(key) > maxKey:
		return errs.New(errs.RequestTooLarge, "a secret's key is %d bytes long, at most %d are allowed "+
			"(--max-secret-key-size)", len(key), maxKey)
	case !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl):
		return errs.New(errs.Invalid, "the key %q is not valid: a key must be UTF-8 without control characters",
			errs.Clip(key))
	case v.Len() > maxValue+v.form():
		return errs.New(errs.RequestTooLarge, "the value of %q is %d bytes long, at most %d are allowed "+
			"(--max-secret-value-size)", errs.Clip(key), v.Len(), maxValue)
	case v.markedInVain():
		return errs.New(errs.Invalid, "the value of %q begins like an object of the KV v2 API and is none",
			errs.Clip(key))
	case !utf8.Valid(v.Bytes()):
		return errs.New(errs.Invalid, "the value of %q is not valid UTF-8; encode binary values, for example "+
			"with base64", errs.Clip(key))
	}
	return nil
}
