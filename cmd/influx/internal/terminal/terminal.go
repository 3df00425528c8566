// Package terminal asks the person at the keyboard. Its rules, for the whole CLI:
//
//   - Standard output carries data and nothing else. Prompts, warnings and errors go to standard error.
//   - Nothing is asked unless standard input is a terminal; a script gets an error that names the flag to give.
//   - What is secret is read without echo, and twice, and is never printed.
//   - Ctrl-C and SIGTERM end a prompt at once, with the echo restored.
//   - A value that is piped in is read whole, up to a limit.
package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Terminal is standard input with the place prompts go to.
type Terminal struct {
	in  *os.File
	out io.Writer
	buf *bufio.Reader
}

// New reads from in, and prompts on out.
func New(in *os.File, out io.Writer) *Terminal {
	return &Terminal{in: in, out: out, buf: bufio.NewReader(in)}
}

// Interactive is true where there is someone to ask.
func (t *Terminal) Interactive() bool { return term.IsTerminal(int(t.in.Fd())) }

// ErrNotInteractive is the answer to a question nobody is there for.
var ErrNotInteractive = errors.New("standard input is not a terminal")

// Is says whether what is written there is seen on a terminal.
func Is(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Warn prints one line for the person.
func (t *Terminal) Warn(format string, args ...any) {
	_, _ = fmt.Fprintf(t.out, format+"\n", args...)
}

// Line asks until something is entered; an empty line takes the default, where there is one.
func (t *Terminal) Line(ctx context.Context, prompt, byDefault string) (string, error) {
	if !t.Interactive() {
		return "", ErrNotInteractive
	}
	if byDefault != "" {
		prompt += " (" + byDefault + ")"
	}
	for {
		_, _ = fmt.Fprint(t.out, prompt, ": ")
		line, err := await(ctx, t, func() (string, error) { return t.buf.ReadString('\n') })
		if err != nil {
			_, _ = fmt.Fprintln(t.out) // what follows stands on a line of its own
			return "", err
		}
		if line = strings.TrimSpace(line); line != "" {
			return line, nil
		}
		if byDefault != "" {
			return byDefault, nil
		}
	}
}

// Confirm asks a question; anything but yes is no.
func (t *Terminal) Confirm(ctx context.Context, question string) (bool, error) {
	answer, err := t.Line(ctx, question+" [y/N]", "")
	if err != nil {
		return false, err
	}
	return strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes"), nil
}

// Secret asks without echo.
func (t *Terminal) Secret(ctx context.Context, prompt string) (string, error) {
	if !t.Interactive() {
		return "", ErrNotInteractive
	}
	_, _ = fmt.Fprint(t.out, prompt, ": ")
	fd := int(t.in.Fd())
	value, err := await(ctx, t, func() (string, error) {
		b, err := term.ReadPassword(fd)
		return string(b), err
	})
	_, _ = fmt.Fprintln(t.out)
	return value, err
}

// NewSecret asks without echo, twice, until both entries are the same and check has nothing against them.
func (t *Terminal) NewSecret(ctx context.Context, prompt string, check func(string) error) (string, error) {
	for {
		first, err := t.Secret(ctx, prompt)
		if err != nil {
			return "", err
		}
		if err := check(first); err != nil {
			t.Warn("%s", err)
			continue
		}
		second, err := t.Secret(ctx, prompt+" again")
		if err != nil {
			return "", err
		}
		if first == second {
			return first, nil
		}
		t.Warn("the two entries differ; try again")
	}
}

// await runs a read that no context can end. Where the context ends first the read is left behind, which is fine in a
// process that is about to exit, and the terminal gets its echo back.
func await(ctx context.Context, t *Terminal, read func() (string, error)) (string, error) {
	fd := int(t.in.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		if errors.Is(r.err, io.EOF) {
			return "", errors.New("the input ended before an answer")
		}
		return r.text, r.err
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(fd, state))
	}
}

// ReadAll reads what is piped in, whole, up to a number of bytes.
func (t *Terminal) ReadAll(limit int64) ([]byte, error) {
	if t.Interactive() {
		return nil, errors.New("standard input is a terminal; pipe the value in or leave the flag out to be " +
			"asked for it")
	}
	return readAll(t.buf, limit, "standard input")
}

// ReadFile reads a file as ReadAll reads standard input, which the path "-" stands for.
func (t *Terminal) ReadFile(path string, limit int64) ([]byte, error) {
	if path == "-" {
		return t.ReadAll(limit)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return readAll(f, limit, path)
}

func readAll(r io.Reader, limit int64, name string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s holds over %d bytes, which is more than the server takes", name, limit)
	}
	return b, nil
}
