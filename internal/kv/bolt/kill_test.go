package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"strongroom/internal/kv"
)

// The environment of a child process: the file it works on.
const (
	killEnv  = "STRONGROOM_TEST_KILL"
	limitEnv = "STRONGROOM_TEST_LIMIT"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(killEnv) != "":
		writeUntilKilled(os.Getenv(killEnv))
	case os.Getenv(limitEnv) != "":
		if err := writeUnderLimit(os.Getenv(limitEnv)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const killWriters = 4

// keysOf are the keys one transaction of a writer puts, all with the number of the transaction.
func keysOf(writer int) []string {
	var keys []string
	for i := range 5 {
		keys = append(keys, fmt.Sprintf("w%d/%d", writer, i))
	}
	return keys
}

// writeUntilKilled is the child: each writer puts the next number under all of its keys, and then says so.
func writeUntilKilled(path string) {
	db, err := Open(path, Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for w := range killWriters {
		wg.Go(func() {
			n := 0
			if rec, err := db.Get(context.Background(), keysOf(w)[0]); err == nil {
				n, _ = strconv.Atoi(string(rec.Value[:8]))
			}
			for {
				n++
				var ops []kv.Op
				for _, key := range keysOf(w) {
					// Values of differing length move pages about.
					ops = append(ops, kv.Put(key, fmt.Appendf(nil, "%08d%s", n, strings.Repeat("x", n*37%3000))))
				}
				if _, err := db.Txn(context.Background(), nil, ops); err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				fmt.Printf("%d %d\n", w, n) // one write: the line is whole or not there
			}
		})
	}
	wg.Wait()
}

// TestKill kills a writing process at random moments. What it had acknowledged is there, and every transaction is
// whole.
func TestKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "influxd.bolt")
	var acked [killWriters]int
	for round := range 20 {
		killAfter(t, path, 1+rand.IntN(120), &acked)
		db := openAt(t, path) // at once: the lock is gone with the process
		for w := range killWriters {
			var stored []string
			for _, key := range keysOf(w) {
				rec, err := db.Get(t.Context(), key)
				if err != nil {
					if acked[w] == 0 {
						continue
					}
					t.Fatalf("round %d, writer %d: transaction %d was acknowledged, and %q is gone: %v", round, w,
						acked[w], key, err)
				}
				stored = append(stored, string(rec.Value))
			}
			if len(stored) == 0 {
				continue
			}
			for _, v := range stored {
				if v != stored[0] || len(stored) != len(keysOf(w)) {
					t.Fatalf("round %d, writer %d: a transaction is there in part: %.8q and %.8q", round, w,
						v, stored[0])
				}
			}
			n, err := strconv.Atoi(stored[0][:8])
			if err != nil || n < acked[w] || n > acked[w]+1 {
				t.Fatalf("round %d, writer %d: %d was acknowledged last, and %d is there (%v)", round, w,
					acked[w], n, err)
			}
			acked[w] = n
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter starts the child, kills it after the number of acknowledgements, and notes those it had still made.
func killAfter(t *testing.T, path string, lines int, acked *[killWriters]int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), killEnv+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	scanner := bufio.NewScanner(out)
	for i := 0; scanner.Scan(); i++ {
		var w, n int
		if _, err := fmt.Sscanf(scanner.Text(), "%d %d", &w, &n); err != nil {
			child.Process.Kill()
			t.Fatalf("the child: %s", scanner.Text())
		}
		acked[w] = n
		if i == lines {
			child.Process.Kill() // SIGKILL
		}
	}
}

// TestFileSizeLimit runs a child whose files may not grow beyond a limit, which is what a full
// disk looks like to bbolt.
func TestFileSizeLimit(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), limitEnv+"="+filepath.Join(t.TempDir(), "influxd.bolt"))
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func writeUnderLimit(path string) error {
	db, err := Open(path, Options{})
	if err != nil {
		return err
	}
	var before, now syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	now = before
	now.Cur = 1 << 20
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &now); err != nil {
		return err
	}
	ctx := context.Background()
	for n := 0; ; n++ {
		if _, err = db.Txn(ctx, nil, []kv.Op{kv.Put(fmt.Sprint(n), make([]byte, 50_000))}); err != nil || n > 1000 {
			break
		}
	}
	if !errors.Is(err, kv.ErrFull) {
		return fmt.Errorf("beyond the limit: %w", err)
	}
	if _, err := db.Get(ctx, "0"); err != nil {
		return fmt.Errorf("reading from a full file: %w", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	if _, err := db.Txn(ctx, nil, []kv.Op{kv.Put("room", make([]byte, 1_000_000))}); err != nil {
		return fmt.Errorf("when there is room again: %w", err)
	}
	return db.Close()
}
