package system

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/kv"
)

// Data is the engine of the embedded data.
type Data interface {
	// Backup writes a consistent copy of the data, as sealed as they are.
	Backup(ctx context.Context, w io.Writer) error
	// Health says why nothing can be written, if that is so.
	Health() error
}

// backupPatience is how long one write of a backup may wait for its reader. The transfer as a whole takes as long as it
// takes: the server's own limit on answers is for small ones.
const backupPatience = time.Minute

// getBackup streams the copy. A copy that ends early ends the connection, so that its reader does
// not take it for whole.
func (h *handlers) getBackup(w http.ResponseWriter, r *exchange.Request) error {
	act := access.Act{Action: "backup"}
	if err := h.Guard.Allow(r.Context(), r.Caller, act, operator); err != nil {
		return err
	}
	out := &backupWriter{w: w, control: http.NewResponseController(w)}
	err := h.Data.Backup(r.Context(), out)
	if err == nil {
		return nil
	}
	err = h.Guard.Done(r.Context(), r.Caller, act, err)
	if !out.begun {
		return noBackup(err)
	}
	h.Logger.Warn("a backup ended early", "request", r.ID, "error", err)
	panic(http.ErrAbortHandler)
}

// noBackup gives the words for a backup that did not begin.
func noBackup(err error) error {
	switch {
	case errors.Is(err, kv.ErrManyBackups):
		return errs.Wrap(err, errs.Unavailable, "others are reading backups now, as many as there may be at a time; "+
			"try again when one of them has ended")
	case errors.Is(err, kv.ErrUnavailable), errors.Is(err, kv.ErrClosed):
		return kv.Coded(err)
	}
	return errs.Wrap(err, errs.Unavailable, "the data cannot be copied now; the server's log says why")
}

// backupWriter begins the answer with the first bytes, so that an error before them still has a status.
type backupWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func (b *backupWriter) Write(p []byte) (int, error) {
	if !b.begun {
		h := b.w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", `attachment; filename="influxd.bolt"`)
		h.Set("Cache-Control", "no-store")
		b.begun = true
	}
	if err := b.control.SetWriteDeadline(time.Now().Add(backupPatience)); err != nil {
		return 0, err
	}
	return b.w.Write(p)
}
