package pemfile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// issue makes a certificate of that name and its key.
func issue(t *testing.T, name string, lasts time.Duration) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now(), NotAfter: time.Now().Add(lasts)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	kd, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kd})
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPairFollows has a pair renewed, half renewed, spoilt and gone: what is given is the last that was good.
func TestPairFollows(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	if _, err := Pair("c", "--tls-cert", certFile, keyFile, slog.Default()); err == nil {
		t.Error("files that are not there are followed")
	}
	synctest.Test(t, func(t *testing.T) {
		out := new(strings.Builder)
		log := slog.New(slog.NewTextHandler(out, nil))
		cert, key := issue(t, "first", time.Hour)
		write(t, certFile, cert)
		write(t, keyFile, key)
		f, err := Pair("c", "--tls-cert", certFile, keyFile, log)
		if err != nil {
			t.Fatal(err)
		}
		want := func(name string, version int) {
			t.Helper()
			time.Sleep(lookEvery)
			pair, _, v := f.Get()
			if pair.Leaf.Subject.CommonName != name || v != version {
				t.Errorf("the certificate is %q, version %d; want %q, %d", pair.Leaf.Subject.CommonName, v,
					name, version)
			}
		}
		want("first", 1)
		cert, key = issue(t, "second", time.Hour)
		write(t, certFile, cert) // the key is not there yet
		want("first", 1)
		if strings.Contains(out.String(), "cannot be used") {
			t.Errorf("a moment between two files is told as a fault:\n%s", out)
		}
		write(t, keyFile, key)
		want("second", 2)
		if s := f.State(time.Now()); !s.OK {
			t.Errorf("state %+v", s)
		}
		write(t, certFile, []byte("nothing"))
		want("second", 2)
		want("second", 2)
		want("second", 2)
		if n := strings.Count(out.String(), "cannot be used"); n != 1 {
			t.Errorf("a bad file is told %d times:\n%s", n, out)
		}
		if s := f.State(time.Now()); s.OK || !strings.Contains(s.Message, "cannot be used") {
			t.Errorf("state %+v", s)
		}
		if err := os.Remove(keyFile); err != nil {
			t.Fatal(err)
		}
		want("second", 2)
		if strings.Contains(out.String(), "PRIVATE") {
			t.Errorf("the log has a key:\n%s", out)
		}
		write(t, certFile, cert)
		write(t, keyFile, key)
		want("second", 2)
		if s := f.State(time.Now()); !s.OK {
			t.Errorf("state %+v", s)
		}
	})
}

// TestEnds warns of a certificate that ends soon and that has ended, in the log once a day.
func TestEnds(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		out := new(strings.Builder)
		cert, key := issue(t, "c", 100*24*time.Hour)
		write(t, filepath.Join(dir, "cert"), cert)
		write(t, filepath.Join(dir, "key"), key)
		f, err := Pair("c", "--tls-cert", filepath.Join(dir, "cert"), filepath.Join(dir, "key"),
			slog.New(slog.NewTextHandler(out, nil)))
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			after time.Duration
			ok    bool
			says  string
		}{{89 * 24 * time.Hour, true, "ends at"}, {91 * 24 * time.Hour, false, "ends soon"},
			{101 * 24 * time.Hour, false, "has ended"}} {
			for range 3 {
				if s := f.State(time.Now().Add(tt.after)); s.OK != tt.ok || !strings.Contains(s.Message, tt.says) {
					t.Errorf("after %v: %+v", tt.after, s)
				}
			}
		}
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Errorf("%d lines, want one of each:\n%s", n, out)
		}
	})
}

// TestPoolFollows has an authority added to a file, and files of a folder as Kubernetes replaces them.
func TestPoolFollows(t *testing.T) {
	first, _ := issue(t, "first", time.Hour)
	second, _ := issue(t, "second", time.Hour)
	knows := func(f *Follower, cert []byte) bool {
		_, pool, _ := f.Get()
		block, _ := pem.Decode(cert)
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: c.NotBefore.Add(time.Second)})
		return err == nil
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(dir, "ca.pem")
		write(t, file, first)
		f, err := Pool("ca", "--vault-cacert", file, slog.Default())
		if err != nil || !knows(f, first) || knows(f, second) {
			t.Fatalf("the first: %v", err)
		}
		write(t, file, append(append([]byte{}, first...), second...))
		time.Sleep(lookEvery)
		if !knows(f, first) || !knows(f, second) {
			t.Error("an added authority is not known")
		}

		// Kubernetes makes another folder and renames the link to it.
		folder := t.TempDir()
		mount := func(version string, pem []byte) {
			if err := os.Mkdir(filepath.Join(folder, version), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(folder, version, "ca.crt"), pem)
			if err := os.Symlink(version, filepath.Join(folder, "..tmp")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(folder, "..tmp"), filepath.Join(folder, "..data")); err != nil {
				t.Fatal(err)
			}
		}
		mount("..1", first)
		if err := os.Symlink(filepath.Join("..data", "ca.crt"), filepath.Join(folder, "ca.crt")); err != nil {
			t.Fatal(err)
		}
		if f, err = Pool("ca", "--vault-capath", folder, slog.Default()); err != nil || !knows(f, first) {
			t.Fatalf("the folder: %v", err)
		}
		mount("..2", second)
		time.Sleep(lookEvery)
		if knows(f, first) || !knows(f, second) {
			t.Error("the folder's new file is not used")
		}
	})
}
