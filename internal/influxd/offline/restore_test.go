package offline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRestoreTakesNoNewFile leaves alone the data that a server has begun after restore found none.
func TestRestoreTakesNoNewFile(t *testing.T) {
	place, candidate := filepath.Join(t.TempDir(), "influxd.bolt"), filepath.Join(t.TempDir(), "candidate")
	noError(t, os.WriteFile(place, []byte("new"), 0o600))
	noError(t, os.WriteFile(candidate, []byte("backup"), 0o600))
	_, err := put(place, candidate, true)
	kept, readErr := os.ReadFile(place)
	noError(t, readErr)
	if err == nil || !strings.Contains(err.Error(), place) || string(kept) != "new" {
		t.Errorf("%v, and the place holds %q", err, kept)
	}
}
