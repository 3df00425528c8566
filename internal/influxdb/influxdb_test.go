package influxdb

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	"golang.org/x/crypto/bcrypt"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity"
)

func TestReadRefuses(t *testing.T) {
	whole := sample(t)
	for _, tt := range []struct{ name, path, want string }{
		{"nothing there", filepath.Join(t.TempDir(), "none"), "no such file"},
		{"a folder without one", t.TempDir(), "no such file"},
		{"a device", os.DevNull, "not a file"},
		{"empty", write(t, nil), "it is empty"},
		{"text", write(t, bytes.Repeat([]byte("hello\n"), 5000)), "not a database of InfluxDB 2"},
		{"cut off", write(t, whole[:len(whole)/2]), "cut off"},
		{"zeros after the header", write(t, append(bytes.Clone(whole[:8192]), make([]byte, len(whole)-8192)...)),
			"damaged"},
		{"another program's", file(t, [3]string{"things", "a", "b"}), "of another program"},
		{"ours", file(t, [3]string{"strongroom-meta", "format", "strongroom 1"}), "Strongroom's own"},
	} {
		_, err := Read(t.Context(), tt.path)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.path) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if _, err := Read(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ctx, write(t, whole)); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
}

const (
	org  = "00000000000000aa"
	user = "00000000000000bb"
	auth = "00000000000000cc"
)

// TestSkips reads records that cannot be taken over beside one that can: each is told, and none ends the reading.
func TestSkips(t *testing.T) {
	good := fmt.Sprintf(`"orgID":%q,"userID":%q,"permissions":[{"action":"read","resource":{"type":"orgs"}}]`, org,
		user)
	for _, tt := range []struct {
		bucket, key, value string
		kind, why          string
	}{
		{"usersv1", user, `{"id":`, "user", malformed},
		{"usersv1", user, `{"id":"` + org + `","name":"x"}`, "user", malformed}, // under another ID
		{"usersv1", "short", `{"id":"short","name":"x"}`, "user", malformed},
		{"userspasswordv1", "x", "$2a$10$", "password", malformed},
		{"userspasswordv1", user, "$2a$10$", "password", "of users who are not in the file"},
		{"organizationsv1", org, `[]`, "organization", malformed},
		{"organizationsv1", org, `{"id":"` + org + `","createdAt":"yesterday"}`, "organization", malformed},
		{"userresourcemappingsv1", org + user, `{}`, "member", malformed},
		{"userresourcemappingsv1", org + user,
			`{"userID":"` + user + `","userType":"king","resourceType":"orgs","resourceID":"` + org + `"}`, "member",
			"neither owner nor member"},
		{"userresourcemappingsv1", org + user,
			`{"userID":"` + user + `","userType":"owner","resourceType":"buckets","resourceID":"` + org + `"}`,
			"member", "roles in single things"},
		{"bucketsv1", org, `{"id":"` + org + `","name":"b"}`, "bucket", malformed},
		{"bucketsv1", org, `{"id":"` + org + `","orgID":"` + org + `","name":"b","retentionPeriod":-1}`,
			"bucket", malformed},
		{"authorizationsv1", auth, `{"id":"` + auth + `","token":"sesame"}`, "authorization",
			"no organization or no user"},
		{"authorizationsv1", auth, `{"id":"` + auth + `",` + good + `}`, "authorization", "it has no token"},
		{"authorizationsv1", auth, `{"id":"` + auth + `","hashedToken":"$influxdb2-sha512$c2VzYW1l",` + good + `}`,
			"authorization", "SHA-512"},
		{"authorizationsv1", auth, `{"id":"` + auth + `","hashedToken":"$influxdb2-sha256$c2VzYW1l",` + good + `}`,
			"authorization", "malformed"},
		{"authorizationsv1", auth, `{"id":"` + auth + `","hashedToken":"$argon$c2VzYW1l",` + good + `}`,
			"authorization", "of a kind that is not known"},
		{"authorizationsv1", auth, `{"id":"` + auth + `","token":"sesame",` + strings.Replace(good, `"orgs"`, `"moons"`,
			1) + `}`, "permission", "nothing that is known here"},
		{"authorizationsv1", "sesame", `{}`, "authorization", malformed},
		{"secretsv1", "x", "c2VzYW1l", "secret", malformed},
		{"secretsv1", "0000000000000000key", "c2VzYW1l", "secret", "does not begin with an organization's ID"},
		{"secretsv1", org + "key", "sesame!", "secret", "not base64"},
		{"dashboardsv2", org, "{}", "dashboard", "does not keep these"},
		{"sessionsv1", "sesame", "{}", "session (users sign in again)", "does not keep these"},
		{"moonsv1", org, "{}", "moonsv1", "not known"},
	} {
		c, err := readAll(t.Context(), file(t, [3]string{tt.bucket, tt.key, tt.value},
			[3]string{"secretsv1", org + "kept", "dmFsdWU="}, [3]string{"authorizationindexv1", "sesame", auth}))
		if err != nil {
			t.Errorf("%s %s: %v", tt.bucket, tt.value, err)
			continue
		}
		if len(c.Secrets) != 1 || c.Secrets[0].Key != "kept" {
			t.Errorf("%s %s: the other record is lost", tt.bucket, tt.value)
		}
		if len(c.Skipped) == 0 || c.Skipped[0].Kind != tt.kind || !strings.Contains(c.Skipped[0].Why, tt.why) ||
			c.Skipped[0].Count != 1 {
			t.Errorf("%s %s: skipped %+v, want %s, %q", tt.bucket, tt.value, c.Skipped, tt.kind, tt.why)
		}
		if told := fmt.Sprintf("%+v", c.Skipped); strings.Contains(told, "sesame") ||
			strings.Contains(told, "c2VzYW1l") {
			t.Errorf("%s: the report shows what may be a token or a value: %s", tt.bucket, told)
		}
	}
}

// TestDamagedPages damages every page of the sample in turn: there is an error, or a report of the
// damage, or everything.
func TestDamagedPages(t *testing.T) {
	whole := sample(t)
	full, err := readAll(t.Context(), write(t, whole))
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for page := 2; page*4096 < len(whole); page++ {
		b := bytes.Clone(whole)
		copy(b[page*4096:], bytes.Repeat([]byte{0xff}, 512))
		c, err := readAll(t.Context(), write(t, b))
		switch {
		case err != nil:
			told++
		case len(c.Skipped) > len(full.Skipped) && c.Skipped[0].Kind == "damage":
			told++
		case len(c.Secrets) != len(full.Secrets) || len(c.Users) != len(full.Users) ||
			len(c.Authorizations) != len(full.Authorizations):
			t.Errorf("page %d: less was read, and nothing told", page)
		}
	}
	if told < 5 {
		t.Errorf("damage showed in %d pages only", told)
	}
}

func TestReadSample(t *testing.T) {
	raw, err := os.ReadFile("testdata/influxd.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Users []struct {
			Name, Password string
			ID             id.ID
		}
		Orgs []struct {
			Name string
			ID   id.ID
		}
		Authorizations []struct {
			ID                 id.ID
			Token, Description string
			OrgID              id.ID
		}
		Secrets       map[id.ID]map[string]string
		OperatorToken string `json:"operator_token"`
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	path := write(t, sample(t))
	c, err := readAll(t.Context(), filepath.Dir(path)) // by its folder
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Skipped) > 0 {
		t.Errorf("skipped %+v", c.Skipped)
	}
	got := make(map[id.ID]map[string]string)
	for _, s := range c.Secrets {
		if got[s.Org] == nil {
			got[s.Org] = make(map[string]string)
		}
		got[s.Org][s.Key] = string(s.Value.Bytes())
	}
	if diff := cmp.Diff(want.Secrets, got); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	if len(want.Users) != 3 || len(c.Users) != 3 || len(c.Orgs) != len(want.Orgs) || len(c.Members) != 5 ||
		len(c.Buckets) != 7 || len(c.Authorizations) != 4 {
		t.Fatalf("%d users, %d organisations, %d members, %d buckets, %d authorizations", len(c.Users), len(c.Orgs),
			len(c.Members), len(c.Buckets), len(c.Authorizations))
	}
	for i, u := range want.Users {
		have := c.Users[i]
		if have.Name != u.Name || have.ID != u.ID || have.Status != identity.Active ||
			have.Operator != (u.Name == "admin") {
			t.Errorf("user %+v, want %+v", have.User, u)
		}
		if err := bcrypt.CompareHashAndPassword(have.PasswordHash, []byte(u.Password)); err != nil {
			t.Errorf("the password of %s: %v", u.Name, err)
		}
	}
	for i, o := range want.Orgs {
		if c.Orgs[i].Name != o.Name || c.Orgs[i].ID != o.ID || c.Orgs[i].CreatedAt.IsZero() {
			t.Errorf("organisation %+v, want %+v", c.Orgs[i], o)
		}
	}
	hashes := make(map[[sha256.Size]byte]identity.Authorization)
	for _, a := range c.Authorizations {
		hashes[[sha256.Size]byte(a.Hash)] = a
	}
	if _, ok := hashes[sha256.Sum256([]byte(want.OperatorToken))]; !ok {
		t.Error("the operator's token is not there")
	}
	for h, a := range hashes {
		operator := slices.Contains(a.Permissions, access.To(access.Read, access.Resource{Type: access.Instance}))
		if operator != (h == sha256.Sum256([]byte(want.OperatorToken))) {
			t.Errorf("authorization %s may do everything: %v", a.ID, operator)
		}
	}
	for _, a := range want.Authorizations {
		have := hashes[sha256.Sum256([]byte(a.Token))]
		if have.ID != a.ID || have.Description != a.Description || have.OrgID != a.OrgID || len(have.Permissions) != 2 {
			t.Errorf("authorization %+v, want %+v", have, a)
		}
	}
	tasks := c.Buckets[1]
	if tasks.Name != "_tasks" || tasks.Type != "system" || tasks.Retention != 72*time.Hour ||
		c.Buckets[0].Type != "user" {
		t.Errorf("buckets %+v", c.Buckets[:2])
	}
}

// TestNewerForms reads what other versions write: hashed tokens, the owner of the instance, permissions with names.
func TestNewerForms(t *testing.T) {
	hashed := sha256.Sum256([]byte("sesame"))
	c, err := readAll(t.Context(), file(t,
		[3]string{"usersv1", user, `{"id":"` + user + `","name":"u"}`},
		[3]string{"userresourcemappingsv1", "0000000000000001" + user,
			`{"userID":"` + user +
				`","userType":"owner","mappingType":"user","resourceType":"instance","resourceID":"0000000000000001"}`},
		[3]string{"bucketsv1", org, `{"id":"` + org + `","organizationID":"` + org +
			`","type":"system","name":"_b","new":{}}`},
		[3]string{"authorizationsv1", auth, `{"id":"` + auth + `","token":"","hashedToken":"$influxdb2-sha256$` +
			base64.URLEncoding.EncodeToString(hashed[:]) +
			`","orgID":"` + org + `","userID":"` + user +
			`","permissions":[{"action":"read","resource":{"type":"secrets","orgID":"` + org +
			`","name":"all of them"}}]}`},
		[3]string{"authorizationhashedindexv1", "x", auth},
	))
	if err != nil || len(c.Skipped) > 0 {
		t.Fatalf("%v, skipped %+v", err, c.Skipped)
	}
	if !c.Users[0].Operator || c.Users[0].PasswordHash != nil || c.Users[0].Status != identity.Active {
		t.Errorf("user %+v", c.Users[0])
	}
	if c.Buckets[0].OrgID.String() != org || c.Buckets[0].Type != "system" {
		t.Errorf("bucket %+v", c.Buckets[0])
	}
	a := c.Authorizations[0]
	if !bytes.Equal(a.Hash, hashed[:]) || a.Permissions[0].Resource.Name != "" || a.Status != identity.Active {
		t.Errorf("authorization %+v", a)
	}
}

// TestInUse reads a file that a writer has open, locked, and commits to all the time: what is read is of one moment.
func TestInUse(t *testing.T) {
	path := write(t, sample(t))
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	pair := func(n int) error { // two secrets that are the same in every commit
		return db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte("secretsv1"))
			v := []byte(base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%0*d", 1+n%5000, n)))
			return errors.Join(b.Put([]byte(org+"a"), v), b.Put([]byte(org+"z"), v))
		})
	}
	if err := pair(0); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				if err := pair(n); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	for range 50 {
		c, err := readAll(t.Context(), path)
		if err != nil {
			if !strings.Contains(err.Error(), "all the time") && !strings.Contains(err.Error(), "cut off") {
				t.Error(err)
			}
			continue
		}
		var both []string
		for _, s := range c.Secrets {
			if s.Org.String() == org {
				both = append(both, string(s.Value.Bytes()))
			}
		}
		if len(both) != 2 || both[0] != both[1] || len(c.Skipped) > 0 {
			t.Errorf("%d of two secrets, of different moments; skipped %v", len(both), c.Skipped)
		}
	}
	close(stop)
	<-stopped
	if _, err := Read(t.Context(), path); err != nil {
		t.Errorf("open, locked and at rest: %v", err)
	}
}

func TestUntouched(t *testing.T) {
	b := sample(t)
	path := write(t, b)
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || !info.ModTime().Equal(old) || info.Mode() != 0o400 {
		t.Errorf("the file is of %v, mode %v: %v", info.ModTime(), info.Mode(), err)
	}
	now, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(b, now) {
		t.Errorf("the file has changed (%v)", err)
	}
	if all, err := os.ReadDir(filepath.Dir(path)); err != nil || len(all) != 1 {
		t.Errorf("beside it there is %v (%v)", all, err)
	}
}

// FuzzRecord feeds records of every kind to the reader.
func FuzzRecord(f *testing.F) {
	buckets := slices.Sorted(maps.Keys(readers))
	f.Add(0, org+"key", []byte("c2VzYW1l"))
	for i := range buckets {
		f.Add(i, auth, []byte(`{"id":"`+auth+`","name":"n","token":"t","orgID":"`+org+`","userID":"`+user+
			`","resourceID":"`+org+
			`","resourceType":"orgs","userType":"owner","permissions":[{"action":"read","resource":{"type":"orgs","id":"`+org+`"}}]}`))
	}
	f.Fuzz(func(t *testing.T, i int, key string, value []byte) {
		w := newWalk(t.Context())
		bucket := buckets[uint(i)%uint(len(buckets))]
		if bucket == secretsBucket {
			if s, why := readSecret(key, value); (why == "") != s.Org.Valid() {
				t.Errorf("a secret of %s: %q", s.Org, why)
			}
			return
		}
		if bucket == authorizationsBucket {
			a, _, why := readAuthorization(key, value)
			if why == "" && (len(a.Hash) != sha256.Size || !a.ID.Valid()) {
				t.Errorf("an authorization without a token or an ID: %+v", a)
			}
			return
		}
		if err := w.Record([]string{bucket}, []byte(key), value); err != nil {
			t.Fatal(err)
		}
		c := w.finish()
		for _, u := range c.Users {
			if !u.ID.Valid() {
				t.Errorf("a user without an ID: %+v", u)
			}
		}
	})
}

// TestEachSecretsGoesOn reads many secrets while InfluxDB writes now and then: each is passed on once, in order.
func TestEachSecretsGoesOn(t *testing.T) {
	path := file(t, [3]string{"organizationsv1", "", ""})
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const n = 3*someRecords + 10
	put := func(from, to int) {
		t.Helper()
		if err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("secretsv1"))
			for i := from; i < to; i++ {
				err = errors.Join(err, b.Put(fmt.Appendf(nil, "%s%06d", org, i), []byte("dmFsdWU=")))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	put(0, n)
	c, err := Read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	if err := c.EachSecrets(t.Context(), func(s Some) error {
		for _, s := range s.Secrets {
			if s.Key != fmt.Sprintf("%06d", got) {
				t.Fatalf("secret %d is %s", got, s.Key)
			}
			got++
		}
		put(n, n+1)
		return nil
	}); err != nil || got != n+1 {
		t.Errorf("%d secrets of %d: %v", got, n+1, err)
	}
	enough := errors.New("enough")
	if err := c.EachSecrets(t.Context(), func(Some) error { return enough }); err != enough {
		t.Errorf("ended by whom they are passed to: %v", err)
	}
}

// TestEachAuthorization reads more tokens than are passed on at a time, some of them unreadable: each is there once, and
// who is an operator is known before.
func TestEachAuthorization(t *testing.T) {
	t.Parallel()
	var records [][3]string
	const n = 2*someRecords + 10
	may := `[{"action":"read","resource":{"type":"secrets","orgID":"` + org + `"}}]`
	for i := range n {
		key := fmt.Sprintf("%016x", 0x1000+i)
		records = append(records, [3]string{authorizationsBucket, key, `{"id":"` + key + `","token":"t` + key +
			`","orgID":"` + org + `","userID":"` + user + `","permissions":` + may + `}`})
	}
	records[7][2] = "{"
	c, err := readAll(t.Context(), file(t, records...))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Authorizations) != n-1 || len(c.Skipped) != 1 || c.Skipped[0].Kind != "authorization" {
		t.Errorf("%d authorizations of %d, skipped %+v", len(c.Authorizations), n, c.Skipped)
	}
	calls := 0
	if err := c.EachAuthorizations(t.Context(), func(s Some) error {
		calls++
		if len(s.Authorizations) > someRecords {
			t.Errorf("%d at a time", len(s.Authorizations))
		}
		return nil
	}); err != nil || calls != 3 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
