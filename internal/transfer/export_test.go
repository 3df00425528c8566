package transfer

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
)

func TestReadExportRefuses(t *testing.T) {
	for _, text := range []string{
		"", "sesame", `{"format":"strongroom-secrets-2"}`, `{"format":"strongroom-secrets-1"`,
		`{"format":"strongroom-secrets-1"} sesame`,
		`{"format":"strongroom-secrets-1","organizations":[{"id":"sesame"}]}`,
		`{"format":"strongroom-secrets-1","organizations":[{"secrets":{"a":"b"}}]}`,
		`{"format":"strongroom-secrets-1","organizations":[{"id":"0000000000000001","secrets":{"a":{"sesame":1}}}]}`,
	} {
		if _, err := ReadExport(strings.NewReader(text)); !errors.Is(err, errExport) ||
			strings.Contains(err.Error(), "sesame") {
			t.Errorf("%q: %v", text, err)
		}
	}
	broken := errors.New("the wrong key")
	if _, err := ReadExport(failing{broken}); !errors.Is(err, broken) {
		t.Errorf("a reader's error: %v", err)
	}
	away := newMemory(many(2))
	away.fail = func(string, string) error { return errs.New(errs.Unavailable, "away") }
	if _, err := Export(t.Context(), away, []identity.Org{{ID: 1}}, time.Now(), &bytes.Buffer{}); !errs.Is(err,
		errs.Unavailable) {
		t.Errorf("a store that is away: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestExport(t *testing.T) {
	from := newMemory(many(5))
	from.orgs[2] = map[string]string{"ключ": "a\nb<>&\u2028", "": ""}
	var b bytes.Buffer
	n, err := Export(t.Context(), from, []identity.Org{{ID: 1}, {ID: 2}, {ID: 3}}, time.Unix(0, 0), &b)
	if err != nil || n.Secrets != 7 {
		t.Fatal(n, err)
	}
	c, err := ReadExport(&b)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[id.ID]map[string]string)
	for _, s := range c.Secrets {
		if got[s.Org] == nil {
			got[s.Org] = make(map[string]string)
		}
		got[s.Org][s.Key] = string(s.Value.Bytes())
	}
	if diff := cmp.Diff(from.orgs, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzReadExport(f *testing.F) {
	f.Add(
		[]byte(
			`{"format":"strongroom-secrets-1","exported":"2026-01-02T03:04:05Z","organizations":[{"id":"0000000000000001","secrets":{"a":"b"}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ReadExport(bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, s := range c.Secrets {
			if !s.Org.Valid() {
				t.Errorf("a secret of no organisation: %q", s.Key)
			}
		}
	})
}
