package command

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"strongroom/internal/influxd/config"
)

// TestLogWritesUnits: a duration in the log has its unit, in both formats.
func TestLogWritesUnits(t *testing.T) {
	for format, want := range map[string]string{"json": `"took":"1.5s"`, "text": "took=1.5s"} {
		var b bytes.Buffer
		log, err := NewLogger(&b, &config.Config{LogLevel: "info", LogFormat: format})
		if err != nil {
			t.Fatal(err)
		}
		log.With("org", "x").Info("done", "took", 1500*time.Millisecond)
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s: %s lacks %s", format, b.String(), want)
		}
	}
}
