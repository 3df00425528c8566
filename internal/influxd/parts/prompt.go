package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"
)

// errNoTerminal is what to do where nobody can be asked for the passphrase.
var errNoTerminal = errors.New("the data are sealed by a passphrase, and there is no terminal to ask for it: " +
	"name a file with --seal-passphrase-file, or give systemd's credential " + credential)

// askTerminal asks whoever sits there, without echo; for a new passphrase twice, until both entries are the same. The
// end of ctx ends it, and the terminal has its echo back.
func askTerminal(ctx context.Context, fresh bool) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errNoTerminal
	}
	passphrase, err := askOn(ctx, tty, fresh)
	if ctx.Err() == nil { // or else a read is left behind that must not go on with another file of the same number
		err = errors.Join(err, tty.Close())
	}
	return passphrase, err
}

func askOn(ctx context.Context, tty *os.File, fresh bool) ([]byte, error) {
	if !fresh {
		return readSecret(ctx, tty, "Passphrase of the data: ")
	}
	return askTwice(ctx, tty, "New passphrase of the data: ")
}

// AskPassword asks whoever sits there for a user's new password, as a new passphrase is asked for.
func AskPassword(ctx context.Context, user string) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errors.New("there is no terminal to ask for the password: name a file with --password-file")
	}
	password, err := askTwice(ctx, tty, fmt.Sprintf("New password of %q: ", user))
	if ctx.Err() == nil { // as in askTerminal
		err = errors.Join(err, tty.Close())
	}
	return password, err
}

func askTwice(ctx context.Context, tty *os.File, prompt string) ([]byte, error) {
	for {
		first, err := readSecret(ctx, tty, prompt)
		if err != nil {
			return nil, err
		}
		again, err := readSecret(ctx, tty, "The same once more: ")
		same := bytes.Equal(first, again)
		clear(again)
		if err == nil && same {
			return first, nil
		}
		clear(first)
		if err != nil {
			return nil, err
		}
		fmt.Fprintln(tty, "The two differ; try again")
	}
}

// readSecret reads a line without echo. No context ends such a read: where ctx ends first, the read is left behind,
// which is fine in a process that is about to exit.
func readSecret(ctx context.Context, tty *os.File, prompt string) ([]byte, error) {
	fd := int(tty.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	fmt.Fprint(tty, prompt)
	defer fmt.Fprintln(tty)
	type result struct {
		line []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		return r.line, r.err
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(fd, state))
	}
}
