package exchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"strongroom/internal/errs"
	"strongroom/internal/gather"
	"strongroom/internal/jsontext"
)

// WriteJSON answers with v.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding an answer: %w", err)
	}
	WriteBytes(w, status, b)
	return nil
}

var (
	jsonHeader    = []string{"application/json; charset=utf-8"}
	noStoreHeader = []string{"no-store"}
	nosniffHeader = []string{"nosniff"}
)

// WriteBytes answers with JSON that is written already. A client that has gone is no error of ours. A long answer
// counts for what the request holds as long as it is sent: a client may take its time.
func WriteBytes(w http.ResponseWriter, status int, b []byte) {
	var writes *gather.Writes
	if sw, ok := w.(*statusWriter); ok && len(b) > gatherFrom {
		if sw.share != nil && len(b) > streamBuffer {
			if err := sw.share.More(int64(len(b))); err != nil {
				writeError(w, err)
				return
			}
		}
		writes = gather.Of(sw.of)
	}
	h := w.Header()
	h["Content-Type"] = jsonHeader
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
	h["Cache-Control"] = noStoreHeader
	w.WriteHeader(status)
	writes.Begin()
	_, _ = w.Write(b)
	if writes != nil && len(b) < gatherTo {
		// Or the rest would wait in net/http's buffer, and be a write of its own.
		_ = http.NewResponseController(w).Flush()
	}
	writes.End()
}

// An answer may take more than one write from gatherFrom bytes on. From gatherTo on, net/http writes all behind the
// first 4 KiB at once.
const (
	gatherFrom = 3 << 10
	gatherTo   = 8 << 10
)

// Begin answers 200 with JSON whose length is not known, to be written by the caller.
func Begin(w http.ResponseWriter) {
	h := w.Header()
	h["Content-Type"] = jsonHeader
	h["Cache-Control"] = noStoreHeader
	w.WriteHeader(http.StatusOK)
}

// writeError answers with an error in InfluxDB's form.
func writeError(w http.ResponseWriter, err error) {
	code := errs.CodeOf(err)
	var e *errs.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Seconds()+0.5)))
	}
	w.Header()["X-Platform-Error-Code"] = []string{string(code)}
	// Two strings always encode.
	_ = WriteJSON(w, code.Status(), struct {
		Code    errs.Code `json:"code"`
		Message string    `json:"message"`
	}{code, errs.Message(err)})
}

// AppendString writes s as JSON.
func AppendString[T string | []byte](b []byte, s T) []byte { return jsontext.Append(b, s) }
