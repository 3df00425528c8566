// Package jsontext is what encoding/json does too quietly, or too slowly, with texts.
package jsontext

import (
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// Append writes s as JSON. Most texts need no escape, and are copied as they are.
func Append(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c >= utf8.RuneSelf {
			q, err := json.Marshal(s)
			if err != nil { // a string always encodes
				panic(err)
			}
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// Check refuses what encoding/json would quietly replace: bytes that are not UTF-8, and halves of surrogate pairs.
func Check(b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("the body is not valid UTF-8")
	}
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		i++ // the escaped character
		if i >= len(b) || b[i] != 'u' {
			continue
		}
		switch u := unit(b, i+1); {
		case isLowHalf(u):
			return errors.New(`half of a surrogate pair: \uDC00 to \uDFFF without what comes before it`)
		case u >= 0xD800 && u <= 0xDBFF:
			if i+6 >= len(b) || b[i+5] != '\\' || b[i+6] != 'u' || !isLowHalf(unit(b, i+7)) {
				return errors.New(`half of a surrogate pair: \uD800 to \uDBFF without what comes after it`)
			}
			i += 10
		default:
			i += 4
		}
	}
	return nil
}

// unit reads the four hexadecimal digits at i, or gives -1.
func unit(b []byte, i int) int64 {
	if i+4 > len(b) {
		return -1
	}
	v, err := strconv.ParseUint(string(b[i:i+4]), 16, 16)
	if err != nil {
		return -1
	}
	return int64(v)
}

// isLowHalf reports whether the unit is the second half of a surrogate pair.
func isLowHalf(u int64) bool { return u >= 0xDC00 && u <= 0xDFFF }
