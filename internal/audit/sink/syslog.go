package sink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"strongroom/internal/audit"
)

// syslogTime bounds one write and one connect. log/syslog of the standard library has no such bound: a daemon that
// stops reading would stop the server.
const syslogTime = 2 * time.Second

// priority is authpriv.info: facility 10, severity 6 (RFC 5424, section 6.2.1).
const priority = 10<<3 | 6

// localSockets are where the system's daemon listens, as log/syslog looks for it.
var localSockets = []string{"/dev/log", "/var/run/syslog", "/var/run/log"}

// syslogSink sends lines in the form of RFC 3164, which every daemon takes.
type syslogSink struct {
	network, address string // empty: the local daemon
	host             string
	conn             net.Conn
	buf              []byte
}

func syslogOutput(name, network, address string) (*output, error) {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	s := &syslogSink{network: network, address: address, host: host}
	if err := s.connect(); err != nil {
		return nil, fmt.Errorf("the audit sink %s: no syslog daemon answers there: %w", name, err)
	}
	return &output{sink: s, name: name}, nil
}

func (s *syslogSink) connect() (err error) {
	if s.network != "" {
		s.conn, err = dial(s.network, s.address)
		return err
	}
	for _, path := range localSockets {
		for _, network := range []string{"unixgram", "unix"} {
			if s.conn, err = dial(network, path); err == nil {
				return nil
			}
		}
	}
	return fmt.Errorf("none of %v takes messages; start a syslog daemon or name its address", localSockets)
}

// dial takes syslogTime at most. A line is written for whoever waits for it, and no longer than a sink may take.
func dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), syslogTime)
	defer cancel()
	return new(net.Dialer).DialContext(ctx, network, address)
}

// write sends one message. A connection that the daemon has closed is made anew once.
func (s *syslogSink) write(line []byte, _ audit.Reserve) error {
	s.buf = fmt.Appendf(s.buf[:0], "<%d>%s ", priority, time.Now().Format(time.Stamp))
	if s.network == "udp" || s.network == "tcp" {
		s.buf = fmt.Appendf(s.buf, "%s ", s.host)
	}
	s.buf = fmt.Appendf(s.buf, "influxd[%d]: %s", os.Getpid(), line)
	err := s.send()
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return s.send()
}

func (s *syslogSink) send() error {
	if s.conn == nil {
		if err := s.connect(); err != nil {
			return err
		}
	}
	err := s.conn.SetWriteDeadline(time.Now().Add(syslogTime))
	if err == nil {
		_, err = s.conn.Write(s.buf)
	}
	if err != nil {
		// A stream may hold a part of the message: its rest must not be taken for the next one.
		s.conn.Close()
		s.conn = nil
	}
	return err
}

func (s *syslogSink) close() error {
	if s.conn == nil {
		return nil
	}
	return s.conn.Close()
}
