package config

import "strongroom/internal/influxd/config/value"

func (c *Config) processSettings() group {
	return group{"Process", []setting{
		{name: "audit-sinks", value: value.List(&c.AuditSinks), def: "audit.log beside the file of --bolt-path",
			help: "where the record of every act goes, one or more of a file's path, stdout and syslog; an act " +
				"that none of them takes does not happen"},
		{name: "log-level", value: value.OneOf(&c.LogLevel, "debug", "info", "warn", "error"), def: "info",
			help: "least level that is logged"},
		{name: "log-format", value: value.OneOf(&c.LogFormat, "auto", "text", "json"), def: "auto",
			help: "auto is text on a terminal and JSON lines elsewhere"},
		{name: "tracing-endpoint", value: value.Text(&c.TracingEndpoint),
			help: "collector of traces that takes OpenTelemetry's OTLP over HTTP, such as http://localhost:4318; " +
				"what it asks to be known by goes into the variable OTEL_EXPORTER_OTLP_HEADERS"},
		{name: "tracing-ratio", value: value.Share(&c.TracingRatio), def: "1",
			help: "which part of the requests is traced: 0.1 is one in ten"},
		{name: "config-path", value: value.Path(&c.ConfigPath), notInFile: true,
			help: "configuration file (.toml, .yaml, .yml, .json), or a folder with one called config; none is " +
				"looked for elsewhere"},
		{name: "pid-file", value: value.Path(&c.PIDFile),
			help: "file to write the process's id to while it runs"},
		{name: "overwrite-pid-file", value: value.YesNo(&c.OverwritePIDFile), def: "false",
			help: "replace a pid file that is there already"},
	}}
}
