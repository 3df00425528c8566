// Package launch runs a program in the place of the command that starts it: with its terminal, its process group, its
// signals and its exit code.
package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"strongroom/cmd/influx/internal/exit"
)

// The exit codes of a program that cannot be run, which are those of env and of the shells.
const (
	notRun   exit.Code = 126
	notFound exit.Code = 127
)

// Program is what is to be run.
type Program struct {
	path string
	args []string // the name it was called by first
}

// Find looks for the program as a shell does. Its error has the exit code 127 where there is none, and 126
// where it cannot be run.
func Find(args []string) (Program, error) {
	path, err := exec.LookPath(args[0])
	switch {
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		return Program{}, exit.With(notFound, fmt.Errorf("there is no program %q", args[0]))
	case err != nil:
		return Program{}, failed(args[0], err)
	}
	return Program{path, args}, nil
}

func failed(name string, err error) error {
	if errors.Is(err, syscall.E2BIG) {
		err = errors.New("its arguments and variables are too long for the system; give long values as files, " +
			"with --file")
	}
	var inFile *fs.PathError
	var inSearch *exec.Error
	switch {
	case errors.As(err, &inFile):
		err = inFile.Err
	case errors.As(err, &inSearch):
		err = inSearch.Err
	}
	return exit.With(notRun, fmt.Errorf("cannot run %q: %w", name, err))
}

// Replace becomes the program: nothing of this one is left. It returns only where that fails.
func (p Program) Replace(env []string) error {
	return failed(p.args[0], syscall.Exec(p.path, p.args, env))
}

// Running is a program that has been started.
type Running struct {
	cmd  *exec.Cmd
	done chan error
}

// Start starts the program, which shares standard input, output and error, the terminal and the process group. Where
// this process is killed, the system kills the program, too (on Linux).
func (p Program) Start(env []string) (*Running, error) {
	r := &Running{done: make(chan error, 1), cmd: &exec.Cmd{
		Path: p.path, Args: p.args, Env: env, SysProcAttr: diesWithUs(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}}
	started := make(chan error)
	go func() {
		// The system takes the end of the thread that started the program for our end.
		runtime.LockOSThread()
		err := r.cmd.Start()
		started <- err
		if err == nil {
			r.done <- r.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, failed(p.args[0], err)
	}
	return r, nil
}

// Done gives how the program ended, once, for Passed.
func (r *Running) Done() <-chan error { return r.done }

// Signal sends the program a signal. One that has ended is no error.
func (r *Running) Signal(s os.Signal) { _ = r.cmd.Process.Signal(s) }

// Passed is what a command ends with whose program has ended so: nil for 0, or an error with the program's exit code.
// That of a program that a signal ended is 128 and the signal's number, as shells have it.
func Passed(err error) error {
	var ended *exec.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &ended):
		return fmt.Errorf("waiting for the program: %w", err)
	}
	if status, ok := ended.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exit.Passed(128 + int(status.Signal()))
	}
	return exit.Passed(ended.ExitCode())
}

// fromTerminal are the signals that a terminal sends to all of its foreground processes, so that the program has them
// already.
var fromTerminal = []os.Signal{syscall.SIGINT, syscall.SIGQUIT}

var passedOn = []os.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2,
}

// Signals gives the signals that are to be passed on, until stop is called. Those that this process was told to ignore
// stay ignored, and so does the program.
func Signals() (received <-chan os.Signal, stop func()) {
	ch := make(chan os.Signal, 16)
	for _, s := range passedOn {
		if !signal.Ignored(s) {
			signal.Notify(ch, s)
		}
	}
	return ch, func() { signal.Stop(ch) }
}

// Pass passes a signal on that this process was sent.
func (r *Running) Pass(s os.Signal) {
	if slices.Contains(fromTerminal, s) && term.IsTerminal(int(os.Stdin.Fd())) && inForeground() {
		return
	}
	r.Signal(s)
}

// inForeground says whether the terminal's keys send signals to this process.
func inForeground() bool {
	group, err := unix.IoctlGetInt(int(os.Stdin.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// Inherited are the variables that a program has from us: all but the token that its secrets come with.
func Inherited(token string) map[string]string {
	env := map[string]string{}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if name != "INFLUX_TOKEN" || value != token {
			env[name] = value
		}
	}
	return env
}

// List gives variables as the system takes them.
func List(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}
