package bench

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"golang.org/x/crypto/bcrypt"

	"strongroom/internal/influxdb"
)

// population is how much there is of each in a data file. Beside it each file has one organisation of 1,000 secrets, and
// the operator.
type population struct {
	orgs    int  // of 5 secrets each, and a token
	secrets int  // in one further organisation
	tokens  int  // of that organisation
	sealed  bool // the names of secrets are
	etcd    bool // the data are in etcd, not in a file
}

const (
	secretsOfOrg = 5
	manySecrets  = 1000 // of the organisation all of whose values are asked for
	// commitRecords is how many records one commit of the file writes.
	commitRecords = 100_000

	operatorToken = "the-operators-token-of-the-bench"
)

// records is how many organisations, secrets and tokens there are in all.
func (p population) records() int {
	return p.orgs*(2+secretsOfOrg) + p.secrets + p.tokens + manySecrets
}

func (p population) String() string {
	var parts []string
	if p.orgs > 0 {
		parts = append(parts, thousands(p.orgs)+" organisations")
	}
	if p.secrets > 0 {
		parts = append(parts, thousands(p.secrets)+" secrets in one")
	}
	if p.tokens > 0 {
		parts = append(parts, thousands(p.tokens)+" tokens")
	}
	if p.sealed {
		parts = append(parts, "names sealed")
	}
	return strings.Join(parts, ", ")
}

// file is a name for the row.
func (p population) file() string {
	name := strings.NewReplacer(" ", "-", ",", "").Replace(p.String())
	if p.etcd {
		name += "-over-etcd"
	}
	return name
}

// The IDs of the file: some organisations, one with 1,000 secrets, one with many, users and tokens.
const (
	firstOrg  = 0x0100_0000_0000_0001
	orgOf1000 = 0x0200_0000_0000_0001
	orgOfMany = 0x0300_0000_0000_0001

	orgOfOperator = 0x0600_0000_0000_0001
	firstUser     = 0x0400_0000_0000_0001
	firstAuth     = 0x0500_0000_0000_0001

	instance = 0x0700_0000_0000_0001
)

func hexID(n int) string { return fmt.Sprintf("%016x", n) }

func tokenName(n int) string { return fmt.Sprintf("token-%07d-of-the-bench", n) }

// influxFile writes an InfluxDB's file with the population into dir. Importing it is how the data are made.
func (p population) influxFile(b *testing.B, dir string) string {
	b.Helper()
	path := filepath.Join(dir, influxdb.FileName)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true})
	if err != nil {
		b.Fatal(err)
	}
	var tx *bbolt.Tx
	n := 0
	put := func(bucket, key, value string) {
		if tx == nil {
			if tx, err = db.Begin(true); err != nil {
				b.Fatal(err)
			}
		}
		into, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err == nil {
			into.FillPercent = 0.9
			err = into.Put([]byte(key), []byte(value))
		}
		if n++; err == nil && n%commitRecords == 0 {
			err, tx = tx.Commit(), nil
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	record := func(bucket, key string, fields map[string]any) {
		value, err := json.Marshal(fields)
		if err != nil {
			b.Fatal(err)
		}
		put(bucket, key, string(value))
	}
	org := func(id int, name string, secrets int) {
		record("organizationsv1", hexID(id), map[string]any{"id": hexID(id), "name": name})
		record("userresourcemappingsv1", hexID(id)+hexID(firstUser), map[string]any{"userID": hexID(firstUser),
			"userType": "owner", "resourceType": "orgs", "resourceID": hexID(id)})
		for i := range secrets {
			put("secretsv1", hexID(id)+keyName(i),
				base64.StdEncoding.EncodeToString([]byte("a value of the usual size, a token or a password")))
		}
	}
	token := func(n, org int, token string, permissions []map[string]any) {
		record("authorizationsv1", hexID(firstAuth+n), map[string]any{"id": hexID(firstAuth + n), "token": token,
			"status": "active", "description": token, "orgID": hexID(org), "userID": hexID(firstUser),
			"permissions": permissions})
	}
	read := func(org int) []map[string]any {
		return []map[string]any{{"action": "read",
			"resource": map[string]any{"type": "secrets", "orgID": hexID(org)}}}
	}

	hash, err := bcrypt.GenerateFromPassword([]byte("long enough"), bcrypt.MinCost)
	if err != nil {
		b.Fatal(err)
	}
	record("usersv1", hexID(firstUser), map[string]any{"id": hexID(firstUser), "name": "ann", "status": "active"})
	put("userspasswordv1", hexID(firstUser), string(hash))
	record("userresourcemappingsv1", hexID(instance)+hexID(firstUser), map[string]any{"userID": hexID(firstUser),
		"userType": "owner", "resourceType": "instance", "resourceID": hexID(instance)}) // as all have it since 2.0
	org(orgOf1000, "a thousand", manySecrets)
	var everything []map[string]any
	for _, of := range []string{"authorizations", "buckets", "orgs", "users", "secrets", "dashboards", "sources", "tasks",
		"telegrafs"} {
		for _, action := range []string{"read", "write"} {
			everything = append(everything, map[string]any{"action": action, "resource": map[string]any{"type": of}})
		}
	}
	org(orgOfOperator, "operators", 0) // which goes on when others end
	token(0, orgOfOperator, operatorToken, everything)
	if p.secrets+p.tokens > 0 {
		org(orgOfMany, "many", p.secrets)
	}
	for i := range p.orgs {
		org(firstOrg+i, fmt.Sprintf("org %06d", i), secretsOfOrg)
		token(1+i, firstOrg+i, tokenName(i), read(firstOrg+i))
	}
	for i := range p.tokens {
		token(1+p.orgs+i, orgOfMany, tokenName(p.orgs+i), read(orgOfMany))
	}
	if tx != nil {
		err = tx.Commit()
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	return path
}

// thousands writes a number with commas.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
