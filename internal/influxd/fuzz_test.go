package influxd

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/fnv"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/barrier"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxdb"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/service"
	"strongroom/internal/transfer"
	"strongroom/internal/transfer/report"
)

// edited is a file with changes: each is a place (3 bytes), a length (1 byte) and what is written there. The checksums
// of bbolt's two meta pages are made right again, since a fuzzer would never find them.
func edited(whole, edits []byte, cut uint16) []byte {
	b := bytes.Clone(whole)
	for len(edits) >= 4 {
		at, n := (int(edits[0])<<16|int(edits[1])<<8|int(edits[2]))%len(b), int(edits[3])
		edits = edits[4:]
		n = min(n, len(edits))
		copy(b[at:], edits[:n])
		edits = edits[n:]
	}
	const header, meta = 16, 64
	for _, page := range []int{0, 4096} {
		if len(b) < page+header+meta {
			continue
		}
		m := b[page+header:]
		sum := fnv.New64a()
		sum.Write(m[:meta-8])
		binary.LittleEndian.PutUint64(m[meta-8:], sum.Sum64())
	}
	return b[:len(b)-int(cut)%len(b)]
}

// edit makes an edit for a seed.
func edit(at int, to ...byte) []byte {
	return append([]byte{byte(at >> 16), byte(at >> 8), byte(at), byte(len(to))}, to...)
}

// seeds gives a fuzzer what is worth knowing of a file: its parts, and the texts in it.
func seeds(f *testing.F, whole []byte, pages int, texts ...string) {
	f.Add([]byte{}, uint16(0))
	f.Add([]byte{}, uint16(1))
	f.Add([]byte{}, uint16(len(whole)/2))
	for page := 0; page < len(whole) && page < pages*4096; page += 4096 {
		f.Add(edit(page, 0xff), uint16(0))                   // its number
		f.Add(edit(page+8, 0x10), uint16(0))                 // its kind
		f.Add(edit(page+10, 0xff, 0xff), uint16(0))          // how many elements
		f.Add(edit(page+12, 0xff, 0xff, 0xff), uint16(0))    // how many pages more
		f.Add(edit(page+16, 0xff, 0xff, 0xff), uint16(0))    // the first element
		f.Add(edit(page+32, 3, 0, 0, 0, 0, 0, 0), uint16(0)) // or, of a meta page, the root
		f.Add(edit(page+4000, []byte(`{"id":"0000000000000001"}`)...), uint16(0))
	}
	for _, text := range texts {
		if i := bytes.Index(whole, []byte(text)); i >= 0 {
			f.Add(edit(i, []byte("x")...), uint16(0))
		}
	}
}

// inTime ends the test where f hangs: a context does not end what loops.
func inTime(t *testing.T, what string, f func(ctx context.Context)) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	hang := time.AfterFunc(25*time.Second, func() {
		debug.SetTraceback("all")
		panic(what + " hangs")
	})
	defer hang.Stop()
	f(ctx)
}

// FuzzRestore restores a damaged backup over data: it is refused, and nothing changes, or it is taken as it is, and
// then a server can open it. What was there before is lost in no case.
func FuzzRestore(f *testing.F) {
	dir := f.TempDir()
	s := start(f, dir)
	token, secrets := s.onboard(f)
	s.call(f, "PATCH", secrets, token, `{"a":"sesame","b":"`+strings.Repeat("long", 2000)+`"}`, 204, nil)
	s.call(f, "PATCH", secrets, token, `{"a":"sesame again"}`, 204, nil)
	s.call(f, "DELETE", secrets+"/b", token, "", 204, nil)
	whole := readFile(f, backupOf(f, s, token))
	s.call(f, "PATCH", secrets, token, `{"later":"sesame"}`, 204, nil)
	s.end(f)
	seeds(f, whole, 5, "user/", "org/", "auth/", "secrets/", "core/", "member/", "active", `"read"`, "strongroom")
	data, backup := filepath.Join(dir, "influxd.bolt"), filepath.Join(f.TempDir(), "backup")
	before := readFile(f, data)

	f.Fuzz(func(t *testing.T, edits []byte, cut uint16) {
		b := edited(whole, edits, cut)
		must(t, os.WriteFile(backup, b, 0o600))
		t.Cleanup(func() {
			if t.Failed() { // for the next one
				left, _ := filepath.Glob(data + ".*")
				for _, name := range left {
					os.Remove(name)
				}
				os.WriteFile(data, before, 0o600)
			}
		})
		inTime(t, "restoring", func(ctx context.Context) {
			var out output
			err := Run(ctx, command.Process{Args: []string{"restore", "--from", backup, "--bolt-path", data},
				Env: []string{"HOME=/nowhere"}, Stdout: &out, Stderr: &out})
			if strings.Contains(out.String(), "sesame") || err != nil && strings.Contains(err.Error(), "sesame") {
				t.Errorf("it tells a value: %s %v", out.String(), err)
			}
			aside, globErr := filepath.Glob(data + ".*")
			must(t, globErr)
			if err != nil {
				if len(aside) != 0 || !bytes.Equal(readFile(t, data), before) {
					t.Fatalf("refused (%v), and yet something changed: %v", err, aside)
				}
				return
			}
			if len(aside) != 1 || !bytes.Equal(readFile(t, aside[0]), before) ||
				bytes.Equal(readFile(t, data), before) {
				t.Fatalf("taken, and nothing has changed, or what was there is not aside: %v", aside)
			}
			opens(ctx, t, dir)
			must(t, os.Rename(aside[0], data))
		})
	})
}

// opens reads and writes the data in dir as a server does.
func opens(ctx context.Context, t *testing.T, dir string) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	must(t, err)
	defer db.Close()
	keys, err := keyring.OpenOrInit(ctx, db, keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	must(t, err)
	defer keys.Close()
	for after, n := "", 0; ; n++ {
		rs, err := db.List(ctx, "", after, 100)
		must(t, err)
		if len(rs) == 0 {
			break
		}
		if after = rs[len(rs)-1].Key; n > 1000 {
			t.Fatal("the records do not end")
		}
	}
	_, err = db.Txn(ctx, nil, []kv.Op{kv.Put("setup", []byte(`"again"`)), kv.Delete("username/nobody")})
	must(t, err)
}

// FuzzImport imports a damaged file of InfluxDB: whatever it holds, what is here afterwards is sound, and a second
// import brings nothing.
func FuzzImport(f *testing.F) {
	sample, _ := sampleDB(f)
	whole := readFile(f, sample)
	dir := f.TempDir()
	start(f, dir).end(f)
	data, file := filepath.Join(dir, "influxd.bolt"), filepath.Join(f.TempDir(), "theirs.bolt")
	before := readFile(f, data)
	seeds(f, whole, 0, "organizationsv1", "secretsv1", `"permissions"`, `"active"`, `"owner"`, "$2a$")
	f.Fuzz(func(t *testing.T, edits []byte, cut uint16) {
		must(t, os.WriteFile(file, edited(whole, edits, cut), 0o600))
		inTime(t, "importing", func(ctx context.Context) {
			contents, err := influxdb.Read(ctx, file)
			if err != nil {
				return
			}
			must(t, os.WriteFile(data, before, 0o600))
			for round := range 2 {
				report, err := importInto(ctx, t, dir, contents)
				if err != nil {
					t.Fatalf("import %d: %v", round+1, err)
				}
				for _, k := range report.Totals {
					if round == 1 && k.Brought > 0 {
						t.Errorf("a second import brings %+v", k)
					}
				}
			}
			var out output
			if err := Run(ctx, command.Process{Args: []string{"check", "--bolt-path", data},
				Env: []string{"HOME=/nowhere"}, Stdout: &out, Stderr: &out}); err != nil {
				t.Errorf("after the imports: %v\n%s", err, out.String())
			}
		})
	})
}

// importInto does what the command does, over cheap hashes of passwords and without a record.
func importInto(ctx context.Context, t *testing.T, dir string, contents *influxdb.Contents) (*report.Report, error) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	must(t, err)
	defer db.Close()
	keys, err := keyring.OpenOrInit(ctx, db, keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	must(t, err)
	defer keys.Close()
	store := embedded.New(embedded.Config{KV: db, Keyring: keys})
	log := slog.New(slog.DiscardHandler)
	guard := access.NewGuard(unrecorded{})
	identities := barrier.New(db, keys, identity.Sealed)
	logins, err := authn.New(authn.Config{KV: identities, Guard: guard, Logger: log, BcryptCost: 4})
	must(t, err)
	users, err := directory.New(directory.Config{KV: identities, Mark: keys, Guard: guard, Authn: logins,
		Secrets: store, Logger: log})
	must(t, err)
	return transfer.Import{
		KV: identities, Guard: guard, Secrets: service.New(store, guard, users, nil, secret.Limits{}),
		Store: store, Caller: access.System(), From: "a file",
	}.Run(ctx, contents)
}

// unrecorded is an audit log that keeps nothing.
type unrecorded struct{}

func (unrecorded) Record(context.Context, audit.Entry) error { return nil }
