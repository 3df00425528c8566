package perorg

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/queue"
)

// TestRawKept wants others' values to go back as they came, also numbers that Vault itself would not keep.
func TestRawKept(t *testing.T) {
	const data = `{"n":1e400,"d":1.00000000000000000000000000000001,"s":"x"}`
	read, odd := kv2.ParseEntry([]byte(`{"data":{"data":` + data + `,"metadata":{"version":7}}}`))
	if odd || read.Version != 7 {
		t.Fatalf("version %d, odd %v", read.Version, odd)
	}
	e := entry{read}
	next, changed := e.with([]*queue.Change{
		{Change: secret.Change{Set: map[string]secret.Value{"s": secret.NewValue([]byte("y"))}}}})
	const want = `{"d":1.00000000000000000000000000000001,"n":1e400,"s":"y"}`
	if got := string(kv2.Encode(next)); got != want || !changed {
		t.Errorf("written %s, want %s", got, want)
	}
	if diff := cmp.Diff(`"x"`, string(e.Data["s"])); diff != "" {
		t.Errorf("the entry that was read has changed: %s", diff)
	}
}
