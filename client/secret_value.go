package client

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a secret's value. Every way of printing or encoding one gives "[redacted]"; Reveal alone gives what it is,
// and whoever calls it answers for where the text goes. The zero Secret is the empty value.
type Secret struct{ text string }

// NewSecret makes a value of a text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal is the value itself.
func (s Secret) Reveal() string { return s.text }

// String hides the value.
func (s Secret) String() string { return redacted }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return redacted }

// Format hides the value from every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON hides the value.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText hides the value from encoders that are not JSON's.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue hides the value from log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
