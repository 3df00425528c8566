package listener

import (
	"testing"

	"strongroom/internal/influxd/config"
)

// settings is a configuration of the flags alone.
func settings(t *testing.T, flags ...string) *config.Config {
	t.Helper()
	args, err := config.ParseArgs(flags)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(args, []string{"HOME=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func succeed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
