package secret

import (
	"bytes"
	"encoding/json"
)

// documentMark is what a value begins with that is a JSON object, and was given as one. It stands in the value itself,
// so that the two are one to every store, to its history, and to exports. No text that somebody types begins so.
var documentMark = []byte("\x00document\x00")

// NewDocument makes the value of a JSON object, which comes back by Document as it was given. To whoever asks for a
// text (Shown), it is the text of the object.
func NewDocument(object []byte) Value {
	return NewValue(append(bytes.Clone(documentMark), object...))
}

// Document is the JSON object that the value is; ok is false where it is a text.
func (v Value) Document() (object json.RawMessage, ok bool) {
	object, ok = bytes.CutPrefix(v.Bytes(), documentMark)
	if !ok || len(object) == 0 || object[0] != '{' || !json.Valid(object) {
		return nil, false
	}
	return object, true
}

// Shown is the value as a text.
func (v Value) Shown() Value {
	if object, ok := v.Document(); ok {
		return NewValue(object)
	}
	return v
}

// markedInVain reports whether the value has the mark of a document and is none.
func (v Value) markedInVain() bool {
	_, ok := v.Document()
	return !ok && bytes.HasPrefix(v.Bytes(), documentMark)
}

// maxForm is how much longer than a text an object may be, for its form: Strongroom's own entries in
// Vault name who set them.
const maxForm = 4 << 10

// form is by how much the value may pass the limit of values.
func (v Value) form() int {
	if bytes.HasPrefix(v.Bytes(), documentMark) {
		return maxForm
	}
	return 0
}
