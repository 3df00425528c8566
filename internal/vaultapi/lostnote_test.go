package vaultapi_test

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"strongroom/internal/kv"
	"strongroom/internal/kv/kvtest"
	"strongroom/internal/vaultapi"
	"strongroom/internal/vaultapi/notes"
)

// TestNoteLost damages what is noted of a secret. Its value is read, nothing is made up of the note, a write is carried
// out only where it does not depend on it, and writing the metadata anew, or deleting them, mends it.
func TestNoteLost(t *testing.T) {
	var refused atomic.Int64
	p := start(t, func(c *vaultapi.Config) {
		c.Notes.Refused = func(context.Context, error) { refused.Add(1) }
	})
	for _, at := range []string{"acme/db", "acme"} {
		write := `{"data":{"value":"one"}}`
		p.want(t, 200, p.root, "PUT", "secret/data/acme/db", write)
		version := p.want(t, 200, p.root, "GET", "secret/data/"+at, "").Data.Metadata.Version
		damaged := func() {
			t.Helper()
			p.want(t, 204, p.root, "PUT", "secret/metadata/"+at,
				`{"cas_required":true,"custom_metadata":{"managed-by":"somebody"}}`)
			var ops []kv.Op
			for key, value := range kvtest.All(t, p.data) {
				if strings.Count(key, "/") == 2 && strings.HasPrefix(key, notes.Prefix) {
					value[len(value)/2] ^= 1
					ops = append(ops, kv.Put(key, value))
				}
			}
			if len(ops) != 1 {
				t.Fatalf("there are %d notes", len(ops))
			}
			_, err := p.data.Txn(t.Context(), nil, ops)
			must(t, err)
		}
		damaged()
		was := refused.Load()
		for _, path := range []string{"data/", "subkeys/"} {
			a := p.want(t, 200, p.root, "GET", "secret/"+path+at, "")
			if path == "data/" && !strings.Contains(a.body, "one") || len(a.Warnings) != 1 ||
				!strings.Contains(a.Warnings[0], "does not open") {
				t.Errorf("%s%s: %s", path, at, a.body)
			}
		}
		if refused.Load() != was+2 {
			t.Errorf("the server hears of %d, not of 2", refused.Load()-was)
		}
		anew := func(a answer) {
			t.Helper()
			if !strings.Contains(a.said(), "does not open") || !strings.Contains(a.said(), "metadata anew") {
				t.Errorf("it is said: %s", a.body)
			}
		}
		anew(p.want(t, 500, p.root, "GET", "secret/metadata/"+at, ""))
		anew(p.want(t, 400, p.root, "PUT", "secret/data/"+at, write))
		anew(p.want(t, 400, p.root, "PATCH", "secret/data/"+at, write))
		anew(p.want(t, 400, p.root, "PATCH", "secret/metadata/"+at, `{"cas_required":false}`))
		for _, part := range []string{`{"custom_metadata":{"a":"b"}}`, `{"cas_required":true}`, `{}`,
			`{"cas_required":null,"custom_metadata":{}}`, `{"cas_required":true,"custom_metadata":null}`} {
			anew(p.want(t, 400, p.root, "PUT", "secret/metadata/"+at, part))
		}
		if a := p.want(t, 200, p.root, "PUT", "secret/data/"+at, `{"data":{"value":"two"},"options":{"cas":`+
			strconv.Itoa(int(version))+`}}`); len(a.Warnings) != 1 {
			t.Errorf("a write with cas: %s", a.body)
		}
		a := p.want(t, 200, p.root, "LIST", "secret/metadata/acme", "")
		if len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], "may be missing") {
			t.Errorf("the list: %s", a.body)
		}
		p.want(t, 204, p.root, "PUT", "secret/metadata/"+at, `{"cas_required":true,"custom_metadata":{}}`)
		if a := p.want(t, 200, p.root, "GET", "secret/metadata/"+at, ""); !strings.Contains(a.body,
			`"cas_required":true`) || !strings.Contains(a.body, `"custom_metadata":null`) || len(a.Warnings) > 0 {
			t.Errorf("after it was written anew: %s", a.body)
		}
		if a := p.want(t, 400, p.root, "PUT", "secret/data/"+at, write); strings.Contains(a.said(), "open") {
			t.Errorf("after it was written anew: %s", a.body)
		}
		damaged()
		p.want(t, 204, p.root, "DELETE", "secret/metadata/"+at, "")
		if a := p.want(t, 200, p.root, "PUT", "secret/data/"+at, write); len(a.Warnings) > 0 {
			t.Errorf("after the deletion: %s", a.body)
		}
		p.want(t, 204, p.root, "DELETE", "secret/metadata/"+at, "")
	}
	// An entry without a value is known by its note alone.
	p.want(t, 204, p.root, "PUT", "secret/metadata/acme/first", `{"cas_required":true}`)
	for key, value := range kvtest.All(t, p.data) {
		if strings.Count(key, "/") == 2 && strings.HasPrefix(key, notes.Prefix) {
			_, err := p.data.Txn(t.Context(), nil, []kv.Op{kv.Put(key, value[:10])})
			must(t, err)
		}
	}
	if a := p.want(t, 404, p.root, "LIST", "secret/metadata/acme", ""); !strings.Contains(a.body, "may be missing") {
		t.Errorf("the list: %s", a.body)
	}
}
