package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Value is a secret's value. Every way of printing or encoding one gives "[redacted]"; Bytes alone gives what it is,
// and whoever calls it answers for where the bytes go.
//
// The bytes are behind a function, where package fmt does not follow: of a Value in an unexported field of another type
// it calls no method, and prints what it finds by reflection.
type Value struct{ bytes func() []byte }

// NewValue makes a value of b, which is the value's own from then on.
func NewValue(b []byte) Value { return Value{bytes: func() []byte { return b }} }

// Bytes is the value itself. The caller must not change it.
func (v Value) Bytes() []byte {
	if v.bytes == nil {
		return nil
	}
	return v.bytes()
}

// Len is the value's length in bytes.
func (v Value) Len() int { return len(v.Bytes()) }

// Equal compares two values in a time that depends on their lengths alone.
func (v Value) Equal(o Value) bool { return subtle.ConstantTimeCompare(v.Bytes(), o.Bytes()) == 1 }

// String hides the value.
func (v Value) String() string { return redacted }

// GoString hides the value from %#v.
func (v Value) GoString() string { return redacted }

// Format hides the value from every verb.
func (v Value) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalJSON hides the value.
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText hides the value from encoders that are not JSON's.
func (v Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue hides the value from slog.
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }
