package command

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"strongroom/internal/influxd/config"
)

// NewLogger is the daemon's log: text for people at a terminal, JSON lines for everyone else.
func NewLogger(w io.Writer, cfg *config.Config) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Place("log-level"), err)
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	asText := cfg.LogFormat == "text"
	if f, ok := w.(*os.File); ok && cfg.LogFormat == "auto" {
		asText = term.IsTerminal(int(f.Fd()))
	}
	if asText {
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
	return slog.New(slog.NewJSONHandler(w, options)), nil
}

// readable writes a duration with its unit, such as 1.5s: slog's JSON would have bare nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
