package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBadFiles(t *testing.T) {
	for _, tt := range []struct {
		name, file, content, want string
	}{
		{"unknown key", "c.toml", "bolt-pth = \"x\"\n", "bolt-pth: there is no such setting (did you mean bolt-path?)"},
		{"underscores", "c.toml", "bolt_path = \"x\"\n",
			"bolt_path: there is no such setting (did you mean bolt-path?)"},
		{"a section of InfluxDB 1", "c.toml", "[meta]\ndir = \"x\"\n", "meta: there is no such section"},
		{"TOML's form", "c.toml", "vault-token = sesame\n", "line 1, column"},
		{"TOML twice", "c.toml", "log-level = \"info\"\nlog-level = \"info\"\n", "log-level"},
		{"YAML's form", "c.yaml", "vault-token: [sesame\n", "file "},
		{"YAML twice", "c.yaml", "log-level: info\nlog-level: info\n", "log-level"},
		{"YAML twice in another case", "c.yaml", "log-level: info\nLog-Level: info\n", "og-"},
		{"YAML without keys", "c.yml", "sesame\n", "must hold keys with their values"},
		{"JSON's form", "c.json", "{\"vault-token\": sesame}", "invalid character"},
		{"JSON cut off", "c.json", "{\"vault-token\": \"sesame\"", "ends in the middle"},
		{"JSON without keys", "c.json", "[\"sesame\"]", "must hold one JSON object"},
		{"JSON twice", "c.json", `{"log-level":"info","log-level":"info"}`, "log-level: given twice"},
		{"JSON and more", "c.json", `{} {}`, "something follows"},
		{"number for a text", "c.yaml", "vault-token: 123\n",
			"vault-token: is a number and should be a text in quotes"},
		{"number for a duration", "c.yaml", "http-read-timeout: 30\n",
			"http-read-timeout: is a number and should be a duration"},
		{"fraction for a number", "c.toml", "session-length = 1.5\n",
			"session-length: is a number and should be a whole number"},
		{"text for a number", "c.toml", "session-length = \"long\"\n", `session-length: "long" is not a whole number`},
		{"number for a switch", "c.json", `{"metrics-disabled": 1}`,
			"metrics-disabled: is a number and should be true or false"},
		{"switch for a text", "c.json", `{"bolt-path": true}`, "bolt-path: is a switch and should be a text"},
		{"list", "c.json", `{"bolt-path": ["x"]}`, "bolt-path: is a list"},
		{"list of numbers", "c.json", `{"audit-sinks": [1]}`, "audit-sinks: is a list and should be a list of texts"},
		{"list with a comma in an item", "c.json", `{"audit-sinks": ["a,b"]}`,
			"audit-sinks: is a list and should be a list of texts"},
		{"section", "c.toml", "[bolt-path]\nx = 1\n", "bolt-path: is a section"},
		{"nothing", "c.yaml", "bolt-path:\n", "bolt-path: has no value"},
		{"time", "c.toml", "session-length = 2020-01-01T00:00:00Z\n", "session-length: is a time"},
		{"its own path", "c.toml", "config-path = \"x\"\n", "config-path: says where the file is"},
		{"empty secret", "c.toml", "vault-token = \"\"\n", "vault-token: is empty"},
		{"other format", "c.ini", "", "must be one of .toml, .yaml, .yml, .json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := writeFile(t, tt.file, tt.content)
			_, err := load([]string{"--config-path", name}, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), name) {
				t.Fatalf("error %v, want %q and the file's name", err, tt.want)
			}
			if strings.Contains(err.Error(), "sesame") {
				t.Errorf("the error shows a value: %v", err)
			}
		})
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("other.toml", "session-length = 9\n")
	if _, err := load([]string{"--config-path", dir}, nil); err == nil ||
		!strings.Contains(err.Error(), "holds none of config.toml") {
		t.Errorf("folder without a file: %v", err)
	}
	put("config.yml", "session-length: 5\nengine-path: 7\nfeature-flags:\n  a: b\n")
	c, err := load(nil, []string{"INFLUXD_CONFIG_PATH=" + dir})
	if err != nil {
		t.Fatal(err)
	}
	if c.SessionLength != 5 || len(c.Notices()) != 2 {
		t.Errorf("session length %d, notices %q", c.SessionLength, c.Notices())
	}
	put("config.json", "{}")
	if _, err := load([]string{"--config-path", dir}, nil); err == nil ||
		!strings.Contains(err.Error(), "name the one that counts") {
		t.Errorf("folder with two files: %v", err)
	}
}

func TestEmptyFiles(t *testing.T) {
	for name, content := range map[string]string{"c.toml": "", "c.yaml": "# nothing\n", "c.json": "{}",
		"c.conf": "session-length = 60\n"} {
		if _, err := load([]string{"--config-path", writeFile(t, name, content)}, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNumbersWithoutQuotes(t *testing.T) {
	c, err := load(
		[]string{
			"--config-path",
			writeFile(
				t,
				"c.toml",
				"tls-min-version = 1.3\nhttp-idle-timeout = 0\nmax-body-size = 2097152\naudit-sinks = [\"a\", \"b\"]\n",
			),
		},
		nil,
	)
	if err != nil {
		t.Fatal(err)
	}
	if c.TLSMinVersion != "1.3" || c.HTTPIdleTimeout != 0 || c.MaxBodySize != 2<<20 || len(c.AuditSinks) != 2 {
		t.Errorf("got %s, %s, %d", c.TLSMinVersion, c.HTTPIdleTimeout, c.MaxBodySize)
	}
}

func TestSecretInReadableFile(t *testing.T) {
	name := writeFile(t, "c.toml", "vault-token = \"sesame\"\nsecret-store = \"vault\"\n")
	args := []string{"--config-path", name}
	c, err := load(args, nil)
	if err != nil || len(c.Notices()) != 0 {
		t.Fatalf("private file: %v, %v", err, c.Notices())
	}
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	if c, err = load(args, nil); err != nil {
		t.Fatal(err)
	}
	if n := c.Notices(); len(n) != 1 || !strings.Contains(n[0], "chmod 600 "+name) || strings.Contains(n[0], "sesame") {
		t.Errorf("notices %q", n)
	}
}
