package audit

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// A sink takes whole lines. After an error, nothing of the line is in it.
type sink interface {
	write(line []byte) error
	close() error
}

// repeatAfter is how often the log mentions a sink that keeps failing.
const repeatAfter = time.Minute

// output is a sink with its name and its health.
type output struct {
	sink
	name     string
	failures atomic.Uint64
	failing  atomic.Bool

	// Below: guarded by the log's lock.
	lost   uint64 // lines since it began to fail
	warned time.Time
}

// put writes the line and keeps account. The first failure is logged, then one a minute, then the recovery.
func (o *output) put(line []byte, logger *slog.Logger) error {
	err := o.write(line)
	if err == nil {
		if o.failing.Load() {
			o.failing.Store(false)
			logger.Info("an audit sink works again; it lacks the lines in between", "sink", o.name, "lines", o.lost)
			o.lost, o.warned = 0, time.Time{}
		}
		return nil
	}
	o.failures.Add(1)
	o.failing.Store(true)
	o.lost++
	if now := time.Now(); now.Sub(o.warned) >= repeatAfter {
		o.warned = now
		logger.Error("an audit sink fails", "sink", o.name, "lines", o.lost, "error", err)
	}
	return err
}

// stdoutSink writes to the standard output. A reader that stops reading holds up the server, as it must: what is not on
// record does not happen.
type stdoutSink struct{ w io.Writer }

func (s stdoutSink) write(line []byte) error { _, err := s.w.Write(line); return err }
func (s stdoutSink) close() error            { return nil }

// newOutput makes the sink that the text names.
func newOutput(text string, stdout io.Writer) (*output, error) {
	kind, rest, _ := strings.Cut(text, ":")
	switch {
	case text == "stdout":
		if stdout == nil {
			stdout = os.Stdout
		}
		return &output{sink: stdoutSink{stdout}, name: text}, nil
	case text == "syslog":
		return syslogOutput(text, "", "")
	case kind == "syslog":
		u, err := url.Parse(rest)
		if err != nil {
			return nil, fmt.Errorf("the audit sink %q is not a syslog address: use syslog:udp://host:514, syslog:tcp://host:514 or syslog:unix:///path", text)
		}
		switch {
		case (u.Scheme == "udp" || u.Scheme == "tcp") && u.Port() != "" && strings.Trim(u.Path, "/") == "":
			return syslogOutput(text, u.Scheme, u.Host)
		case u.Scheme == "unix" && u.Host == "" && u.Path != "":
			return syslogOutput(text, "unixgram", u.Path)
		}
		return nil, fmt.Errorf("the audit sink %q is not a syslog address: use syslog:udp://host:514, syslog:tcp://host:514 or syslog:unix:///path", text)
	case kind == "file" && rest != "":
		return fileOutput(rest)
	case strings.Contains(kind, "/"):
		return fileOutput(text)
	}
	return nil, fmt.Errorf("%q is not an audit sink: use file:/path, stdout, syslog or syslog:udp://host:514", text)
}

func fileOutput(path string) (*output, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("opening the audit log %s: %w", path, explain(err))
	}
	return &output{sink: f, name: "file:" + path}, nil
}

// explain adds what to do about an error where the system's words leave that open.
func explain(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w; let the server's user write there, or name another file", err)
	}
	return err
}
