package secrets

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"regexp"
	"strings"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/usage"
)

// The kinds of what is made.
const (
	password = "password"
	asHex    = "hex"
	asBase64 = "base64"
)

// pairs make the private key of each kind of pair.
var pairs = map[string]func() (crypto.Signer, error){
	"ed25519": func() (crypto.Signer, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	},
	"ecdsa": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
	"rsa":   func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 3072) },
}

// The length of what is made: characters of a password, bytes of a key.
const (
	usualLength = 32
	leastLength = 16
	mostLength  = 4096
)

func generateCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "generate",
		Usage: "Make a password or a key, and store it without showing it",
		Description: `   influx secret generate -k db/password
   influx secret generate -k db/password --symbols --length 24 --replace
   influx secret generate -k session-key --kind hex
   influx secret generate -k tls/key --kind ecdsa --public tls/public-key
   influx secret generate -k tls/key --csr --dns app.example.com > app.csr

It is made here, of the system's random numbers, and never shown. A secret that exists is replaced only with --replace.

--kind is password (letters and digits, one of each at least), hex or base64 (random bytes), or a pair of keys: ed25519,
ecdsa (P-256) or rsa (3072 bits). Of a pair the private key is stored (PEM, PKCS #8) and, with --public, the public one
beside it (PEM, PKIX), both or neither.

With --csr, the private key of a pair (ecdsa where --kind does not say) is stored, and a request for a TLS certificate
(PEM, PKCS #10) is printed, with the names of --dns and --ip; with --json it is "request".`,
		Flags: session.CommonFlags(session.OrgFlags(
			keyFlag(),
			&cli.StringFlag{
				Name:        "kind",
				Usage:       "What to make: password, hex, base64, ed25519, ecdsa or rsa",
				DefaultText: password,
			},
			&cli.IntFlag{
				Name:        "length",
				Usage:       "The characters of a password, or the bytes of hex and base64",
				DefaultText: fmt.Sprint(usualLength),
			},
			&cli.BoolFlag{Name: "symbols", Usage: "Have symbols in a password, too, one at least"},
			&cli.StringFlag{Name: "public", Usage: "Store the public key of a pair as this `key`"},
			&cli.BoolFlag{Name: "csr", Usage: "Print a request for a TLS certificate"},
			&cli.StringSliceFlag{Name: "dns", Usage: "With --csr: a `name` of the server, such as app.example.com"},
			&cli.StringSliceFlag{Name: "ip", Usage: "With --csr: an IP `address` of the server"},
			&cli.StringFlag{Name: "common-name", Usage: "With --csr: the subject's common `name`",
				DefaultText: "the first of --dns"},
			&cli.BoolFlag{Name: "replace", Usage: "Replace what exists"},
		)...),
		Action: p.Connected(session.Authenticated, generateSecret),
	}
}

func generateSecret(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	usual := password
	if cmd.Bool("csr") {
		usual = "ecdsa"
	}
	kind, key, public := session.FirstOf(cmd.String("kind"), usual), cmd.String("key"), cmd.String("public")
	length := usualLength
	if cmd.IsSet("length") {
		length = cmd.Int("length")
	}
	switch {
	case kind != password && kind != asHex && kind != asBase64 && pairs[kind] == nil:
		return usage.WithHint(cmd, "flag --kind: the kind is one of password, hex, base64, ed25519, ecdsa and rsa")
	case length < leastLength || length > mostLength:
		return usage.WithHint(cmd, fmt.Sprintf("flag --length: the length is %d to %d: what is shorter can be guessed",
			leastLength, mostLength))
	case cmd.IsSet("length") && pairs[kind] != nil:
		return usage.WithHint(cmd, "--length is for password, hex and base64")
	case cmd.Bool("symbols") && kind != password:
		return usage.WithHint(cmd, "--symbols is for passwords")
	case public != "" && pairs[kind] == nil:
		return usage.WithHint(cmd, "--public is for a pair of keys: --kind ed25519, ecdsa or rsa")
	case cmd.Bool("csr") && pairs[kind] == nil:
		return usage.WithHint(cmd, "--csr is for a pair of keys: --kind ed25519, ecdsa or rsa")
	case public == key:
		return usage.WithHint(cmd, "--public and --key name one secret")
	}
	want, err := requestOf(cmd)
	if err != nil {
		return err
	}
	values, err := generate(kind, length, cmd.Bool("symbols"), key, public)
	if err != nil {
		return fmt.Errorf("cannot make a %s: %w", kind, err)
	}
	var request string
	if want != nil {
		if request, err = makeRequest(*want, values[key]); err != nil {
			return fmt.Errorf("cannot make a certificate request: %w", err)
		}
	}
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	set := s.Client.CreateSecrets
	if cmd.Bool("replace") {
		set = s.Client.SetSecrets
	}
	if err := set(ctx, orgID, values); err != nil {
		return fmt.Errorf("failed to store what was made as secret with key %q: %w", key, err)
	}
	if want != nil {
		if s.Print.AsJSON {
			return s.Print.JSON(map[string]string{"key": key, "orgID": orgID, "request": request})
		}
		return s.Print.Lines(strings.TrimSuffix(request, "\n"))
	}
	if public == "" {
		return printSecret(s, secretRow{Key: key, OrgID: orgID})
	}
	rows := []secretRow{{Key: key, OrgID: orgID}, {Key: public, OrgID: orgID}}
	if s.Print.AsJSON {
		return s.Print.JSON(rows)
	}
	return printSecrets(s, rows...)
}

// hostName is a name that a certificate can have; its first part may be a star.
var hostName = regexp.MustCompile(`^(\*\.)?(` + hostPart + `\.)*` + hostPart + `$`)

const hostPart = `[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?`

// requestOf is what a certificate is to be asked for; nil where none is.
func requestOf(cmd *cli.Command) (*x509.CertificateRequest, error) {
	names, addresses := cmd.StringSlice("dns"), cmd.StringSlice("ip")
	if !cmd.Bool("csr") {
		if len(names)+len(addresses) > 0 || cmd.IsSet("common-name") {
			return nil, usage.WithHint(cmd, "--dns, --ip and --common-name are for --csr")
		}
		return nil, nil
	}
	want := &x509.CertificateRequest{DNSNames: names}
	for _, name := range names {
		if !hostName.MatchString(name) || len(name) > 253 {
			return nil, usage.WithHint(cmd, fmt.Sprintf("flag --dns: %q is no name of a server", name))
		}
	}
	for _, text := range addresses {
		ip := net.ParseIP(text)
		if ip == nil {
			return nil, usage.WithHint(cmd, fmt.Sprintf("flag --ip: %q is no IP address", text))
		}
		want.IPAddresses = append(want.IPAddresses, ip)
	}
	want.Subject.CommonName = cmd.String("common-name")
	switch {
	case want.Subject.CommonName == "" && len(names)+len(addresses) == 0:
		return nil, usage.WithHint(cmd, "--csr: for which server? give --dns, --ip or --common-name")
	case len(want.Subject.CommonName) > maxCommonName:
		return nil, usage.WithHint(cmd, fmt.Sprintf("flag --common-name: it has at most %d bytes", maxCommonName))
	case want.Subject.CommonName == "" && len(names) > 0 && len(names[0]) <= maxCommonName:
		want.Subject.CommonName = names[0]
	}
	return want, nil
}

// maxCommonName is RFC 5280's bound.
const maxCommonName = 64

func makeRequest(want x509.CertificateRequest, private string) (string, error) {
	block, _ := pem.Decode([]byte(private))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &want, key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// generate makes what is to be stored, by its key.
func generate(kind string, length int, symbols bool, key, public string) (map[string]string, error) {
	switch kind {
	case password:
		text, err := makePassword(length, symbols)
		return map[string]string{key: text}, err
	case asHex, asBase64:
		b := make([]byte, length)
		rand.Read(b) // never fails
		if kind == asHex {
			return map[string]string{key: hex.EncodeToString(b)}, nil
		}
		return map[string]string{key: base64.StdEncoding.EncodeToString(b)}, nil
	}
	private, err := pairs[kind]()
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	values := map[string]string{key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}
	if public != "" {
		if der, err = x509.MarshalPKIXPublicKey(private.Public()); err != nil {
			return nil, err
		}
		values[public] = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	return values, nil
}

// The characters of a password. None of the symbols means anything inside double quotes or in a URL's user part.
var classes = []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"}

const symbolClass = "-_.~+=,"

// makePassword makes one of all those that have a character of each class, each as likely as the other.
func makePassword(length int, symbols bool) (string, error) {
	of := classes
	if symbols {
		of = append(classes[:len(classes):len(classes)], symbolClass)
	}
	all := strings.Join(of, "")
	for {
		b := make([]byte, length)
		for i := range b {
			n, err := rand.Int(rand.Reader, big.NewInt(int64(len(all))))
			if err != nil {
				return "", err
			}
			b[i] = all[n.Int64()]
		}
		complete := true
		for _, class := range of {
			complete = complete && strings.ContainsAny(string(b), class)
		}
		if complete {
			return string(b), nil
		}
	}
}
