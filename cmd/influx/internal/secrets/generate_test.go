package secrets

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestGenerate(t *testing.T) {
	for _, tc := range []struct {
		kind    string
		length  int
		symbols bool
		form    string
	}{
		{password, 16, false, `^[a-zA-Z0-9]{16}$`},
		{password, 64, true, `^[a-zA-Z0-9_.~+=,-]{64}$`},
		{asHex, 16, false, `^[0-9a-f]{32}$`},
		{asBase64, 30, false, `^[A-Za-z0-9+/]{40}$`},
	} {
		seen := map[string]bool{}
		for range 50 {
			values, err := generate(tc.kind, tc.length, tc.symbols, "k", "")
			if err != nil || len(values) != 1 || !regexp.MustCompile(tc.form).MatchString(values["k"]) {
				t.Fatalf("%+v: %q, %v", tc, values, err)
			}
			of := classes
			if tc.symbols {
				of = append(of[:len(of):len(of)], symbolClass)
			}
			for _, class := range of {
				if tc.kind == password && !strings.ContainsAny(values["k"], class) {
					t.Errorf("%q has nothing of %s", values["k"], class)
				}
			}
			seen[values["k"]] = true
		}
		if len(seen) != 50 {
			t.Errorf("%+v: %d different ones of 50", tc, len(seen))
		}
	}
	for kind := range pairs {
		values, err := generate(kind, 0, false, "k", "p")
		if err != nil {
			t.Fatal(err)
		}
		private, _ := pem.Decode([]byte(values["k"]))
		public, _ := pem.Decode([]byte(values["p"]))
		if private == nil || public == nil {
			t.Fatalf("%s is no PEM", kind)
		}
		key, err := x509.ParsePKCS8PrivateKey(private.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		other, err := x509.ParsePKIXPublicKey(public.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		of := reflect.ValueOf(key).MethodByName("Public").Call(nil)[0].Interface()
		if !reflect.DeepEqual(of, other) {
			t.Errorf("%s: the public key is another's", kind)
		}
	}
}

// TestRequest: the request is signed by the key that is stored, and names what it was told.
func TestRequest(t *testing.T) {
	want := x509.CertificateRequest{DNSNames: []string{"app.example.com", "*.example.com"},
		IPAddresses: []net.IP{net.ParseIP("10.0.0.1")}}
	want.Subject.CommonName = "app"
	for kind := range pairs {
		values, err := generate(kind, 0, false, "k", "p")
		if err != nil {
			t.Fatal(err)
		}
		text, err := makeRequest(want, values["k"])
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode([]byte(text))
		got, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		public, err := x509.MarshalPKIXPublicKey(got.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		stored, _ := pem.Decode([]byte(values["p"]))
		if err := got.CheckSignature(); err != nil || !bytes.Equal(public, stored.Bytes) ||
			!slices.Equal(got.DNSNames, want.DNSNames) || !got.IPAddresses[0].Equal(want.IPAddresses[0]) ||
			got.Subject.CommonName != "app" {
			t.Errorf("%s: %+v, %v", kind, got, err)
		}
	}
}
