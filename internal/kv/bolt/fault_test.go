package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt/format"
)

// failing makes the next commits of db end with err: before they are made, or, where committed is set, after.
func failing(db *DB, err error, committed bool, times int) {
	db.update = func(f func(*bbolt.Tx) error) error {
		if times == 0 {
			return db.bolt.Update(f)
		}
		times--
		if !committed {
			return db.bolt.Update(func(tx *bbolt.Tx) error {
				if fErr := f(tx); fErr != nil {
					return fErr
				}
				return err
			})
		}
		if updateErr := db.bolt.Update(f); updateErr != nil {
			return updateErr
		}
		return err
	}
}

func TestFullIsNotAFault(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		db := openNew(t)
		put := func(key string) error {
			_, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(key, []byte("x"))})
			return err
		}
		if err := put("before"); err != nil {
			t.Fatal(err)
		}
		failing(db, &os.PathError{Op: "write", Path: db.path, Err: cause}, false, 2)
		for range 2 {
			if err := put("lost"); !errors.Is(err, kv.ErrFull) {
				t.Errorf("%v: %v, want %v", cause, err, kv.ErrFull)
			}
			if _, err := db.Get(t.Context(), "before"); err != nil {
				t.Errorf("reading after %v: %v", cause, err)
			}
		}
		if _, err := db.Get(t.Context(), "lost"); !errors.Is(err, kv.ErrNotFound) {
			t.Errorf("what was refused is there: %v", err)
		}
		if err := put("after"); err != nil {
			t.Errorf("writing when there is room again: %v", err)
		}
	}
}

func TestFaultBeforeTheCommit(t *testing.T) {
	for _, cause := range []error{syscall.EIO, syscall.EROFS} {
		db := openNew(t)
		failing(db, cause, false, 1)
		_, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("a", nil)})
		if !errors.Is(err, cause) || !errors.Is(err, kv.ErrFault) || errors.Is(err, kv.ErrFull) {
			t.Errorf("a fault of the disk: %v", err)
		}
		if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("a", nil)}); err != nil {
			t.Errorf("nothing was written, and the next transaction is refused: %v", err)
		}
	}
}

// TestFaultAtTheCommit fails the last sync: what the disk holds is unknown, and nothing may be written on top of it.
func TestFaultAtTheCommit(t *testing.T) {
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		db := openNew(t)
		failing(db, cause, true, -1)
		_, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("a", nil)})
		if !errors.Is(err, cause) || !errors.Is(err, kv.ErrFault) || errors.Is(err, kv.ErrFull) {
			t.Errorf("a fault of the disk: %v", err)
		}
		db.update = db.bolt.Update
		if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("b", nil)}); !errors.Is(err, kv.ErrFault) ||
			!strings.Contains(err.Error(), "restarted") {
			t.Errorf("writing after a failed sync: %v", err)
		}
		if _, err := db.List(t.Context(), "", "", 10); err != nil {
			t.Errorf("reading after a failed sync: %v", err)
		}
	}
}

// TestBatchTooFull puts one transaction that does not fit and others that do into one batch.
func TestBatchTooFull(t *testing.T) {
	db, err := Open(filepath.Join(t.TempDir(), "influxd.bolt"), Options{MaxSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ask := func(ops ...kv.Op) *request {
		r := &request{ctx: t.Context(), done: make(chan struct{})}
		for _, op := range ops {
			r.ops = append(r.ops, operation{op.Kind, op.Key, append(make([]byte, format.RevLen), op.Value...)})
		}
		return r
	}
	small, large, other := ask(kv.Put("small", []byte("1"))), ask(kv.Put("large", make([]byte, kv.MaxTxnBytes))),
		ask(kv.Delete("x"))
	db.carryOut([]*request{small, large, other})
	if small.err != nil || other.err != nil {
		t.Errorf("transactions that fit: %v, %v", small.err, other.err)
	}
	if !errors.Is(large.err, kv.ErrFull) || large.rev != 0 {
		t.Errorf("the one that does not: revision %d, %v", large.rev, large.err)
	}
	recs, err := db.List(t.Context(), "", "", 10)
	if err != nil || len(recs) != 1 || recs[0].Key != "small" || recs[0].Rev != small.rev {
		t.Errorf("the file has %v, %v", recs, err)
	}
}

// TestFillAndGoOn fills a file of limited size, and finds that deleting makes room again.
func TestFillAndGoOn(t *testing.T) {
	db, err := Open(filepath.Join(t.TempDir(), "influxd.bolt"), Options{MaxSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	n := 0
	for ; ; n++ {
		_, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(fmt.Sprint(n), make([]byte, 50_000))})
		if errors.Is(err, kv.ErrFull) {
			break
		}
		if err != nil || n > 100 {
			t.Fatalf("after %d records: %v", n, err)
		}
	}
	recs, err := db.List(t.Context(), "", "", 1000)
	if err != nil || len(recs) != n {
		t.Fatalf("%d records of %d, %v", len(recs), n, err)
	}
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Delete("0"), kv.Delete("1"), kv.Delete("2"),
		kv.Delete("3")}); err != nil {
		t.Fatalf("deleting from a full file: %v", err)
	}
	// bbolt frees the pages of a transaction with the next one.
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("room", nil)}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("again", make([]byte, 50_000))}); err != nil {
		t.Errorf("writing when there is room again: %v", err)
	}
}

// TestGoneCallers stops the writer, lets callers queue up and go, and finds that what they asked for is not done.
func TestGoneCallers(t *testing.T) {
	db := openNew(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	db.update = func(f func(*bbolt.Tx) error) error {
		once.Do(func() { close(entered); <-leave })
		return db.bolt.Update(f)
	}
	first := make(chan error)
	go func() {
		_, err := db.Txn(context.Background(), nil, []kv.Op{kv.Put("first", nil)})
		first <- err
	}()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			if _, err := db.Txn(ctx, nil, []kv.Op{kv.Put(fmt.Sprintf("gone-%d", i), nil)}); !errors.Is(err,
				context.Canceled) {
				t.Errorf("a caller whose context has ended got %v", err)
			}
		})
	}
	for len(db.queue) < 10 {
		runtime.Gosched()
	}
	cancel()
	wg.Wait() // they are answered while the writer still stands
	close(leave)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("last", nil)}); err != nil {
		t.Fatal(err)
	}
	recs, err := db.List(t.Context(), "gone", "", 100)
	if err != nil || len(recs) != 0 {
		t.Errorf("%d transactions of callers that had gone were carried out, %v", len(recs), err)
	}
}

// TestFaultHoldsNobody takes the file's pages away from below many who read and write. Each gets an error, and none
// waits for what will never be: bbolt reads the first pages while it holds a lock, and keeps that after a fault.
func TestFaultHoldsNobody(t *testing.T) {
	t.Parallel()
	for range 20 {
		db := openNew(t)
		if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("a", nil)}); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(db.path, 0); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var all sync.WaitGroup
		for n := range 32 {
			all.Go(func() {
				var err error
				if n%8 == 0 {
					_, err = db.Txn(ctx, nil, []kv.Op{kv.Put("b", nil)})
				} else {
					_, err = db.List(ctx, "", "", 10)
				}
				if err == nil || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("without the file's pages: %v", err)
				}
			})
		}
		done := make(chan struct{})
		go func() { all.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatal("some wait for good")
		}
	}
}
