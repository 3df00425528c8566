package secrets

import (
	"bytes"
	"encoding/json"
	"regexp"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/errs"
)

// FuzzDecodeSecrets holds what is taken against encoding/json, and what is refused too.
func FuzzDecodeSecrets(f *testing.F) {
	for _, body := range []string{`{"foo":"bar","hello":"world"}`, `{}`, ` { "a" : "\u00e9\ud83d\udd11\\" } `,
		`{"a":"1","a":"2"}`, `{"a":null}`, `{"a":1}`, `{"a":{"b":"c"}}`, `{"a":["b"]}`, `null`, `[]`, `{"a":"b"} x`,
		`{"a":"b"}{}`, `{"a":"\ud800"}`, `{"\udc00":"b"}`, "{\"\xff\":\"b\"}", `{"a"`, ``, `{"a":"b",}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decodeSecrets(bytes.Clone(body), func(int64) error { return nil })
		var reference map[string]*string
		refused := json.Unmarshal(body, &reference) != nil || reference == nil || !utf8.Valid(body)
		for _, v := range reference {
			refused = refused || v == nil
		}
		if err != nil {
			if code := errs.CodeOf(err); code != errs.Invalid {
				t.Fatalf("refused as %q", code)
			}
			// What is refused beyond that is a null under a name that comes again, or half of a surrogate pair.
			if !refused && !bytes.Contains(body, []byte("null")) && !regexp.MustCompile(`(?i)\\ud[89a-f]`).Match(body) {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		if refused {
			t.Fatal("taken, and encoding/json refuses it")
		}
		values, want := make(map[string]string), make(map[string]string)
		for k, v := range got {
			values[k] = string(v.Bytes())
		}
		for k, v := range reference {
			want[k] = *v
		}
		if diff := cmp.Diff(want, values); diff != "" {
			t.Fatalf("encoding/json (-) and ours (+):\n%s", diff)
		}
	})
}
