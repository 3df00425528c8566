package vault

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/vaulttest"
)

// foreign are values another program keeps in the entry.
const foreign = `"number":9007199254740993,"large":123456789012345678901234567890,"fraction":0.1000000000000000055511151231257827,` +
	`"object":{"b":[1,"x",null,{"<&>":true}],"a":1.50},"list":[],"true":true,"null":null`

func TestForeignValues(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	v.Write(t, mount, org.String(), `{"a":"1",`+foreign+`}`)
	v.Do(t, "POST", mount+"/metadata/"+org.String(),
		map[string]any{"custom_metadata": map[string]string{"owner": "team"}})
	before := v.Read(t, mount, org.String())
	s, _ := open(t, v, Config{Place: Place{Mount: mount}})
	wantKeys(t, s, "a")
	for _, key := range []string{"number", "object", "null"} {
		if _, err := secret.Get(t.Context(), s, org, key); !errs.Is(err, errs.NotFound) {
			t.Errorf("Get(%s): %v, want not found", key, err)
		}
	}

	// Others' values stay as they are, to the last digit Vault gives, and also where a deletion names them.
	apply(t, s, set("b", "2", "c", "<&>\u2028"))
	apply(t, s, secret.Change{Delete: []string{"a", "number", "object", "null"}})
	after := v.Read(t, mount, org.String())
	want := before.Data
	delete(want, "a")
	want["b"], want["c"] = json.RawMessage(`"2"`), after.Data["c"]
	if diff := cmp.Diff(texts(want), texts(after.Data)); diff != "" {
		t.Errorf("the entry (-want +got):\n%s", diff)
	}
	if after.Metadata.CustomMetadata["owner"] != "team" {
		t.Errorf("custom metadata: %v", after.Metadata.CustomMetadata)
	}

	// To set one is refused, by whatever change, and what it says next to it is not done.
	for range 2 {
		for name, c := range map[string]secret.Change{
			"one": set("number", "one"), "with another": set("null", "n", "d", "4"),
			"with a deletion": {Set: set("list", "l").Set, Delete: []string{"b"}},
			"if it exists":    {Set: set("true", "t").Set, Only: secret.IfExisting},
			"if it is new":    {Set: set("object", "o").Set, Only: secret.IfNew},
		} {
			if _, err := s.Apply(t.Context(), org, c); !errs.Is(err, errs.Unprocessable) ||
				!strings.Contains(errs.Message(err), "choose another name") {
				t.Errorf("%s: %v (%s), want unprocessable", name, err, errs.CodeOf(err))
			}
		}
		wantKeys(t, s, "b", "c") // which the second time around knows the entry's shape
	}
	if diff := cmp.Diff(texts(want), texts(v.Read(t, mount, org.String()).Data)); diff != "" {
		t.Errorf("the entry after refused changes (-want +got):\n%s", diff)
	}
}

func texts(m map[string]json.RawMessage) map[string]string {
	out := make(map[string]string)
	for k, raw := range m {
		out[k] = string(raw)
	}
	return out
}

// TestDeletedVersions goes on from entries whose latest version is gone. In InfluxDB such an organisation is dead.
func TestDeletedVersions(t *testing.T) {
	v := vaulttest.Shared(t)
	for name, remove := range map[string]func(t *testing.T, path string){
		"deleted": func(t *testing.T, path string) { v.Do(t, "DELETE", fmt.Sprintf(path, "data"), nil) },
		"destroyed": func(t *testing.T, path string) {
			v.Do(t, "PUT", fmt.Sprintf(path, "destroy"), map[string]any{"versions": []int{1, 2}})
		},
		"metadata removed": func(t *testing.T, path string) { v.Do(t, "DELETE", fmt.Sprintf(path, "metadata"), nil) },
		"metadata alone": func(t *testing.T, path string) {
			v.Do(t, "DELETE", fmt.Sprintf(path, "metadata"), nil)
			v.Do(t, "POST", fmt.Sprintf(path, "metadata"),
				map[string]any{"custom_metadata": map[string]string{"owner": "team"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			mount := v.MountKV(t)
			s, _ := open(t, v, Config{Place: Place{Mount: mount}})
			apply(t, s, set("a", "1"))
			apply(t, s, set("b", "2"))
			remove(t, mount+"/%s/"+org.String())
			wantKeys(t, s)
			if _, err := secret.Get(t.Context(), s, org, "a"); !errs.Is(err, errs.NotFound) {
				t.Errorf("Get: %v, want not found", err)
			}
			apply(t, s, secret.Change{Delete: []string{"a"}})
			wantKeys(t, s)
			apply(t, s, set("c", "3"))
			wantKeys(t, s, "c")
			if err := s.Purge(t.Context(), org); err != nil {
				t.Errorf("Purge: %v", err)
			}
		})
	}
}

// TestPurgedForGood wants no version and no metadata left.
func TestPurgedForGood(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	s, _ := open(t, v, Config{Place: Place{Mount: mount}})
	apply(t, s, set("a", "1"))
	apply(t, s, set("a", "2"))
	if err := s.Purge(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/metadata/" + org.String(), "/data/" + org.String() + "?version=1"} {
		if status, body := v.Do(t, "GET", mount+path, nil); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// TestNothingToWrite wants no new version for a change that changes nothing.
func TestNothingToWrite(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	// Without the capability "patch": a merge patch does not tell what changes nothing.
	s, _ := open(t, v, Config{Place: Place{Mount: mount}, Token: v.Token(t, vaulttest.Policy(mount), time.Hour)})
	apply(t, s, secret.Change{Delete: []string{"nothing"}})
	apply(t, s, secret.Change{})
	if status, _ := v.Do(t, "GET", mount+"/metadata/"+org.String(), nil); status != http.StatusNotFound {
		t.Errorf("a deletion of nothing made an entry: %d", status)
	}
	apply(t, s, set("a", "<1>"))
	apply(t, s, set("a", "<1>"))
	apply(t, s, secret.Change{Delete: []string{"nothing"}})
	if got := v.Read(t, mount, org.String()).Metadata.Version; got != 1 {
		t.Errorf("version %d, want 1", got)
	}
}

// TestWhereItIs pins the form that InfluxDB reads: one entry, the organisation's ID, a flat map of strings.
func TestWhereItIs(t *testing.T) {
	v := vaulttest.Start(t)
	s, _ := open(t, v, Config{})
	apply(t, s, set("foo", "bar", "hello", "world"))
	if diff := cmp.Diff(map[string]string{"foo": `"bar"`, "hello": `"world"`},
		texts(v.Read(t, "secret", "031c8cbefe101000").Data)); diff != "" {
		t.Errorf("secret/data/<org-id> (-want +got):\n%s", diff)
	}
	v.Write(t, "secret", "031c8cbefe101000", `{"from":"InfluxDB"}`)
	wantKeys(t, s, "from")

	s, _ = open(t, v, Config{Place: Place{Mount: "/secret/", Path: "team a/influx%2Fdb/{org}/"}})
	apply(t, s, set("below", "x"))
	wantKeys(t, s, "below")
	if got := v.Read(t, "secret", "team%20a/influx%252Fdb/031c8cbefe101000").Data; string(got["below"]) != `"x"` {
		t.Errorf("below the prefix: %v", texts(got))
	}
}

// TestCASRequired has a mount that takes no write without check-and-set.
func TestCASRequired(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	if status, body := v.Do(t, "POST", mount+"/config", map[string]any{"cas_required": true}); status >= 300 {
		t.Fatalf("%d %s", status, body)
	}
	s, _ := open(t, v, Config{Place: Place{Mount: mount}})
	for _, c := range []secret.Change{set("a", "1"), set("b", "2"), {Delete: []string{"a"}}} {
		apply(t, s, c)
	}
	wantKeys(t, s, "b")
}
