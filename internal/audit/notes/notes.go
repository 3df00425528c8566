// Package notes keeps entries for the audit log that are made beside the server, by commands that only read what it has
// open: the log is one chain, which the server alone writes. A note is on disk before its act begins; the server takes
// the notes into the log at its next start, or within a minute. They are authenticated with a key of the data, so that
// nobody without it can put something on record.
package notes

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"

	"strongroom/internal/audit"
)

// Label is what the key is derived for.
const Label = "audit-notes"

// maxFile bounds what waits: a command whose note does not go in is refused.
const maxFile = 1 << 20

// Add puts an act on record that is about to begin. The note is on disk when it returns.
func Add(path string, key []byte, e audit.Entry) (err error) {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	f, err := open(path, os.O_CREATE)
	if err != nil {
		return fmt.Errorf("putting the act on record: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > maxFile {
		return fmt.Errorf("putting the act on record: %s is full; start the server, which takes it into the audit log",
			path)
	}
	if _, err := f.Write(append(append([]byte(sign(key, b)+" "), b...), '\n')); err != nil {
		return fmt.Errorf("putting the act on record: %w", err)
	}
	return f.Sync()
}

// Take gives record every note, and removes them when it has taken all. What is not genuine is told in the log, and
// removed with them. A note that was taken and could not be removed comes again: better twice than not at all.
func Take(ctx context.Context, path string, key []byte, to audit.Recorder, log *slog.Logger) (err error) {
	f, err := open(path, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err := io.ReadAll(io.LimitReader(f, 2*maxFile))
	if err != nil || len(b) == 0 {
		return err
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		mac, text, _ := bytes.Cut(s.Bytes(), []byte(" "))
		var e audit.Entry
		if !hmac.Equal(mac, []byte(sign(key, text))) || json.Unmarshal(text, &e) != nil {
			log.Warn("a note for the audit log is not genuine, or was cut off, and is left out", "path", path)
			continue
		}
		if err := to.Record(ctx, e); err != nil {
			return err
		}
	}
	return f.Truncate(0)
}

// Run takes notes as they come, until ctx ends.
func Run(ctx context.Context, path string, key []byte, to audit.Recorder, log *slog.Logger) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := Take(ctx, path, key, to, log); err != nil && ctx.Err() == nil {
			log.Warn("acts of commands could not be taken into the audit log and will be tried again", "path", path,
				"error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// open opens the file for appending, alone until it is closed.
func open(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|flag, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func sign(key, text []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil))
}
