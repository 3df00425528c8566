package terminal

import "bytes"

// TrimSingleLine drops the line break at the end of a value that has no other.
func TrimSingleLine(raw []byte) []byte {
	line, found := bytes.CutSuffix(raw, []byte("\n"))
	if !found || bytes.ContainsRune(line, '\n') {
		return raw
	}
	return bytes.TrimSuffix(line, []byte("\r"))
}
