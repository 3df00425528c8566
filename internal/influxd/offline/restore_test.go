package offline

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRestoreTakesNoNewFile leaves alone the data that a server has begun after restore found none.
func TestRestoreTakesNoNewFile(t *testing.T) {
	place, candidate := filepath.Join(t.TempDir(), "influxd.bolt"), filepath.Join(t.TempDir(), "candidate")
	if err := errors.Join(os.WriteFile(place, []byte("new"), 0o600),
		os.WriteFile(candidate, []byte("backup"), 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err := put(place, candidate, true)
	kept, readErr := os.ReadFile(place)
	if readErr != nil {
		t.Fatal(readErr)
	}
	if err == nil || !strings.Contains(err.Error(), place) || string(kept) != "new" {
		t.Errorf("%v, and the place holds %q", err, kept)
	}
}
