package config

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	WriteHelp(&out)
	golden(t, "help.golden", out.Bytes())
	for _, s := range new(Config).settings() {
		if !strings.Contains(out.String(), "--"+s.name) {
			t.Errorf("--%s is not in the help", s.name)
		}
	}
}

// TestPrint also reads back what was printed: it is a configuration file.
func TestPrint(t *testing.T) {
	env := []string{"INFLUXD_LOG_LEVEL=debug", "INFLUXD_VAULT_TOKEN=sesame", "INFLUXD_SECRET_STORE=vault"}
	c, err := load([]string{"--session-length=3", "--vault-max-retries=0"}, env)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c.Print(&out)
	golden(t, "print.golden", out.Bytes())
	back, err := load([]string{"--config-path", writeFile(t, "printed.yaml", out.String())}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := c.Public()
	want["vault-token"], want["config-path"] = "", back.ConfigPath
	if diff := cmp.Diff(want, back.Public()); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

// TestDocs keeps the list in the documentation equal to the help.
func TestDocs(t *testing.T) {
	const path = "../../../docs/configuration.md"
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var help bytes.Buffer
	WriteHelp(&help)
	parts := strings.Split(string(doc), "```\n")
	if len(parts) != 3 {
		t.Fatalf("%s holds %d parts around ```, want the help between two", path, len(parts))
	}
	if *update {
		parts[1] = help.String()
		if err := os.WriteFile(path, []byte(strings.Join(parts, "```\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(help.String(), parts[1]); diff != "" {
		t.Errorf("%s (-help +list):\n%s(go test -update writes it)", path, diff)
	}
}
