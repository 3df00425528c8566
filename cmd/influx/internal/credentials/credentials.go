// Package credentials has the command that gives systemd the credentials of its units (LoadCredential=,
// systemd.exec(5)). systemd connects to a Unix socket for each of them. Its own address, in the abstract namespace,
// says which one it asks for: \0<random>/unit/<unit>/<credential>. The answer is the value and the end of the
// connection.
package credentials

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/usage"
)

const (
	// maxOpen is how many are answered at a time; who comes then waits.
	maxOpen = 64
	// patience is how long somebody waits for a value that cannot be had. An empty credential, which is what systemd
	// would make of an answer without one, may be taken for a password.
	patience = 5 * time.Minute
	// writeTime bounds the answer.
	writeTime = 30 * time.Second
	// firstSocket is the first of the sockets that systemd hands over (sd_listen_fds(3)).
	firstSocket = 3
)

// Command is the command influx secret credentials.
func Command(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "credentials",
		Usage: "Give systemd the credentials of its units, over a socket",
		Description: `   influx secret credentials --socket /run/influx-credentials.sock \
      --credential telegraf.service/db=telegraf/db
   influx secret credentials --prefix units/

and in the unit telegraf.service:

   LoadCredential=db:/run/influx-credentials.sock

Goes on until it is ended by SIGTERM or Ctrl-C, and then ends with 0. Where systemd starts it by a
socket unit, it takes that socket; else it makes the one of --socket, which its own user alone may
connect to. Only root and its own user are answered.

--credential UNIT/NAME=KEY says which secret a credential is. --prefix P gives every unit those of
its own: the credential NAME of telegraf.service is the secret P + telegraf/NAME. What neither
names is refused. A value is asked for each time, so that a restarted unit has the present one.
While the server is away or a secret is not there, the unit waits, for five minutes at the
longest. With --json each answer is told of as a line, without the value.`,
		Flags: session.CommonFlags(session.OrgFlags(
			&cli.StringFlag{Name: "socket", TakesFile: true, Usage: "The `path` of the socket to make",
				DefaultText: "the one that systemd hands over"},
			&cli.StringSliceFlag{Name: "credential", Usage: "`UNIT/NAME=KEY`: the secret of a unit's credential"},
			&cli.StringFlag{Name: "prefix", Usage: "Each unit's secrets are below this and the unit's name"},
		)...),
		ArgValidator: usage.NoArgs,
		Action: p.Connected(session.Authenticated, func(ctx context.Context, cmd *cli.Command,
			s *session.Session) error {
			return run(ctx, cmd, s)
		}),
	}
}

// asked is what a unit asks for.
type asked struct{ unit, name string }

// What systemd takes for the names of units and credentials.
var (
	unitForm = regexp.MustCompile(`^[a-zA-Z0-9:_.\\@-]{1,255}$`)
	nameForm = regexp.MustCompile(`^[^/:\x00-\x1f\x7f]{1,255}$`)
)

// parse reads the address of who asks.
func parse(address string) (asked, error) {
	parts := strings.Split(strings.TrimPrefix(address, "@"), "/")
	if len(parts) != 4 || parts[1] != "unit" || !unitForm.MatchString(parts[2]) || !nameForm.MatchString(parts[3]) {
		return asked{}, errors.New("its address is not that of systemd asking for a credential")
	}
	return asked{parts[2], parts[3]}, nil
}

// book says which secret a credential is.
type book struct {
	named  map[asked]string
	prefix string
}

func bookOf(cmd *cli.Command) (book, error) {
	b := book{named: map[asked]string{}, prefix: cmd.String("prefix")}
	for _, text := range cmd.StringSlice("credential") {
		of, key, ok := strings.Cut(text, "=")
		unit, name, both := strings.Cut(of, "/")
		a := asked{unit, name}
		switch {
		case !ok || !both || key == "":
			return b, usage.WithHint(cmd, fmt.Sprintf("flag --credential: write UNIT/NAME=KEY, as in "+
				"telegraf.service/db=telegraf/db; %q is not that", of))
		case !unitForm.MatchString(unit) || !strings.Contains(unit, "."):
			return b, usage.WithHint(cmd, fmt.Sprintf("flag --credential: %q is no unit such as telegraf.service",
				unit))
		case !nameForm.MatchString(name):
			return b, usage.WithHint(cmd, fmt.Sprintf("flag --credential: %q cannot be the name of a credential", name))
		case b.named[a] != "":
			return b, usage.WithHint(cmd, fmt.Sprintf("flag --credential: %s is named twice", of))
		}
		b.named[a] = key
	}
	if len(b.named) == 0 && b.prefix == "" {
		return b, usage.WithHint(cmd, "which secrets? give --credential or --prefix")
	}
	return b, nil
}

func (b book) key(a asked) (string, bool) {
	if key, ok := b.named[a]; ok {
		return key, true
	}
	unit, isService := strings.CutSuffix(a.unit, ".service")
	if b.prefix == "" || !isService || unit == "" || a.name == "." || a.name == ".." {
		return "", false
	}
	return b.prefix + unit + "/" + a.name, true
}

// server answers those who connect.
type server struct {
	*session.Session
	orgID string
	book  book
	mu    sync.Mutex // of what is printed
}

func run(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	b, err := bookOf(cmd)
	if err != nil {
		return err
	}
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	l, err := listen(ctx, cmd)
	if err != nil {
		return err
	}
	srv := &server{Session: s, orgID: orgID, book: b}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	var open sync.WaitGroup
	defer open.Wait()
	room := make(chan struct{}, maxOpen)
	for {
		room <- struct{}{}
		conn, err := l.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			if conn != nil {
				_ = conn.Close()
			}
			return nil // we were told to end
		case err != nil:
			return fmt.Errorf("the socket takes nobody any more: %w", err)
		}
		open.Go(func() {
			defer func() { <-room }()
			defer func() { _ = conn.Close() }()
			srv.answer(ctx, conn)
		})
	}
}

// listen takes the socket that systemd hands over, or makes one.
func listen(ctx context.Context, cmd *cli.Command) (*net.UnixListener, error) {
	path := cmd.String("socket")
	handed := os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid())
	switch {
	case handed && path != "":
		return nil, usage.WithHint(cmd, "systemd hands a socket over; leave --socket out")
	case handed:
		if os.Getenv("LISTEN_FDS") != "1" {
			return nil, usage.Mistake("systemd hands over %s sockets; this takes one", os.Getenv("LISTEN_FDS"))
		}
		f := os.NewFile(firstSocket, "socket")
		l, err := net.FileListener(f)
		_ = f.Close()
		if err != nil {
			return nil, usage.Mistake("what systemd hands over is no socket that listens: %w", err)
		}
		unix, ok := l.(*net.UnixListener)
		if !ok {
			return nil, usage.Mistake("the socket that systemd hands over is no Unix socket")
		}
		return unix, nil
	case path == "":
		return nil, usage.WithHint(cmd, "no socket: give --socket, or let systemd hand one over")
	}
	// One that is left of a process that was killed answers nobody.
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, usage.Mistake("%s is there already, and is no socket", path)
		}
		if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path); err == nil {
			_ = conn.Close()
			return nil, exit.With(exit.Conflict, fmt.Errorf("somebody is listening on %s already", path))
		}
		if err := os.Remove(path); err != nil {
			return nil, usage.Mistake("cannot make the socket: %w", err)
		}
	}
	return listenPrivate(path)
}

// answer answers one connection. What is wrong is told of on standard error, and to who asks by silence.
func (s *server) answer(ctx context.Context, conn *net.UnixConn) {
	if err := mayAsk(conn); err != nil {
		s.Term.Warn("Warning: somebody was refused: %s", err)
		return
	}
	a, err := parse(conn.RemoteAddr().String())
	if err != nil {
		s.Term.Warn("Warning: somebody was refused: %s", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	value, key, err := s.value(ctx, a)
	if err != nil {
		s.Term.Warn("Warning: the unit %s was not given its credential %q: %s", a.unit, a.name, err)
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := conn.Write([]byte(value.Reveal())); err != nil {
		s.Term.Warn("Warning: the unit %s did not take its credential %q: %s", a.unit, a.name, err)
		return
	}
	if s.Print.AsJSON {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = s.Print.JSON(map[string]string{"unit": a.unit, "credential": a.name, "key": key})
	}
}

// value asks for the value until it can be had, or the time is over. Of what does not pass by itself it is told at
// once.
func (s *server) value(ctx context.Context, a asked) (client.Secret, string, error) {
	key, known := s.book.key(a)
	told := false
	for pause := time.Second; ; pause = min(2*pause, 15*time.Second) {
		err := errors.New("neither --credential nor --prefix names it")
		if known {
			var value client.Secret
			if value, err = s.Client.SecretValue(ctx, s.orgID, key); err == nil {
				return value, key, nil
			}
			err = session.WhoMayUse(err)
		}
		if !told && ctx.Err() == nil {
			told = true
			s.Term.Warn("Warning: the unit %s waits for its credential %q: %s", a.unit, a.name, err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return client.Secret{}, key, err
		}
	}
}
