package bench

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// use is what something took: of the processor, and, at the most, of memory that is the process's own.
type use struct {
	CPU    time.Duration
	Memory float64 // MiB
}

// offlineUse runs a command of influxd that must succeed.
func offlineUse(b *testing.B, args ...string) use {
	b.Helper()
	cmd := exec.Command(influxdPath(b), args...)
	cmd.Env = []string{"HOME=" + b.TempDir()}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	most := watchMemory(cmd.Process.Pid)
	err := cmd.Wait()
	memory := most()
	if err != nil {
		b.Fatalf("influxd %s: %v\n%s", strings.Join(args, " "), err, said.String())
	}
	return use{cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), memory}
}

// during gives what the server uses while something is done with it.
func (s *server) during(b *testing.B, do func()) use {
	b.Helper()
	before, most := s.cpu(b), watchMemory(s.cmd.Process.Pid)
	do()
	return use{s.cpu(b) - before, most()}
}

// watchMemory looks at a process's own memory all the time. What it gives ends that, and tells the most in MiB.
func watchMemory(pid int) (most func() float64) {
	end, done, found := make(chan struct{}), make(chan struct{}), 0.0
	go func() {
		defer close(done)
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			if m, err := memoryOf(pid); err == nil { // it may have ended
				found = max(found, m["RssAnon"])
			}
			select {
			case <-tick.C:
			case <-end:
				tick.Stop()
				return
			}
		}
	}()
	return func() float64 {
		close(end)
		<-done
		return found
	}
}

// rest waits until the server has done what it does after a start, in the background.
func (s *server) rest(b *testing.B) {
	b.Helper()
	s.restFor(b, 0)
}

// restFor waits until the server has rested for so long.
func (s *server) restFor(b *testing.B, atLeast time.Duration) {
	b.Helper()
	const look, busy = 500 * time.Millisecond, 10 * time.Millisecond
	worked := time.Now()
	for end := worked.Add(time.Hour); time.Now().Before(end); {
		before := s.cpu(b)
		time.Sleep(look)
		if s.cpu(b)-before >= busy {
			worked = time.Now()
		} else if time.Since(worked) >= atLeast {
			return
		}
	}
	b.Fatal("the server does not come to rest")
}
