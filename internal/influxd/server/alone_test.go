package server

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"strongroom/internal/background"
	"strongroom/internal/kv/bolt"
)

// TestAloneLetsGo has what is done under a hold panic: when it is begun again, it does not wait for itself.
func TestAloneLetsGo(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	log := slog.New(slog.DiscardHandler)
	begun := 0
	background.KeepOn(t.Context(), log, func(ctx context.Context) {
		alone(ctx, db, log, "x", func(context.Context) {
			if begun++; begun == 1 {
				panic("for the test")
			}
		})
	})
	if begun != 2 {
		t.Errorf("it was begun %d times", begun)
	}
}
