package secrets

import (
	"crypto/x509"
	"encoding/pem"
	"reflect"
	"regexp"
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
