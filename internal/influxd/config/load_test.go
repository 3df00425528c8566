package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/influxd/config/value"
	"strongroom/internal/secret/vault"
	"strongroom/internal/secret/vault/login"
)

// load loads with a home folder, so that nothing depends on who runs the test.
func load(args, env []string) (*Config, error) {
	a, err := ParseArgs(args)
	if err != nil {
		return nil, err
	}
	return Load(a, append([]string{"HOME=/home/gopher"}, env...))
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestArgumentErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown", []string{"--bolt-pth", "x"}, "flag --bolt-pth: there is no such flag (did you mean bolt-path?)"},
		{"unknown and near nothing", []string{"--frobnicate"},
			"flag --frobnicate: there is no such flag; `influxd help` lists them"},
		{"a secret taken for a flag", []string{"-hvs.CAESIJ9"}, "flag --…: there is no such flag"},
		{"twice", []string{"--bolt-path", "a", "--bolt-path=b"}, "flag --bolt-path: given twice"},
		{"twice, ignored", []string{"--no-tasks", "--no-tasks"}, "flag --no-tasks: given twice"},
		{"value missing at the end", []string{"--bolt-path"}, "flag --bolt-path: its value is missing"},
		{"value missing before a flag", []string{"--bolt-path", "--secret-store", "vault"},
			"flag --bolt-path: its value is missing, the next argument is the flag --secret-store"},
		{"value missing before a flag with one", []string{"--bolt-path", "--secret-store=vault"},
			"the next argument is the flag --secret-store"},
		{"switch with a word", []string{"--reporting-disabled", "true"},
			"flag --reporting-disabled: write --reporting-disabled=true"},
		{"secret twice", []string{"--vault-token=sesame", "--vault-token=sesame"}, "flag --vault-token: given twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseArgs(tt.args)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if s := err.Error(); strings.Contains(s, "sesame") || strings.Contains(s, "hvs") {
				t.Errorf("the error shows a value: %s", s)
			}
		})
	}
}

func TestArgs(t *testing.T) {
	for _, tt := range []struct {
		name  string
		args  []string
		words []string
		store string
	}{
		{"none", nil, nil, "bolt"},
		{"equals", []string{"--secret-store=vault"}, nil, "vault"},
		{"space", []string{"--secret-store", "vault"}, nil, "vault"},
		{"one dash", []string{"-secret-store", "vault"}, nil, "vault"},
		{"a switch before a flag", []string{"--reporting-disabled", "--secret-store", "vault"}, nil, "vault"},
		{"a switch before a command", []string{"--reporting-disabled", "run", "--secret-store", "vault"},
			[]string{"run"}, "vault"},
		{"command last", []string{"--secret-store", "vault", "run"}, []string{"run"}, "vault"},
		{"a switch with a value", []string{"--reporting-disabled=true", "--secret-store", "vault"}, nil, "vault"},
		{"an ignored flag with a value", []string{"--engine-path", "/var/lib/engine", "--secret-store", "vault"},
			nil, "vault"},
		{"end of flags", []string{"--secret-store", "vault", "--", "--x"}, []string{"--x"}, "vault"},
		{"upper case", []string{"--secret-store", "Vault"}, nil, "vault"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := ParseArgs(tt.args)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.words, a.Words); diff != "" {
				t.Errorf("words (-want +got):\n%s", diff)
			}
			c, err := Load(a, []string{"HOME=/h"})
			if err != nil {
				t.Fatal(err)
			}
			if c.SecretStore != tt.store {
				t.Errorf("secret store %q, want %q", c.SecretStore, tt.store)
			}
		})
	}
}

func TestBadSettings(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		env  []string
		want string
	}{
		{"not a number", []string{"--session-length", "1h"}, nil, `flag --session-length: "1h" is not a whole number`},
		{"below one", []string{"--session-length=0"}, nil, `must be at least 1`},
		{"not a switch", []string{"--metrics-disabled=perhaps"}, nil,
			`flag --metrics-disabled: "perhaps" must be true or false`},
		{"not a duration", []string{"--http-read-timeout=30"}, nil,
			`flag --http-read-timeout: "30" is not a duration with its unit`},
		{"negative duration", []string{"--http-read-timeout=-1s"}, nil, `must not be negative`},
		{"no such level", []string{"--log-level=loud"}, nil,
			`flag --log-level: "loud" must be one of debug, info, warn, error`},
		{"no such store", nil, []string{"INFLUXD_SECRET_STORE=etcd"},
			`variable INFLUXD_SECRET_STORE: "etcd" must be one of bolt, vault`},
		{"address without a port", []string{"--http-bind-address=localhost"}, nil,
			`flag --http-bind-address: "localhost" is not host:port`},
		{"port too high", []string{"--http-bind-address=:65536"}, nil, `has a port that is not a number`},
		{"port with a sign", []string{"--http-bind-address=:+80"}, nil, `has a port that is not a number`},
		{"size without a number", []string{"--max-body-size=MiB"}, nil, `flag --max-body-size: "MiB" is not a size`},
		{"size with another unit", []string{"--max-body-size=4MB"}, nil, `is not a size in bytes, such as`},
		{"size zero", []string{"--max-body-size=0"}, nil, `must be at least one byte`},
		{"size too large", []string{"--max-body-size=9007199254740993GiB"}, nil, `must be below 2GiB`},
		{"value larger than a body", []string{"--max-body-size=1KiB"}, nil,
			`flag --max-secret-value-size: 1MiB is more than --max-body-size (1KiB) lets in`},
		{"empty item", []string{"--audit-sinks=stdout,,syslog"}, nil, `has an item that is empty`},
		{"empty", []string{"--bolt-path="}, nil, `flag --bolt-path: is empty`},
		{"unknown variable", nil, []string{"INFLUXD_SECRT_STORE=vault"},
			`variable INFLUXD_SECRT_STORE: there is no such setting (did you mean INFLUXD_SECRET_STORE?)`},
		{"unknown variable near nothing", nil, []string{"INFLUXD_FROBNICATE=1"},
			`variable INFLUXD_FROBNICATE: there is no such setting; `},
		{"transit without a key", []string{"--seal", "transit"}, nil, `flag --seal: transit needs --seal-transit-key`},
		{"another Vault without its token", []string{"--seal-transit-addr", "https://x"}, nil,
			`flag --seal-transit-addr: needs --seal-transit-token-file`},
		{"the token of another Vault without it", []string{"--seal-transit-token-file", "x"}, nil,
			`flag --seal-transit-token-file: needs --seal-transit-addr`},
		{"the authority of another Vault without it", []string{"--seal-transit-cacert", "x"}, nil,
			`flag --seal-transit-cacert: needs --seal-transit-addr`},
		{"another Vault that is no URL", []string{"--seal-transit-addr", "x", "--seal-transit-token-file", "x"}, nil,
			`flag --seal-transit-addr: is not the URL of a server`},
		{"certificate without key", []string{"--tls-cert=c.pem"}, nil, `flag --tls-cert: needs --tls-key too`},
		{"key without certificate", nil, []string{"INFLUXD_TLS_KEY=k.pem"},
			`variable INFLUXD_TLS_KEY: needs --tls-cert too`},
		{"old TLS", []string{"--tls-min-version=1.0"}, nil, `must be one of 1.2, 1.3`},
		{"one file for data and key", []string{"--bolt-path=/d/x", "--seal-key-file=/d/./x"}, nil,
			`flag --seal-key-file: is the data file of --bolt-path too`},
		{"Vault's address is none", []string{"--vault-addr=vault.example.com"}, nil,
			`flag --vault-addr: is not the URL of a server`},
		{"Vault's address with a password", []string{"--vault-addr=https://u:sesame@vault"}, nil,
			`flag --vault-addr: is not the URL of a server without a user's name`},
		{"a token with a line break", []string{"--vault-token=sesame\n"}, nil,
			`flag --vault-token: holds a line break`},
		{"a webhook without a key", []string{"--secret-due-webhook=https://h/sesame"}, nil,
			`flag --secret-due-webhook: needs --secret-due-webhook-key-file`},
		{"a webhook's key without it", []string{"--secret-due-webhook-key-file=k"}, nil,
			`flag --secret-due-webhook-key-file: needs --secret-due-webhook`},
		{"a webhook in clear", []string{"--secret-due-webhook=http://h/sesame", "--secret-due-webhook-key-file=k"}, nil,
			`flag --secret-due-webhook: must be https`},
		{"a webhook that is never told", []string{"--secret-due-webhook=https://h/sesame",
			"--secret-due-webhook-key-file=k", "--secret-due-check=0"}, nil, `needs --secret-due-check`},
		{"missing file", []string{"--config-path=/nowhere/c.toml"}, nil,
			`flag --config-path: /nowhere/c.toml: no such file or directory`},
		{"missing file by variable", nil, []string{"INFLUXD_CONFIG_PATH=/nowhere/c.toml"},
			`variable INFLUXD_CONFIG_PATH: /nowhere/c.toml: no such file`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(tt.args, tt.env)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "sesame") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

func TestNoHome(t *testing.T) {
	for _, env := range [][]string{nil, {"HOME="}} {
		_, err := Load(Args{}, env)
		if err == nil || !strings.Contains(err.Error(), "--bolt-path") {
			t.Errorf("environment %q: error %v, want one that names --bolt-path", env, err)
		}
	}
	a, err := ParseArgs([]string{"--bolt-path", "/data/x.bolt"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(a, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.SealKeyFile != "/data/seal.key" {
		t.Errorf("seal key file %q", c.SealKeyFile)
	}
	if a, err = ParseArgs([]string{"--bolt-path", "~/x.bolt"}); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(a, nil); err == nil || !strings.Contains(err.Error(), "HOME is not set") {
		t.Errorf("~ without a home: error %v", err)
	}
}

// samples are a value of each kind other than any default, as flags and as the three formats write it.
func sample(s setting) (text string, quoted bool) {
	switch k := s.value.Kind(); k {
	case value.KindSwitch:
		return "true", false
	case value.KindNumber:
		return "7", false
	case value.KindSize:
		return "2048KiB", true
	case value.KindShare:
		return "0.25", false
	case value.KindDuration:
		return "17s", true
	case value.KindAddress:
		return "127.0.0.7:7777", true
	case value.KindPath:
		return "/some/where/" + s.name, true
	case value.KindList:
		return "stdout,syslog", true
	case value.KindText:
		return "https://example.com:1234", true
	default:
		choices := strings.Split(string(k), "|")
		return choices[len(choices)-1], true
	}
}

// TestEverySettingFromEverySource gives each setting of the table from each source and looks at what arrives.
func TestEverySettingFromEverySource(t *testing.T) {
	settings := new(Config).settings()
	if len(settings) < 30 {
		t.Fatalf("the table has only %d settings", len(settings))
	}
	for _, s := range settings {
		text, quoted := sample(s)
		switch s.name {
		case "trusted-proxies":
			text = "192.0.2.1,10.0.0.0/8"
		case "secret-due-webhook":
			text = "https://example.com/x"
		case "base-path":
			text = "/some/where"
		case "etcd-endpoints":
			text = "https://a.example.com:2379,https://b.example.com:2379"
		}
		want := text
		if s.name == "max-body-size" || s.value.Kind() == value.KindSize {
			want = "2MiB"
		}
		if s.name == "vault-api-mount" { // not any text
			text, want = "team/kv", "team/kv"
		}
		// What cannot stand alone.
		with := map[string][]string{
			"tls-cert":                    {"--tls-key=k"},
			"tls-key":                     {"--tls-cert=c"},
			"tls-client-cacert":           {"--tls-cert=c", "--tls-key=k"},
			"max-secret-key-size":         {"--max-body-size=8MiB"},
			"max-secret-value-size":       {"--max-body-size=8MiB"},
			"seal":                        {"--seal-transit-key=k"},
			"store":                       {"--etcd-endpoints=http://127.0.0.1:2379"},
			"etcd-cert":                   {"--etcd-key=k"},
			"etcd-key":                    {"--etcd-cert=c"},
			"etcd-username":               {"--etcd-password-file=f"},
			"etcd-password-file":          {"--etcd-username=u"},
			"seal-transit-addr":           {"--seal-transit-token-file=f"},
			"seal-transit-token-file":     {"--seal-transit-addr=https://x"},
			"secret-due-webhook":          {"--secret-due-webhook-key-file=k"},
			"secret-due-webhook-key-file": {"--secret-due-webhook=https://example.com/x"},
			"seal-transit-cacert":         {"--seal-transit-addr=https://x", "--seal-transit-token-file=f"},
		}[s.name]
		literal := text
		if quoted {
			literal = `"` + text + `"`
		}
		type source struct {
			name string
			args []string
			env  []string
			want string
		}
		sources := []source{
			{"flag", []string{"--" + s.name + "=" + text}, nil, "flag"},
			{"variable", nil, []string{variable(s.name) + "=" + text}, variable(s.name)},
		}
		if s.notInFile {
			// The file must be there.
			name := writeFile(t, "c.toml", "")
			want = name
			sources = []source{
				{"flag", []string{"--" + s.name + "=" + name}, nil, "flag"},
				{"variable", nil, []string{variable(s.name) + "=" + name}, variable(s.name)},
			}
		} else {
			for ext, line := range map[string]string{
				".toml": s.name + " = " + literal + "\n",
				".yaml": s.name + ": " + literal + "\n",
				".yml":  strings.ToUpper(s.name) + ": " + literal + "\n",
				".json": `{"` + s.name + `": ` + literal + `}`,
			} {
				name := writeFile(t, "c"+ext, line)
				sources = append(sources, source{"file " + ext, []string{"--config-path", name}, nil, name})
			}
		}
		for _, src := range sources {
			t.Run(s.name+" from "+src.name, func(t *testing.T) {
				c, err := load(append(src.args, with...), src.env)
				if err != nil {
					t.Fatal(err)
				}
				for _, got := range c.settings() {
					if got.name == s.name && got.value.String() != want {
						t.Errorf("value %q, want %q", got.value.String(), want)
					}
				}
				if got := c.Source(s.name); got != src.want {
					t.Errorf("source %q, want %q", got, src.want)
				}
			})
		}
	}
}

func TestPrecedence(t *testing.T) {
	file := writeFile(t, "c.toml", "session-length = 1\nlog-level = \"error\"\nbolt-path = \"~/file\"\n")
	env := []string{
		"INFLUXD_AUDIT_SINKS=stdout,~/a",
		"INFLUXD_SESSION_LENGTH=2",
		"INFLUXD_LOG_LEVEL=debug",
		"INFLUXD_CONFIG_PATH=" + file,
		"INFLUXD_VAULT_TOKEN=",
	}
	c, err := load([]string{"--session-length=3"}, env)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{
		c.SessionLength,
		c.LogLevel,
		c.BoltPath,
		c.SealKeyFile,
		c.MaxBodySize,
		c.Source("vault-token"),
		strings.Join(c.AuditSinks, ","),
	}
	want := []any{
		3,
		"debug",
		"/home/gopher/file",
		"/home/gopher/seal.key",
		int64(4 << 20),
		"default",
		"stdout,/home/gopher/a",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	other := writeFile(t, "o.toml", "log-format = \"json\"\n")
	if c, err = load([]string{"--config-path", other}, env); err != nil {
		t.Fatal(err)
	}
	if c.LogFormat != "json" || c.BoltPath != "/home/gopher/.strongroom/influxd.bolt" {
		t.Errorf("--config-path does not win over INFLUXD_CONFIG_PATH: %s, %s", c.LogFormat, c.BoltPath)
	}
}

func TestUnsaidVaultSettingsStayUnsaid(t *testing.T) {
	c, err := load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Vault{Config: vault.Config{Wait: 30 * time.Second, CacheTTL: 5 * time.Second,
		Login: login.Config{Method: "token"}, Place: vault.Place{Layout: "org"}}}
	if diff := cmp.Diff(want, c.Vault); diff != "" {
		t.Errorf("a default stands before Vault's own variables (-want +got):\n%s", diff)
	}
	if c, err = load([]string{"--vault-max-retries=-1", "--vault-skip-verify=false"}, nil); err != nil {
		t.Fatal(err)
	}
	if r, v := c.Vault.MaxRetries, c.Vault.SkipVerify; r == nil || *r != 0 || v == nil || *v {
		t.Errorf("said 0 and false, got %v and %v", r, v)
	}
}

func TestNotices(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("config.yml", []byte("bolt-path: /elsewhere\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(
		[]string{"--engine-path=/e", "--vault-token=sesame", "--vault-addr=http://v:1"},
		[]string{
			"INFLUXD_STORAGE_WRITE_TIMEOUT=10s",
			"INFLUXD_SERVICE_HOST=10.0.0.1",
			"INFLUXD_PORT_8086_TCP=tcp://x",
			"INFLUXD_OPTS=",
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"the file config.yml in the working directory is not read; --config-path config.yml makes it count",
		"variable INFLUXD_STORAGE_WRITE_TIMEOUT has no meaning here and is ignored",
		"flag --engine-path has no meaning here and is ignored",
		"flag --vault-addr has no effect: secrets are kept in the embedded store; --secret-store vault changes that",
		"flag --vault-token has no effect: secrets are kept in the embedded store; --secret-store vault changes that",
	}
	if diff := cmp.Diff(want, c.Notices()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	c, err := load([]string{"--vault-token=sesame", "--secret-store=vault", "--secret-due-webhook=https://h/sesame",
		"--secret-due-webhook-key-file=k"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c.Print(&out)
	fmt.Fprint(&out, c.Public())
	if strings.Contains(out.String(), "sesame") {
		t.Errorf("the token is shown:\n%s", out.String())
	}
	if c.Public()["secret-due-webhook"] != Hidden || c.Public()["vault-token"] != Hidden || c.Vault.Token != "sesame" {
		t.Errorf("shown as %q, kept as %q", c.Public()["vault-token"], c.Vault.Token)
	}
}

// TestTransitNotices: with the seal in Vault, the settings that say how Vault is reached have an effect.
func TestTransitNotices(t *testing.T) {
	c, err := load(
		[]string{
			"--seal",
			"transit",
			"--seal-transit-key",
			"k",
			"--vault-addr",
			"https://x",
			"--vault-auth-role",
			"r",
			"--vault-mount",
			"m",
		},
		nil,
	)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Notices(); len(got) != 1 || !strings.HasPrefix(got[0], "flag --vault-mount has no effect") {
		t.Errorf("%q", got)
	}
}
