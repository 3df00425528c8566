// Package jsontext is what encoding/json does too quietly, or too slowly, with texts.
package jsontext

import (
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// Append writes s as JSON. Most texts need no escape, and are copied as they are.
func Append[T string | []byte](b []byte, s T) []byte {
	if !plain(s) {
		q, err := json.Marshal(string(s))
		if err != nil { // a string always encodes
			panic(err)
		}
		b = append(b, q...)
		clear(q) // it may be a value
		return b
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// plain reports whether the text stands in JSON as it is. It looks at eight bytes at a time: an answer of a thousand
// values has some 60,000.
func plain[T string | []byte](s T) bool {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 | uint64(s[i+4])<<32 |
			uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		if w&tops != 0 || below(w)|is(w, '"')|is(w, '\\')|is(w, '<')|is(w, '>')|is(w, '&') != 0 {
			return false
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

const (
	ones = 0x0101_0101_0101_0101
	tops = 0x8080_8080_8080_8080 // the highest bit of each byte
)

// below is not 0 where one of the eight bytes is below a space, and all are ASCII.
func below(w uint64) uint64 { return (w - ones*' ') & tops }

// is is not 0 where one of the eight bytes, which are ASCII, is c.
func is(w uint64, c byte) uint64 { return (w ^ ones*uint64(c) - ones) & tops }

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
