package transfer_test

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/influxdb"
	"strongroom/internal/keyring"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/service"
	"strongroom/internal/transfer"
	"strongroom/internal/transfer/report"
)

// BenchmarkImportSecrets brings many secrets of one organisation into an empty store, with names in clear and sealed, and
// tells how many it brings a second of CPU time.
func BenchmarkImportSecrets(b *testing.B) {
	const count, passed = 100_000, 4096 // passed is as many as a file passes on at a time
	for _, names := range []string{"clear", "sealed"} {
		b.Run("names="+names, func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				b.StopTimer()
				in, contents := importInto(b, names == "sealed", count, passed)
				b.StartTimer()
				before := cpuTime(b)
				if _, err := in.Run(b.Context(), contents); err != nil {
					b.Fatal(err)
				}
				took += cpuTime(b) - before
			}
			b.ReportMetric(float64(count*b.N)/took.Seconds(), "secrets/cpu-s")
		})
	}
}

// importInto is an import of so many secrets into an empty embedded store.
func importInto(b *testing.B, sealed bool, count, passed int) (transfer.Import, *influxdb.Contents) {
	b.Helper()
	dir := b.TempDir()
	data, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { data.Close() })
	ring, err := keyring.OpenOrInit(b.Context(), data,
		keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	if err != nil {
		b.Fatal(err)
	}
	if sealed {
		if _, err := ring.SealNames(b.Context(), true); err != nil {
			b.Fatal(err)
		}
		if err := ring.NamesMoved(b.Context(), ring.Names().Form); err != nil {
			b.Fatal(err)
		}
	}
	store := embedded.New(embedded.Config{KV: data, Ample: data, Keyring: ring, History: 10})
	f := identitytest.Onboarded(b)
	const of = 0x20
	c := &influxdb.Contents{Identities: influxdb.Identities{Orgs: []identity.Org{{ID: of, Name: "their org"}}}}
	c.EachSecrets = func(_ context.Context, f func(influxdb.Some) error) error {
		for first := 0; first < count; first += passed {
			var some influxdb.Some
			for i := first; i < min(first+passed, count); i++ {
				some.Secrets = append(some.Secrets, influxdb.Secret{Org: of, Key: fmt.Sprintf("key-%07d", i),
					Value: secret.NewValue([]byte("a value of the usual size, a token or a password"))})
			}
			if err := f(some); err != nil {
				return err
			}
		}
		return nil
	}
	return transfer.Import{KV: f.KV, Guard: f.Guard, Store: store, Caller: access.System(), From: "file",
		Secrets: service.New(store, f.Guard, f.Directory, nil, secret.Limits{}), Told: func(report.Item) {}}, c
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
