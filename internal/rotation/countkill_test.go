package rotation

import (
	"bufio"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/keyring"
	"strongroom/internal/kv/etcd"
	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/internal/seal"
)

// countedEnv makes the test binary a process that seals without end: etcd's URL, the prefix and the key file.
const countedEnv = "STRONGROOM_TEST_COUNTED"

// countedStep is after how many values such a process looks at its count, and tells how many it will have sealed next.
const countedStep = 4096

// TestCountOverRealKills has processes of several servers over a real etcd seal at the same time, and kills them at any
// moment. What is counted in the end is no less than what was sealed, but for what each may forget, and no more.
func TestCountOverRealKills(t *testing.T) {
	if args := strings.Fields(os.Getenv(countedEnv)); len(args) == 3 {
		sealCounted(t, args[0], args[1], args[2])
	}
	c := etcdtest.Start(t, 1)
	prefix, file := "counted/", filepath.Join(t.TempDir(), "seal.key")
	keys := func() *keyring.Keyring { return countedKeys(t, c.Endpoints()[0], prefix, file) }
	keys()
	var mu sync.Mutex
	var least, most uint64
	for range 3 {
		var group sync.WaitGroup
		for range 3 {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
			child.Env = append(os.Environ(), countedEnv+"="+c.Endpoints()[0]+" "+prefix+" "+file)
			out, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			group.Go(func() {
				var last uint64
				lines := bufio.NewScanner(out)
				for lines.Scan() {
					n, err := strconv.ParseUint(lines.Text(), 10, 64)
					if err != nil {
						continue
					}
					if kept := uint64(2 * saveValues); last < kept && n >= kept {
						time.AfterFunc(rand.N(time.Second), func() { _ = child.Process.Kill() })
					}
					last = n
				}
				_ = child.Wait()
				mu.Lock()
				defer mu.Unlock()
				most += last
				least += last - min(last, saveValues+2*countedStep)
			})
		}
		group.Wait()
	}
	counted := keys().Sealed()
	if counted < least || counted > most || least == 0 {
		t.Errorf("counted are %d, and sealed were at least %d and at most %d", counted, least, most)
	}
	t.Logf("counted %d of %d to %d", counted, least, most)
}

func countedKeys(t *testing.T, url, prefix, file string) *keyring.Keyring {
	t.Helper()
	data, err := etcd.Open(t.Context(), etcd.Config{Endpoints: []string{url}, Prefix: prefix, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	keys, err := keyring.OpenOrInit(t.Context(), data, keyring.Config{Seal: seal.KeyFile(file), Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func sealCounted(t *testing.T, url, prefix, file string) {
	t.Helper()
	s := New(Config{Keyring: countedKeys(t, url, prefix, file), Guard: access.NewGuard(unheard{}),
		Logger: slog.New(slog.DiscardHandler)})
	s.saved = s.Now() // time alone keeps nothing
	for n := countedStep; ; n += countedStep {
		fmt.Println(n)
		sealSome(t, s.Keyring, countedStep)
		s.count(t.Context())
	}
}
