package perorg

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/id"
	"strongroom/internal/secret/vault/kv2"
)

// TestLooks reads answers from which a version can be told, and others.
func TestLooks(t *testing.T) {
	const at = "2026-01-31T12:00:00.123456789Z"
	version := func(deleted string, destroyed bool) string {
		return fmt.Sprintf(`{"created_time":%q,"deletion_time":%q,"destroyed":%t}`, at, deleted, destroyed)
	}
	metadata := func(current int, versions string) string {
		return fmt.Sprintf(`{"data":{"current_version":%d,"custom_metadata":{"current_version":"9"},"versions":{%s}}}`,
			current, versions)
	}
	good := kv2.Version{Version: 2, Created: at}
	for _, tt := range []struct {
		call, body string
		want       kv2.Version
		odd        bool
	}{
		{"metadata", ``, kv2.Version{}, true},
		{"metadata", `{"data":{"current_version":2,"versions":{"2"`, kv2.Version{}, true},
		{"metadata", `{"data":{"current_version":"2"}}`, kv2.Version{}, true},
		{"metadata", `{"errors":[]}`, kv2.Version{}, false},
		{"metadata", `{"data":null}`, kv2.Version{}, false},
		{"metadata", metadata(0, ""), kv2.Version{}, false},
		{"metadata", metadata(2, `"2":`+version("", false)), good, false},
		{"metadata", metadata(2, `"1":`+version("x", true)+`,"2":`+version("", false)), good, false},
		{"metadata", metadata(2, `"1":`+version("", false)), kv2.Version{Version: 2}, false}, // not the time of another
		{"metadata", metadata(2, `"2":`+version("2027-01-01T00:00:00Z", false)), kv2.Version{}, false},
		{"metadata", metadata(2, `"2":`+version("", true)), kv2.Version{}, false},
		{"subkeys", ``, kv2.Version{}, true},
		{"subkeys", `{"data":{"metadata":7}}`, kv2.Version{}, true},
		{"subkeys", `{"data":null}`, kv2.Version{}, false},
		{"subkeys", `{"data":{"subkeys":{"a":null,"o":{"b":null}},"metadata":{"version":2,"created_time":"` + at +
			`"}}}`, good, false},
	} {
		for _, l := range looks {
			if l.call != tt.call {
				continue
			}
			got, err := l.read([]byte(tt.body))
			if (err != nil) != tt.odd || err == nil && got.Version != tt.want {
				t.Errorf("%s %s: %+v, %v; want %+v", tt.call, tt.body, got, err, tt.want)
			}
		}
	}
}

// TestShapesBounded keeps shapes whose names take no more memory than all may.
func TestShapesBounded(t *testing.T) {
	s := newShapes()
	large := make(map[string]json.RawMessage)
	for i := range 1000 {
		large[fmt.Sprintf("%01000d", i)] = json.RawMessage(`""`)
	}
	const orgs = 100 // of a MiB each
	for org := range id.ID(orgs) {
		s.learnt(org+1, 1, "now", large)
	}
	total, kept := 0, 0
	for org := range s.known.Keys() {
		k, _ := s.known.Get(org)
		total, kept = total+k.size(), kept+1
	}
	if total > maxNames || kept < 30 {
		t.Errorf("%d shapes of %d bytes are kept", kept, total)
	}
	if _, ok := s.of(orgs); !ok {
		t.Error("the last one is not kept")
	}
	for org := range id.ID(orgs) {
		s.forget(org + 1)
	}
	if n := s.known.Len(); n != 0 {
		t.Errorf("%d shapes are left", n)
	}
	const most = maxNames / leastNames
	for org := range id.ID(most + 10) {
		s.learnt(org+1, 1, "now", map[string]json.RawMessage{"a": json.RawMessage(`"1"`)})
	}
	if n := s.known.Len(); n != most {
		t.Errorf("%d shapes are kept, want %d", n, most)
	}
}

// TestShapePatched is the shape of what a patch makes: the very list where no name is new.
func TestShapePatched(t *testing.T) {
	s := newShapes()
	k := s.learnt(1, 1, "t1", map[string]json.RawMessage{"b": json.RawMessage(`"1"`), "d": json.RawMessage(`"1"`),
		"n": json.RawMessage(`1`)})
	same := k.with(kv2.Version{Version: 2, Created: "t2"}, map[string]json.RawMessage{"b": json.RawMessage(`"2"`)})
	if &same.keys[0] != &k.keys[0] || same.version != 2 || same.created != "t2" || len(same.foreign) != 1 {
		t.Errorf("after a set of what is there: %+v", same)
	}
	more := same.with(kv2.Version{Version: 3, Created: "t3"}, map[string]json.RawMessage{"n": json.RawMessage(`"2"`),
		"a": json.RawMessage(`"2"`)})
	if diff := cmp.Diff([]string{"a", "b", "d", "n"}, more.keys); diff != "" || len(more.foreign) != 0 {
		t.Errorf("after sets of what is new and of what was another's: %s %v", diff, more.foreign)
	}
	if diff := cmp.Diff([]string{"b", "d"}, k.keys); diff != "" || len(k.foreign) != 1 {
		t.Errorf("the former shape has changed: %s %v", diff, k.foreign)
	}
}
