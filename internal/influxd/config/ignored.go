package config

import "strings"

// ignored are InfluxDB's settings that existing unit files, variables and configuration files carry and that mean
// nothing here, most of them of its storage and query engines. They are taken and named in one line of the log. True
// marks a switch, which takes no value after a space. The list is of influxd 2.0 to 2.9 (cmd/influxd/launcher/cmd.go).
var ignored = map[string]bool{
	"assets-path":                                    false,
	"e2e-testing":                                    true,
	"engine-path":                                    false,
	"feature-flags":                                  false,
	"flux-log-enabled":                               true,
	"hardening-enabled":                              true,
	"influxql-max-select-buckets":                    false,
	"influxql-max-select-point":                      false,
	"influxql-max-select-series":                     false,
	"instance-id":                                    false,
	"nats-max-payload-bytes":                         false,
	"nats-port":                                      false,
	"new-meta-store":                                 true,
	"new-meta-store-read-only":                       true,
	"no-tasks":                                       true,
	"pprof-disabled":                                 true,
	"protos-path":                                    false,
	"query-concurrency":                              false,
	"query-initial-memory-bytes":                     false,
	"query-max-memory-bytes":                         false,
	"query-memory-bytes":                             false,
	"query-queue-size":                               false,
	"reporting-disabled":                             true,
	"sqlite-path":                                    false,
	"storage-cache-max-memory-size":                  false,
	"storage-cache-snapshot-memory-size":             false,
	"storage-cache-snapshot-write-cold-duration":     false,
	"storage-compact-full-write-cold-duration":       false,
	"storage-compact-throughput-burst":               false,
	"storage-max-concurrent-compactions":             false,
	"storage-max-index-log-file-size":                false,
	"storage-no-validate-field-size":                 true,
	"storage-retention-check-interval":               false,
	"storage-series-file-max-concurrent-compactions": false,
	"storage-series-file-max-concurrent-snapshot-compactions": false,
	"storage-series-id-set-cache-size":                        false,
	"storage-shard-precreator-advance-period":                 false,
	"storage-shard-precreator-check-interval":                 false,
	"storage-tsm-use-madv-willneed":                           true,
	"storage-validate-keys":                                   true,
	"storage-wal-flush-on-shutdown":                           true,
	"storage-wal-fsync-delay":                                 false,
	"storage-wal-max-concurrent-writes":                       false,
	"storage-wal-max-write-delay":                             false,
	"storage-write-timeout":                                   false,
	"template-file-urls-disabled":                             true,
	"testing-always-allow-setup":                              true,
	"tracing-type":                                            false,
}

// foreignVariable reports whether a variable that begins with INFLUXD_ is somebody else's: those that Kubernetes makes
// for a service called "influxd" (INFLUXD_SERVICE_HOST, INFLUXD_PORT_8086_TCP_ADDR), and those of InfluxDB's packages,
// whose start script reads them.
func foreignVariable(name string) bool {
	switch name {
	case "INFLUXD_OPTS", "INFLUXD_PORT", "INFLUXD_SERVICE_HOST", "INFLUXD_SERVICE_UP_CHECK_DELAY":
		return true
	}
	return strings.HasPrefix(name, "INFLUXD_SERVICE_PORT") || strings.HasPrefix(name, "INFLUXD_PORT_")
}
