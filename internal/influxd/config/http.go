package config

import "strongroom/internal/influxd/config/value"

func (c *Config) httpSettings() group {
	return group{"HTTP", []setting{
		{name: "http-bind-address", value: value.Address(&c.HTTPBindAddress), def: "127.0.0.1:9999",
			help: "address the API listens on; :8086 means port 8086 on every interface, port 0 a free one"},
		{name: "http-socket", value: value.Path(&c.HTTPSocket),
			help: "Unix socket that the API is served on too, without TLS; influx reaches it with --host " +
				"unix:///path/of/the/socket"},
		{name: "http-socket-mode", value: value.OneOf(&c.HTTPSocketMode, "0600", "0660", "0666"), def: "0660",
			help: "who may connect to the socket: its owner, its group too, or everybody on the machine"},
		{name: "http-read-header-timeout", value: value.Duration(&c.HTTPReadHeaderTimeout), def: "10s",
			help: "longest time a request's header may take to arrive; 0 for no limit"},
		{name: "http-read-timeout", value: value.Duration(&c.HTTPReadTimeout), def: "1m",
			help: "longest time a whole request may take to arrive; 0 for no limit"},
		{name: "http-write-timeout", value: value.Duration(&c.HTTPWriteTimeout), def: "2m",
			help: "longest time from a request's header to the end of its answer; 0 for no limit"},
		{name: "http-idle-timeout", value: value.Duration(&c.HTTPIdleTimeout), def: "3m",
			help: "how long a connection without a request is kept; 0 for no limit"},
		{name: "http-max-connections", value: value.Count(&c.HTTPMaxConnections), def: "4096",
			help: "connections open at a time; where all are taken, idle ones are closed for those who come, and " +
				"where none is idle they wait; 0 for no limit"},
		{name: "http-max-client-connections", value: value.Count(&c.HTTPMaxClientConnections), def: "512",
			help: "connections of one client (an address, or a /64 of IPv6) that is none of " +
				"--trusted-proxies, at most half of all; 0 for no limit"},
		{name: "shutdown-timeout", value: value.Duration(&c.ShutdownTimeout), def: "30s",
			help: "how long requests in flight may go on after SIGTERM or SIGINT before they are cut off; 0 " +
				"cuts at once"},
		{name: "trusted-proxies", value: value.List(&c.TrustedProxies),
			help: "addresses and networks (CIDR) of the proxies in front: the client is then the rightmost address " +
				"of X-Forwarded-For that is none of theirs, and X-Forwarded-Proto and X-Forwarded-Prefix count; of " +
				"anybody else these headers do not"},
		{name: "base-path", value: value.Text(&c.BasePath),
			help: "path below which a proxy has the server, such as /strongroom, where it does not say so in " +
				"X-Forwarded-Prefix; taken off a request's path where the proxy leaves it there"},
		{name: "metrics-disabled", value: value.YesNo(&c.MetricsDisabled), def: "false",
			help: "do not serve /metrics"},
		{name: "ui-disabled", value: value.YesNo(&c.UIDisabled), def: "false",
			help: "do not serve the web page; the API goes on"},
	}}
}

func (c *Config) tlsSettings() group {
	return group{"TLS", []setting{
		{name: "tls-cert", value: value.Path(&c.TLSCert),
			help: "file with the server's certificate and its chain (PEM); with --tls-key the API is served as " +
				"https"},
		{name: "tls-key", value: value.Path(&c.TLSKey),
			help: "file with the certificate's private key (PEM)"},
		{name: "tls-min-version", value: value.OneOf(&c.TLSMinVersion, "1.2", "1.3"), def: "1.3",
			help: "oldest TLS version a client may use"},
		{name: "tls-client-cacert", value: value.Path(&c.TLSClientCACert),
			help: "file with authorities (PEM), or a folder of such files: every client of the API then shows a " +
				"certificate of theirs, beside its token; followed in its files"},
		{name: "tls-strict-ciphers", value: value.YesNo(&c.TLSStrictCiphers), def: "false",
			help: "TLS 1.2, where --tls-min-version=1.2 lets it in, with ECDHE key exchange and AES-GCM or " +
				"ChaCha20-Poly1305 only"},
	}}
}

func (c *Config) limitSettings() group {
	return group{"Limits", []setting{
		{name: "max-body-size", value: value.Size(&c.MaxBodySize), def: "4MiB",
			help: "largest body of a request"},
		{name: "max-secret-value-size", value: value.Size(&c.MaxSecretValueSize), def: "1MiB",
			help: "longest value of a secret"},
		{name: "max-secret-key-size", value: value.Size(&c.MaxSecretKeySize), def: "1KiB",
			help: "longest key of a secret"},
		{name: "max-in-flight", value: value.Size(&c.MaxInFlight), def: "256MiB",
			help: "memory that the bodies and answers of all requests under way may take, half of it those " +
				"of one user; what finds no room is answered 503 with Retry-After"},
	}}
}

func (c *Config) sessionSettings() group {
	return group{"Sessions", []setting{
		{name: "session-length", value: value.Positive(&c.SessionLength), def: "60",
			help: "minutes a session lasts after sign-in, or after its last use"},
		{name: "session-renew-disabled", value: value.YesNo(&c.SessionRenewDisabled), def: "false",
			help: "end a session its length after sign-in, however much it is used"},
	}}
}
