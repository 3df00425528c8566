package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// endTime is how long a program has to end that was asked to.
const endTime = 10 * time.Second

// Task is a program that does one thing for us and ends.
type Task struct {
	Program Program
	Env     []string
	Limit   time.Duration
	In      []byte // for its standard input, which ends behind it
	Err     io.Writer
	// Out is where its standard output goes. Where it is nil, Run returns that, and MaxOut bounds it.
	Out    io.Writer
	MaxOut int
}

// errTooMuch ends a program that writes more than it may.
var errTooMuch = errors.New("it wrote too much")

// Run runs the program to its end. Where ctx or the time ends first, the program and those that it has started are sent
// SIGTERM, and SIGKILL after ten seconds. Its exit code is in the error, for Passed; what it wrote is in none.
func (t Task) Run(ctx context.Context) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, t.Limit)
	defer cancel()
	cmd := exec.CommandContext(limited, t.Program.path, t.Program.args[1:]...)
	cmd.Args[0] = t.Program.args[0]
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = t.Env, bytes.NewReader(t.In), t.Out, t.Err
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = endTime
	kept := &kept{max: t.MaxOut, full: cancel}
	if t.Out == nil {
		cmd.Stdout = kept
	}
	err := cmd.Run()
	if cmd.Process != nil && limited.Err() != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what is left of it
	}
	var missing *exec.Error
	switch {
	case kept.over:
		err = errTooMuch
	case err != nil && ctx.Err() != nil:
		err = ctx.Err()
	case err != nil && limited.Err() != nil:
		err = fmt.Errorf("it has not ended within %s", t.Limit)
	case err != nil && cmd.Process == nil || errors.As(err, &missing):
		err = failed(t.Program.args[0], err)
	}
	return kept.b.Bytes(), err
}

// kept takes what a program writes, up to a number of bytes.
type kept struct {
	b    bytes.Buffer
	max  int
	over bool
	full func()
}

func (k *kept) Write(p []byte) (int, error) {
	if k.b.Len()+len(p) > k.max {
		k.over = true
		k.full()
		return 0, errTooMuch
	}
	return k.b.Write(p)
}
