package sink

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"strongroom/internal/audit"
)

// smallDisk is a file that has room for some bytes.
type smallDisk struct {
	file
	room  int
	stuck bool // Truncate fails
}

func (d *smallDisk) Write(b []byte) (int, error) {
	n, err := d.file.Write(b[:min(len(b), d.room)])
	if d.room -= n; err == nil && n < len(b) {
		err = syscall.ENOSPC
	}
	return n, err
}

func (d *smallDisk) Truncate(size int64) error {
	if d.stuck {
		return errors.New("stuck")
	}
	return d.file.Truncate(size)
}

// TestDiskFull: what a full disk took of a line is taken back, and lines go on when there is room again.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	s, err := Open([]string{path}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f := s.files()[0]
	disk := &smallDisk{file: f.f, room: 1000}
	f.f = disk
	want := ""
	send := func() error {
		line := fmt.Sprintf("line after %d bytes\n", len(want))
		took, unsure, err := s.Send([]byte(line), audit.ReserveNone)
		if unsure || (err == nil) != (took == 1) {
			t.Fatalf("%d sinks took a line, unsure %v: %v", took, unsure, err)
		}
		if err == nil {
			want += line
		}
		return err
	}
	for _, stuck := range []bool{false, true} {
		disk.stuck = stuck
		var err error
		for err == nil {
			err = send()
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v", err)
		}
		disk.room = 1000
		if stuck {
			if err := send(); err == nil {
				t.Error("a line was written after a piece of another")
			}
		} else if text, err := os.ReadFile(path); err != nil || string(text) != want {
			t.Errorf("half a line was left: %q, %v", text, err)
		}
		disk.stuck = false
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	disk.room = 1000
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("the file has %q, %v; want %q", text, err, want)
	}
}
