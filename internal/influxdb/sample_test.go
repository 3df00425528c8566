package influxdb

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// sample is a file made by InfluxDB 2.0.0-beta.11; what is in it stands in testdata/influxd.json.
func sample(t testing.TB) []byte {
	t.Helper()
	f, err := os.Open("testdata/influxd.bolt.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// file makes a database of these records: bucket, key, value.
func file(t testing.TB, records ...[3]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), FileName)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(func(tx *bbolt.Tx) error {
		for _, r := range records {
			b, err := tx.CreateBucketIfNotExists([]byte(r[0]))
			if err != nil {
				return err
			}
			if r[1] == "" {
				continue
			}
			if err := b.Put([]byte(r[1]), []byte(r[2])); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return path
}

// all is what a file holds, what is read by itself with the rest.
type all struct {
	*Contents
	Some
	Skipped []Skip
}

func readAll(ctx context.Context, path string) (*all, error) {
	c, err := Read(ctx, path)
	if err != nil {
		return nil, err
	}
	a := &all{Contents: c}
	for _, each := range []func(context.Context, func(Some) error) error{c.EachAuthorizations, c.EachSecrets} {
		err = errors.Join(err, each(ctx, func(s Some) error {
			a.Authorizations = append(a.Authorizations, s.Authorizations...)
			a.Secrets, a.Skipped = append(a.Secrets, s.Secrets...), append(a.Skipped, s.Skipped...)
			return nil
		}))
	}
	a.Skipped = append(a.Skipped, c.Skipped...)
	return a, err
}
