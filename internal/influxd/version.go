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

// apiLevel is the release of InfluxDB whose API this one follows. Clients read it in the X-Influxdb-Version header and in
// /health, and some take it apart; what follows the plus sign is ours (semver.org, build metadata).
const apiLevel = "2.7.0"

func apiVersion() string { return "v" + apiLevel + "+strongroom." + version }

// printVersion writes the version in the form of InfluxDB's, which scripts take apart.
func printVersion(_ context.Context, p Process, _ config.Args) error {
	fmt.Fprintf(p.Stdout, "Strongroom %s (git: %s) build_date: %s\n", version, commit, date)
	return nil
}
