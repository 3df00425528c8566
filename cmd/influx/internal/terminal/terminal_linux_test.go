package terminal_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"strongroom/cmd/influx/internal/terminal"
)

// screen is a pseudo-terminal: what is typed goes to its keyboard side, and all that shows is kept.
type screen struct {
	tty      *os.File
	keyboard *os.File
	mu       sync.Mutex
	shown    strings.Builder
	prompted chan struct{}
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{tty: tty, keyboard: keyboard, prompted: make(chan struct{}, 16)}
	// Without its keyboard the terminal is at its end, which also ends a read that was left behind. The terminal's own
	// file stays open: that read would otherwise go on with whatever file gets its number next.
	t.Cleanup(func() { _ = keyboard.Close() })
	go func() { _, _ = io.Copy(echo{s}, keyboard) }()
	return s
}

// Write takes prompts, and tells of each.
func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.HasSuffix(string(b), ": ") || string(b) == ": " {
		s.prompted <- struct{}{}
	}
	return s.shown.Write(b)
}

// echo takes what the terminal itself shows of what is typed.
type echo struct{ s *screen }

func (e echo) Write(b []byte) (int, error) {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	return e.s.shown.Write(b)
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

func (s *screen) echoes(t *testing.T) bool {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Error(err)
		return false
	}
	return mode.Lflag&unix.ECHO != 0
}

// typeSecret waits for the prompt and for the echo to be off, as a person would, and types a line.
func (s *screen) typeSecret(t *testing.T, line string) {
	<-s.prompted
	for s.echoes(t) {
		if t.Failed() {
			return
		}
	}
	if _, err := s.keyboard.WriteString(line + "\n"); err != nil {
		t.Error(err)
	}
}

func TestNotInteractive(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = r.Close(), w.Close() }()
	term := terminal.New(r, io.Discard)
	_, lineErr := term.Line(t.Context(), "name", "default")
	_, secretErr := term.Secret(t.Context(), "secret")
	_, newErr := term.NewSecret(t.Context(), "secret", func(string) error { return nil })
	_, confirmErr := term.Confirm(t.Context(), "sure?")
	for name, err := range map[string]error{"Line": lineErr, "Secret": secretErr, "NewSecret": newErr,
		"Confirm": confirmErr} {
		if !errors.Is(err, terminal.ErrNotInteractive) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewSecretShowsNothing(t *testing.T) {
	s := newScreen(t)
	go func() {
		for _, line := range []string{"bad", "first-entry", "other-entry", "final-entry", "final-entry"} {
			s.typeSecret(t, line)
		}
	}()
	got, err := terminal.New(s.tty, s).NewSecret(t.Context(), "Value", func(v string) error {
		if v == "bad" {
			return errors.New("not that one")
		}
		return nil
	})
	if err != nil || got != "final-entry" {
		t.Fatalf("%q, %v", got, err)
	}
	for _, want := range []string{"Value: ", "not that one", "Value again: ", "the two entries differ; try again"} {
		if !strings.Contains(s.text(), want) {
			t.Errorf("%q did not show in %q", want, s.text())
		}
	}
	for _, hidden := range []string{"bad\r", "first-entry", "other-entry", "final-entry"} {
		if strings.Contains(s.text(), hidden) {
			t.Errorf("%q shows in %q", hidden, s.text())
		}
	}
	if !s.echoes(t) {
		t.Error("the echo is still off")
	}
}

func TestInterruptRestoresTheEcho(t *testing.T) {
	s := newScreen(t)
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		<-s.prompted
		for s.echoes(t) && !t.Failed() {
		}
		interrupt()
	}()
	if _, err := terminal.New(s.tty, s).Secret(ctx, "Value"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if !s.echoes(t) {
		t.Error("the echo is still off")
	}
}

func TestLineAndConfirm(t *testing.T) {
	s := newScreen(t)
	go func() { _, _ = s.keyboard.WriteString("\n  admin \n\nYes\nnope\n") }()
	term := terminal.New(s.tty, s)
	if got, err := term.Line(t.Context(), "Name", ""); err != nil || got != "admin" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := term.Line(t.Context(), "Hours", "0"); err != nil || got != "0" {
		t.Errorf("%q, %v", got, err)
	}
	for _, want := range []bool{true, false} {
		if got, err := term.Confirm(t.Context(), "Sure?"); err != nil || got != want {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(path, []byte("line 1\nline 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	term := terminal.New(f, io.Discard)
	if _, err := term.ReadFile(path, 13); err == nil || !strings.Contains(err.Error(), "over 13 bytes") {
		t.Errorf("too long: %v", err)
	}
	if _, err := term.ReadFile(path+"x", 100); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	for _, name := range []string{path, "-"} {
		if got, err := term.ReadFile(name, 14); err != nil || string(got) != "line 1\nline 2\n" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
