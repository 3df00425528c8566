package jsontext

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestAppend compares what is copied as it is with what encoding/json makes of it, for each byte at each place.
func TestAppend(t *testing.T) {
	t.Parallel()
	for long := range 20 {
		for at := range long {
			for c := range 256 {
				text := bytes.Repeat([]byte{'x'}, long)
				text[at] = byte(c)
				want, err := json.Marshal(string(text))
				if err != nil {
					t.Fatal(err)
				}
				for _, got := range [][]byte{Append([]byte("["), text), Append([]byte("["), string(text))} {
					if string(got) != "["+string(want) {
						t.Fatalf("of %q became %s, want [%s", text, got, want)
					}
				}
			}
		}
	}
	for _, text := range []string{"", "\x00\x00\x00\x00\x00\x00\x00\x00", "!!!!!!!!", "~~~~~~~~", "éé\u2028 <&>\"\\"} {
		want, _ := json.Marshal(text)
		if got := Append(nil, text); string(got) != string(want) {
			t.Errorf("of %q became %s, want %s", text, got, want)
		}
	}
}
