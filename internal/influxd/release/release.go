// Package release tells which release this is.
package release

// Set by the linker; see the Makefile.
var (
	version = "dev"
	commit  = "unknown"
	date    = "unknown"
)

// apiLevel is the release of InfluxDB whose API this one follows. Clients read it in the X-Influxdb-Version header and
// in /health, and some take it apart; what follows the plus sign is ours (semver.org, build metadata).
const apiLevel = "2.7.0"

// API is the version that the API tells.
func API() string { return "v" + apiLevel + "+strongroom." + version }

// Version is this program's own.
func Version() string { return version }

// Commit is the source it was made of.
func Commit() string { return commit }

// Date returns the date of the commit.
func Date() string { return date }
