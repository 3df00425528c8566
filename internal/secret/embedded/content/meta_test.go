package content

import (
	"encoding/json"
	"reflect"
	"testing"
)

// TestEncodeMeta compares what is encoded by hand with what encoding/json makes of it.
func TestEncodeMeta(t *testing.T) {
	t.Parallel()
	for _, m := range []Meta{
		{Created: 1, Versions: []Version{{N: 1, At: 1}}},
		{Created: 1_700_000_000_000, Versions: []Version{{N: 9, At: 2, By: "ann"}, {N: 10, At: -3}}},
		{Created: 1, Versions: []Version{{N: 1, At: 1, By: `"a" <b> & \ é` + "\n"}}},
		{Created: 1, Versions: []Version{{N: 1, At: 1, Lost: true}, {N: 2, At: 1, Destroyed: true}, {N: 3, Deleted: 4}}},
		{Created: 1, Description: "what it is for", Expires: 5, Versions: []Version{{N: 1}}, Deleted: &Deletion{At: 7}},
	} {
		got, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := json.Marshal(m); string(got) != string(want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestParseMeta compares what is read by hand with what encoding/json makes of it, malformed texts first.
func TestParseMeta(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, `{}`, `null`, `{"created":1}`, `{"created":1,"versions":[]}`, `{"created":,"versions":[{"n":1,"at":1}]}`,
		`{"created":1,"versions":[{"n":1,"at":1}]`, `{"created":1,"versions":[{"n":1,"at":1},]}`,
		`{"created":1,"versions":[{"n":1,"at":1}]}}`, `{"created":1,"versions":[{"n":01,"at":1}]}`,
		`{"created":-0,"versions":[{"n":1,"at":1}]}`, `{"created":1.5,"versions":[{"n":1,"at":1}]}`,
		`{"created":99999999999999999999,"versions":[{"n":1,"at":1}]}`,
		`{"created":9223372036854775807,"versions":[{"n":1,"at":-9223372036854775808}]}`,
		`{"created":1,"versions":[{"n":1,"at":1,"by":"ann]}`, `{"created":1,"versions":[{"n":1,"at":1,"by":"a\"}]}`,
		`{"created":1,"versions":[{"n":1,"at":1,"by":"` + "\xff" + `"}]}`,
		`{"created":1,"versions":[{"n":1,"at":1,"by":""}]}`, `{"created":1,"versions":[{"n":1,"at":1,"by":"\u0061"}]}`,
		` {"created":1,"versions":[{"at":1,"n":1}]} `, `{"created":1,"versions":[{"n":1,"at":1,"lost":true}]}`,
		`{"created":1,"versions":[{"n":1,"at":2,"by":"ann"},{"n":2,"at":-3},{"n":3,"at":0,"by":"é"}]}`,
		`{"created":1,"description":"x","expires":5,"versions":[{"n":1,"at":0}],"deleted":{"at":7}}`,
		`{"created":1700000000000,"versions":[{"n":9,"at":2,"by":"ann"},{"n":10,"at":-3}]}`,
	} {
		var want Meta
		ok := json.Unmarshal([]byte(text), &want) == nil && len(want.Versions) > 0
		got, err := ParseMeta([]byte(text))
		if (err == nil) != ok || ok && !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %+v, %v; want %+v, %t", text, got, err, want, ok)
		}
	}
}

// BenchmarkParseMeta reads what most secrets have.
func BenchmarkParseMeta(b *testing.B) {
	plain, err := (&Meta{Created: 1_700_000_000_000, Versions: []Version{{N: 1, At: 1_700_000_000_000, By: "grace"}}}).Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseMeta(plain); err != nil {
			b.Fatal(err)
		}
	}
}
