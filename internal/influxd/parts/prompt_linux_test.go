package parts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newTTY is a pseudo-terminal: what is written to keyboard is typed, and what shows on the terminal is read from it.
func newTTY(t *testing.T) (tty, keyboard *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() }) // the terminal is at its end then, and a read that was left behind ends
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return tty, keyboard
}

func echoes(t *testing.T, tty *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// awaitPrompt reads what shows up to the next prompt, and adds it to shown.
func awaitPrompt(t *testing.T, keyboard *os.File, tty *os.File, shown *strings.Builder) {
	t.Helper()
	b := make([]byte, 1)
	for !strings.HasSuffix(shown.String(), ": ") {
		if _, err := io.ReadFull(keyboard, b); err != nil {
			t.Fatal(err)
		}
		shown.Write(b)
	}
	shown.WriteString("|")
	for echoes(t, tty) { // the prompt shows a moment before the echo is off
		if t.Context().Err() != nil {
			t.Fatal("the echo stays on")
		}
	}
}

func TestAskOn(t *testing.T) {
	for name, tt := range map[string]struct {
		fresh bool
		typed []string
		want  string
		asked string
	}{
		"one that there is": {false, []string{"sesame"}, "sesame", "Passphrase of the data: |"},
		"a new one": {true, []string{"sesame", "sesame"}, "sesame",
			"New passphrase of the data: |\r\nThe same once more: |"},
		"two that differ": {true, []string{"a", "b", "c", "c"}, "c",
			"The two differ; try again\r\nNew passphrase of the data: |"},
		"an empty one is one": {false, []string{""}, "", "Passphrase of the data: |"},
	} {
		t.Run(name, func(t *testing.T) {
			tty, keyboard := newTTY(t)
			type result struct {
				passphrase []byte
				err        error
			}
			done := make(chan result, 1)
			go func() {
				p, err := askOn(t.Context(), tty, tt.fresh)
				done <- result{p, err}
			}()
			var shown strings.Builder
			for _, line := range tt.typed {
				awaitPrompt(t, keyboard, tty, &shown)
				if _, err := io.WriteString(keyboard, line+"\n"); err != nil {
					t.Fatal(err)
				}
			}
			got := <-done
			if got.err != nil || string(got.passphrase) != tt.want || !strings.Contains(shown.String(), tt.asked) {
				t.Errorf("%q, %v; shown %q", got.passphrase, got.err, shown.String())
			}
			if strings.Contains(shown.String(), "sesame") || !echoes(t, tty) {
				t.Errorf("shown %q, and the echo is on again: %v", shown.String(), echoes(t, tty))
			}
		})
	}
}

// TestAskOnInterrupted: Ctrl-C and SIGTERM, which end the context, end the question, and the echo is on again.
func TestAskOnInterrupted(t *testing.T) {
	tty, keyboard := newTTY(t)
	ctx, interrupt := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := askOn(ctx, tty, true)
		done <- err
	}()
	var shown strings.Builder
	awaitPrompt(t, keyboard, tty, &shown)
	interrupt()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if !echoes(t, tty) {
		t.Error("the echo stays off")
	}
}
