package influxd

import (
	"context"
	"fmt"

	"strongroom/internal/influxd/config"
)

// Set by the linker; see the Makefile.
var (
	version = "dev"
	commit  = "unknown"
	date    = "unknown"
)

// printVersion writes the version in the form of InfluxDB's, which scripts take apart.
func printVersion(_ context.Context, p Process, _ config.Args) error {
	fmt.Fprintf(p.Stdout, "Strongroom %s (git: %s) build_date: %s\n", version, commit, date)
	return nil
}
