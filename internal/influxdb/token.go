package influxdb

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// InfluxDB 2.8 and later may keep tokens as hashes, in the form $influxdb2-sha256$<base64>
// (pkg/crypt/algorithm/influxdb2). The hash is of the token as it is sent, without salt, as ours is: it carries over.
const (
	sha256Prefix = "$influxdb2-sha256$"
	sha512Prefix = "$influxdb2-sha512$"
)

// tokenHash gives the SHA-256 of the token, or why there is none.
func tokenHash(token, hashed string) (hash []byte, why string) {
	if token != "" {
		h := sha256.Sum256([]byte(token))
		return h[:], ""
	}
	if encoded, ok := strings.CutPrefix(hashed, sha256Prefix); ok {
		h, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
		if err != nil || len(h) != sha256.Size {
			return nil, "the hash of its token is malformed"
		}
		return h, ""
	}
	switch {
	case strings.HasPrefix(hashed, sha512Prefix):
		return nil, "its token is kept as a SHA-512 hash, which cannot be made into the SHA-256 that is kept here: " +
			"make a new token for it"
	case hashed != "":
		return nil, "its token is kept as a hash of a kind that is not known here: make a new token for it"
	}
	return nil, "it has no token"
}
