// Package sink is where the lines of the audit log go: files, the standard output, syslog.
package sink

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"strongroom/internal/audit"
)

// A sink takes whole lines. After an error, nothing of the line is in it.
type sink interface {
	write(line []byte, r audit.Reserve) error
	close() error
}

// stdoutSink writes to the standard output. A reader that stops reading it holds up what no other sink takes.
type stdoutSink struct{ w io.Writer }

func (s stdoutSink) write(line []byte, _ audit.Reserve) error { _, err := s.w.Write(line); return err }
func (s stdoutSink) close() error                             { return nil }

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
			return nil, fmt.Errorf("the audit sink %q is not a syslog address: use syslog:udp://host:514, "+
				"syslog:tcp://host:514 or syslog:unix:///path", text)
		}
		switch {
		case (u.Scheme == "udp" || u.Scheme == "tcp") && u.Port() != "" && strings.Trim(u.Path, "/") == "":
			return syslogOutput(text, u.Scheme, u.Host)
		case u.Scheme == "unix" && u.Host == "" && u.Path != "":
			return syslogOutput(text, "unixgram", u.Path)
		}
		return nil, fmt.Errorf("the audit sink %q is not a syslog address: use syslog:udp://host:514, "+
			"syslog:tcp://host:514 or syslog:unix:///path", text)
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
	f.of = &output{sink: f, name: "file:" + path}
	return f.of, nil
}

// explain adds what to do about an error where the system's words leave that open.
func explain(err error) error {
	switch {
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w; let the server's user (ID %d) write the file and its folder, or name another file, or "+
			"the sinks stdout or syslog", err, os.Geteuid())
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w; mount it so that it can be written, or name a file elsewhere, or the sinks stdout or "+
			"syslog", err)
	}
	return err
}
