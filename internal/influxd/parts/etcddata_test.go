package parts

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"

	"strongroom/internal/influxd/config"
	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/etcdtest"
)

// TestProbed has etcd not answer a probe at all: it is unavailable, and the words are for people.
func TestProbed(t *testing.T) {
	if err := probed(nil); err != nil {
		t.Error(err)
	}
	if err := probed(kv.ErrDenied); !errors.Is(err, kv.ErrDenied) {
		t.Error(err)
	}
	err := probed(context.DeadlineExceeded)
	if !errors.Is(err, kv.ErrUnavailable) || err.Error() != "etcd does not serve: no answer within 3s" {
		t.Errorf("no answer in time: %v", err)
	}
}

// TestTooManyBackupsOfEtcd has as many readers of backups as there may be, none of which reads: one more is refused, and
// others go on when they have ended.
func TestTooManyBackupsOfEtcd(t *testing.T) {
	c := etcdtest.Start(t, 1)
	args, err := config.ParseArgs([]string{"--store=etcd", "--etcd-endpoints=" + c.Endpoints()[0], "--bolt-path=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(args, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := OpenData(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	if _, err := data.Txn(t.Context(), nil, []kv.Op{kv.Put("a", []byte("1"))}); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	var readers []*io.PipeReader
	for range maxBackups {
		r, w := io.Pipe()
		reading.Go(func() {
			if err := data.Backup(t.Context(), w); err != nil {
				t.Error(err)
			}
			w.Close()
		})
		if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		readers = append(readers, r)
	}
	if err := data.Backup(t.Context(), io.Discard); !errors.Is(err, kv.ErrManyBackups) {
		t.Errorf("one more: %v", err)
	}
	for _, r := range readers {
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Error(err)
		}
	}
	reading.Wait()
	var whole bytes.Buffer
	if err := data.Backup(t.Context(), &whole); err != nil || whole.Len() == 0 {
		t.Errorf("after that: %d bytes, %v", whole.Len(), err)
	}
}
