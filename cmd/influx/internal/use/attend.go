package use

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/follow"
	"strongroom/cmd/influx/internal/launch"
	"strongroom/cmd/influx/internal/privatedir"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/usage"
)

// stopTime is how long a program that is to be restarted has to end.
const stopTime = 10 * time.Second

var signals = map[string]os.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1,
	"USR2": syscall.SIGUSR2,
}

func validSignal(name string) error {
	if signals[name] == nil {
		return errors.New("the signal is one of HUP, INT, TERM, USR1 and USR2")
	}
	return nil
}

func watchFlags(cmd *cli.Command, w wanted) error {
	switch {
	case cmd.IsSet("signal") && !cmd.Bool("watch"):
		return usage.WithHint(cmd, "--signal is for --watch")
	case cmd.IsSet("signal") && (len(w.env)+len(w.unnamed)+len(w.prefixes) > 0 || w.all):
		return usage.WithHint(cmd, "--signal is for --file alone: the variables of a program that runs "+
			"cannot be changed")
	}
	return nil
}

// changesOf gives what the program is to have, each time that it changes. What keeps it from knowing is told once.
func changesOf(
	ctx context.Context, s *session.Session, orgID string, w wanted, taken func(string) bool,
	set client.SecretSet, now given,
) <-chan given {
	changes := make(chan given)
	values := &follow.Values{Client: s.Client, OrgID: orgID, Warn: s.Term.Warn, Keys: w.keys}
	values.Take = func(next client.SecretSet) (client.SecretSet, error) {
		got, err := w.names(next.Values, taken)
		if err != nil || got.equal(now) {
			return next, err
		}
		select {
		case changes <- got:
			now = got
		case <-ctx.Done():
		}
		return next, nil
	}
	go values.Follow(ctx, set)
	return changes
}

// attendant runs a program to its end.
type attendant struct {
	program launch.Program
	base    map[string]string
	dir     *privatedir.Dir // nil where there are no files
	signal  os.Signal       // nil: a change restarts the program
	changes <-chan given    // nil where nothing is watched
	warn    func(format string, args ...any)
}

func (a *attendant) start(now given) (*launch.Running, error) {
	path := ""
	if a.dir != nil {
		path = a.dir.Path
		if err := writeAll(a.dir, now.files); err != nil {
			return nil, err
		}
	}
	return a.program.Start(environment(a.base, now.env, path))
}

// attend runs the program, passes signals on, and sees to it that it has what has changed. Where ctx has ended
// before, it is not run.
func (a *attendant) attend(ctx context.Context, now given) error {
	received, stop := launch.Signals()
	defer stop()
	if err := ctx.Err(); err != nil {
		return err
	}
	running, err := a.start(now)
	if err != nil {
		return err
	}
	restarting, asked := false, false // whether we ended the program, and whether somebody asked it to end
	var patience <-chan time.Time
	for {
		select {
		case err := <-running.Done():
			if !restarting || asked {
				return launch.Passed(err)
			}
			restarting, patience = false, nil
			if running, err = a.start(now); err != nil {
				return err
			}
		case sent := <-received:
			// Of Ctrl-C the program may make something else than its end.
			asked = asked || sent == syscall.SIGTERM ||
				restarting && (sent == syscall.SIGINT || sent == syscall.SIGQUIT)
			running.Pass(sent)
		case now = <-a.changes:
			if a.signal != nil {
				if err := writeAll(a.dir, now.files); err != nil {
					a.warn("Warning: the program goes on with what it has: %s", err)
					continue
				}
				running.Signal(a.signal)
			} else if !restarting {
				restarting, patience = true, time.After(stopTime)
				running.Signal(syscall.SIGTERM)
			}
		case <-patience:
			running.Signal(syscall.SIGKILL)
		}
	}
}
