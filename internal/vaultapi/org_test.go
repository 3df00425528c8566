package vaultapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/vaultapi"
)

// The map of an organisation, as InfluxDB reads and writes it.
func TestOrganisation(t *testing.T) {
	p := start(t, nil)
	at := "secret/data/" + p.org.String()
	if a := p.want(t, 200, p.root, "GET", at, ""); a.Data.Data == nil || len(a.Data.Data) != 0 ||
		a.Data.Metadata.Version != 0 {
		t.Errorf("an empty organisation: %s", a.body)
	}
	a := p.want(t, 200, p.root, "PUT", at, `{"data":{"foo":"bar","hello":"world"},"options":{"cas":0}}`)
	if a.Data.Version != 1 {
		t.Errorf("the first version: %s", a.body)
	}
	if a := p.want(t, 400, p.root, "PUT", at,
		`{"data":{"foo":"lost"},"options":{"cas":0}}`); a.said() != "check-and-set parameter did not match the current version" {
		t.Errorf("refused: %s", a.body)
	}
	p.want(t, 200, p.root, "PUT", at, `{"data":{"foo":"bar2","new":"n"},"options":{"cas":"1"}}`)
	a = p.want(t, 200, p.root, "GET", "secret/data/acme", "")
	if diff := cmp.Diff(map[string]any{"foo": "bar2", "new": "n"}, a.Data.Data); diff != "" ||
		a.Data.Metadata.Version != 2 {
		t.Errorf("by its name, version %d: %s", a.Data.Metadata.Version, diff)
	}
	// What changes nothing makes no version, and tells the one there is.
	if a := p.want(t, 200, p.root, "PUT", at,
		`{"data":{"foo":"bar2","new":"n"},"options":{"cas":2}}`); a.Data.Version != 2 {
		t.Errorf("no change: %s", a.body)
	}
	if a := p.want(t, 200, p.root, "PATCH", at, `{"data":{"foo":null,"two":"2"}}`); a.Data.Version != 3 {
		t.Errorf("a patch: %s", a.body)
	}
	// InfluxDB's API sees the same, and its changes count.
	keys, err := p.secrets.Keys(t.Context(), p.caller(t, p.root), p.org)
	must(t, err)
	if diff := cmp.Diff([]string{"new", "two"}, keys); diff != "" {
		t.Error(diff)
	}
	_, err = p.secrets.Apply(t.Context(), p.caller(t, p.root), p.org,
		secret.Change{Set: map[string]secret.Value{"by-influx": secret.NewValue([]byte("x"))}})
	must(t, err)
	p.want(t, 400, p.root, "PUT", at, `{"data":{},"options":{"cas":3}}`)
	p.want(t, 200, p.root, "PUT", at, `{"data":{},"options":{"cas":4}}`)
	if a := p.want(t, 200, p.root, "GET", at, ""); len(a.Data.Data) != 0 || a.Data.Metadata.Version != 5 {
		t.Errorf("the last one deleted: %s", a.body)
	}
	p.want(t, 200, p.root, "GET", at+"?version=5", "")
	p.want(t, 404, p.root, "GET", at+"?version=4", "")
	p.want(t, 204, p.root, "DELETE", at, "")
	p.want(t, 204, p.root, "DELETE", "secret/metadata/acme", "")
	p.want(t, 200, p.root, "GET", at, "")
}

// many are so many members of a JSON object.
func many(n int, value string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"%x":%s`, i, value)
	}
	return b.String()[1:]
}

// What an organisation's map cannot hold is refused with a sentence, and nothing of it is kept.
func TestOrganisationRefuses(t *testing.T) {
	p := start(t, nil)
	at := "secret/data/acme"
	p.want(t, 200, p.root, "PUT", at, `{"data":{"a":"1"}}`)
	for _, body := range []string{
		`{"data":{"a":"2","b":1}}`, `{"data":{"a":"2","b":null}}`, `{"data":{"a":"2","b":{"c":"d"}}}`,
		`{"data":{"a":"2","":"x"}}`, `{"data":{"a":"2","b":"` + "\\u0000document\\u0000[" + `"}}`,
		`{"data":{"a":"2","\u0001":"x"}}`, `{"data":{"a":"2"},"options":{"cas":1.5}}`,
		`{"data":{"a":"2"},"options":{"cas":-1}}`, `{"data":{"a":"2"},"options":[]}`, `{"data":"x"}`, `{"a":"2"}`,
		`null`, `[]`, `{"data":{"a":"\ud800"}}`,
	} {
		if a := p.want(t, 400, p.root, "PUT", at, body); a.said() == "" {
			t.Errorf("%s is refused without a word", body)
		}
	}
	p.want(t, 413, p.root, "PUT", at, `{"data":{"`+strings.Repeat("k", 2000)+`":"v"}}`)
	for _, value := range []string{`""`, `null`} {
		a := p.want(t, 413, p.root, "PATCH", at, `{"data":{`+many(secret.MaxChange+1, value)+`}}`)
		if !strings.Contains(a.said(), "divide it") {
			t.Errorf("too many: %s", a.body)
		}
	}
	p.want(t, 400, p.root, "PATCH", at, `{"data":{"a":null,"b":7}}`)
	for _, kind := range []string{"delete", "undelete", "destroy"} {
		p.want(t, 400, p.root, "PUT", "secret/"+kind+"/acme", `{"versions":[1]}`)
	}
	if a := p.want(t, 200, p.root, "GET", at, ""); a.Data.Data["a"] != "1" || len(a.Data.Data) != 1 ||
		a.Data.Metadata.Version != 1 {
		t.Errorf("after the refusals: %s", a.body)
	}
}

// A token narrowed to names has its view: it reads those, and a PUT replaces those alone.
func TestOrganisationNarrowed(t *testing.T) {
	p := start(t, nil)
	at := "secret/data/acme"
	p.want(t, 200, p.root, "PUT", at, `{"data":{"db/a":"1","db/b":"2","other":"3"}}`)
	narrow := p.token(t, p.root, may(p.org, "db/*", access.Use, access.Write, access.Read)...)
	a := p.want(t, 200, narrow, "GET", at, "")
	if diff := cmp.Diff(map[string]any{"db/a": "1", "db/b": "2"}, a.Data.Data); diff != "" {
		t.Error(diff)
	}
	p.want(t, 200, narrow, "PUT", at, `{"data":{"db/a":"new"},"options":{"cas":1}}`)
	p.want(t, 403, narrow, "PUT", at, `{"data":{"db/a":"new","other":"taken"}}`)
	a = p.want(t, 200, p.root, "GET", at, "")
	if diff := cmp.Diff(map[string]any{"db/a": "new", "other": "3"}, a.Data.Data); diff != "" {
		t.Error(diff)
	}
	// It reads more than it writes: what it may not write stays, or all of it is refused.
	reader := p.token(t, p.root, append(may(p.org, "", access.Use), may(p.org, "db/*", access.Write)...)...)
	p.want(t, 403, reader, "PUT", at, `{"data":{"db/a":"x"}}`)
	p.want(t, 200, reader, "PUT", at, `{"data":{"db/a":"x","other":"3"}}`)
}

// TestNarrowedFromMemory: values that are kept in memory as one piece are given out by name all the same.
func TestNarrowedFromMemory(t *testing.T) {
	p := start(t, nil)
	const at = "secret/data/acme"
	all := map[string]any{}
	for i := range 40 {
		all[fmt.Sprintf("%s/%02d", []string{"db", "other"}[i%2], i)] = fmt.Sprint("value ", i)
	}
	body, err := json.Marshal(map[string]any{"data": all})
	must(t, err)
	p.want(t, 200, p.root, "PUT", at, string(body))
	narrow := p.token(t, p.root, may(p.org, "db/*", access.Use, access.Write, access.Read)...)
	one := p.token(t, p.root, may(p.org, "other/01", access.Use)...)
	for range 3 {
		for token, sees := range map[string]func(string) bool{
			p.root: func(string) bool { return true },
			narrow: func(k string) bool { return strings.HasPrefix(k, "db/") },
			one:    func(k string) bool { return k == "other/01" },
		} {
			a := p.want(t, 200, token, "GET", at, "")
			for k, v := range all {
				if got, ok := a.Data.Data[k]; ok != sees(k) || ok && got != v {
					t.Fatalf("%s is %v, and there %v", k, got, ok)
				}
			}
		}
	}
	for _, path := range []string{"metadata/acme", "metadata/acme/other"} {
		if a := p.call(t, narrow, "LIST", "secret/"+path, ""); strings.Contains(a.body, "other") {
			t.Errorf("%s shows %s", path, a.body)
		}
	}
	p.want(t, 200, narrow, "PUT", at, `{"data":{"db/00":"new"}}`)
	if a := p.want(t, 200, p.root, "GET", at, ""); len(a.Data.Data) != 21 || a.Data.Data["db/00"] != "new" ||
		a.Data.Data["other/01"] != "value 1" {
		t.Errorf("a narrowed write left %v", a.Data.Data)
	}
}

// An organisation that another InfluxDB made is unknown here, until a token that may make some writes to it.
func TestNewOrganisations(t *testing.T) {
	const elsewhere = "00000000000000aa"
	at := "secret/data/" + elsewhere
	writer := func(p *parts) string {
		return p.token(t, p.root, append(may(0, "", access.Use, access.Read, access.Write),
			access.To(access.Write, access.Resource{Type: access.Orgs}))...)
	}
	p := start(t, nil)
	token := writer(p)
	p.want(t, 404, token, "GET", at, "")
	if a := p.want(t, 403, token, "PUT", at, `{"data":{"a":"1"},"options":{"cas":0}}`); !strings.Contains(a.said(),
		"--vault-api-new-orgs") {
		t.Errorf("refused: %s", a.body)
	}
	p = start(t, func(c *vaultapi.Config) { c.NewOrgs = true })
	token = writer(p)
	global := p.token(t, p.root, may(0, "", access.Use, access.Read, access.Write)...)
	if a := p.want(t, 403, global, "PUT", at, `{"data":{"a":"1"}}`); !strings.Contains(a.said(), "--write-orgs") {
		t.Errorf("refused: %s", a.body)
	}
	p.want(t, 403, token, "PUT", "secret/data/no-id", `{"data":{"a":"1"}}`)
	p.want(t, 200, token, "PUT", at, `{"data":{"a":"1"},"options":{"cas":0}}`)
	p.want(t, 200, global, "GET", at, "")
	org, err := id.Parse(elsewhere)
	must(t, err)
	if o, err := p.users.OrgByID(t.Context(), p.caller(t, p.root), org); err != nil || !strings.Contains(o.Name,
		elsewhere) {
		t.Errorf("made as %+v, %v", o, err)
	}
}

// writers are clients that each add secrets of their own to one organisation as InfluxDB does: read, change, write with
// cas. It tells how many writes were refused, and what is missing in the end.
func writers(t *testing.T, p *parts, clients, each int) (refused int, missing []string) {
	t.Helper()
	at := "secret/data/" + p.org.String()
	var mu sync.Mutex
	var wg sync.WaitGroup
	wrote := make(map[string]string)
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				a := p.call(t, p.root, "GET", at, "")
				k, v := fmt.Sprintf("c%02d/%d", c, i), fmt.Sprintf("v%d", i)
				if a.Data.Data[k] = v; i > 0 {
					delete(a.Data.Data, fmt.Sprintf("c%02d/%d", c, i-1))
				}
				body, err := json.Marshal(map[string]any{"data": a.Data.Data,
					"options": map[string]any{"cas": a.Data.Metadata.Version}})
				if err != nil {
					t.Error(err)
					return
				}
				w := p.call(t, p.root, "PUT", at, string(body))
				mu.Lock()
				if w.status != 200 {
					t.Logf("refused: %d %s", w.status, w.body)
					refused++
				} else {
					delete(wrote, fmt.Sprintf("c%02d/%d", c, i-1))
					wrote[k] = v
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	a := p.want(t, 200, p.root, "GET", at, "")
	for k, v := range wrote {
		if a.Data.Data[k] != v {
			missing = append(missing, k)
		}
	}
	return refused, missing
}

// Writers of different secrets of one organisation: with merging none is refused, and never is one lost.
func TestMerge(t *testing.T) {
	p := start(t, func(c *vaultapi.Config) { c.Merge = true })
	if refused, missing := writers(t, p, 16, 4); refused > 0 || len(missing) > 0 {
		t.Errorf("%d were refused, and these are missing: %v", refused, missing)
	}
	// The same secret changed by both is refused.
	at := "secret/data/acme"
	a := p.want(t, 200, p.root, "GET", at, "")
	version := a.Data.Metadata.Version
	p.want(t, 200, p.root, "PATCH", at, `{"data":{"x":"theirs"}}`)
	p.want(t, 400, p.root, "PUT", at, fmt.Sprintf(`{"data":{"x":"mine"},"options":{"cas":%d}}`, version))
	p.want(t, 400, p.root, "PUT", at, fmt.Sprintf(`{"data":{"y":"mine"},"options":{"cas":%d}}`, version+100))
	if a := p.want(t, 200, p.root, "GET", at, ""); a.Data.Data["x"] != "theirs" {
		t.Errorf("after the refusals: %s", a.body)
	}
}

func TestNoMerge(t *testing.T) {
	p := start(t, nil)
	if _, missing := writers(t, p, 8, 3); len(missing) > 0 {
		t.Errorf("these were acknowledged and are missing: %v", missing)
	}
}

// TestMergeAfterTheEnd: an organisation whose secrets were removed for good, by whichever API, counts its versions anew.
// What was known of a version of before is not taken for what the new one of that number has.
func TestMergeAfterTheEnd(t *testing.T) {
	for name, remove := range map[string]func(t *testing.T, p *parts){
		"this API's": func(t *testing.T, p *parts) { p.want(t, 204, p.root, "DELETE", "secret/metadata/acme", "") },
		"another": func(t *testing.T, p *parts) {
			must(t, p.store.Purge(t.Context(), p.org))
			wait(t, 2*time.Millisecond) // the time of a version has that unit
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, func(c *vaultapi.Config) { c.Merge = true })
			const at = "secret/data/acme"
			p.want(t, 200, p.root, "PUT", at, `{"data":{"x":"old"}}`)
			before := p.want(t, 200, p.root, "GET", at, "").Data.Metadata.Version
			remove(t, p)
			p.want(t, 200, p.root, "PUT", at, `{"data":{"x":"new"}}`)
			version := p.want(t, 200, p.root, "GET", at, "").Data.Metadata.Version
			if version != before {
				t.Fatalf("the new version is %d, as none was before: this tries nothing", version)
			}
			p.want(t, 200, p.root, "PATCH", at, `{"data":{"x":"old"}}`)
			p.want(t, 400, p.root, "PUT", at, fmt.Sprintf(`{"data":{"x":"mine"},"options":{"cas":%d}}`, version))
		})
	}
}
