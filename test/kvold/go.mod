// InfluxDB's own code that keeps secrets in a Vault, with the release of Vault's Go client that it links.
module strongroom/test/kvold

go 1.26.0

replace (
	// Whatever the product needs: InfluxDB has this one.
	github.com/hashicorp/vault/api => github.com/hashicorp/vault/api v1.0.2
	// make test-modules puts it there.
	github.com/influxdata/influxdb/v2 => ../../.cache/influxdb-source
	strongroom => ../..
	strongroom/test => ..
)

require (
	github.com/influxdata/influxdb/v2 v2.8.0
	strongroom/test v0.0.0
)

require (
	github.com/golang/snappy v0.0.1 // indirect
	github.com/hashicorp/errwrap v1.1.0 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/hashicorp/go-multierror v1.1.1 // indirect
	github.com/hashicorp/go-retryablehttp v0.7.8 // indirect
	github.com/hashicorp/go-rootcerts v1.0.2 // indirect
	github.com/hashicorp/go-sockaddr v1.0.7 // indirect
	github.com/hashicorp/hcl v1.0.1-vault-7 // indirect
	github.com/hashicorp/vault/api v1.23.0 // indirect
	github.com/hashicorp/vault/sdk v0.1.8 // indirect
	github.com/mitchellh/go-homedir v1.1.0 // indirect
	github.com/mitchellh/mapstructure v1.5.0 // indirect
	github.com/pierrec/lz4 v2.0.5+incompatible // indirect
	github.com/ryanuber/go-glob v1.0.0 // indirect
	go.etcd.io/bbolt v1.5.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.61.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/time v0.16.0 // indirect
	gopkg.in/square/go-jose.v2 v2.3.1 // indirect
)
