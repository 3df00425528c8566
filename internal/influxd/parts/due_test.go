package parts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/influxd/config"
)

// TestDueKey: the key that signs is one that only we can read, and long enough; no error shows it.
func TestDueKey(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file",
		dir:                        "is no plain file",
		file("open", "sesame sesame sesame", 0o644):         "can be read or written by others",
		file("short", "sesame\n", 0o600):                    "the key has 6 bytes",
		file("long", strings.Repeat("sesame", 1000), 0o600): "is longer than 4096 bytes",
	} {
		cfg := &config.Config{Due: config.Due{Every: time.Hour, Webhook: "https://example.com/", KeyFile: path}}
		_, err := Due(cfg, nil, nil, nil, nil, nil, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sesame") ||
			!strings.Contains(err.Error(), "secret-due-webhook-key-file") {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	key, err := signingKey(file("good", " sesame sesame sesame\n", 0o600))
	if err != nil || string(key) != "sesame sesame sesame" {
		t.Errorf("read as %q, %v", key, err)
	}
	if w, err := Due(&config.Config{}, nil, nil, nil, nil, nil, nil); w != nil || err != nil {
		t.Errorf("nobody is to look, and %v, %v", w, err)
	}
}
