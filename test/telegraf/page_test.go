package telegraf

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"strongroom/test/daemon"
)

// block is the first block of the language behind the words in docs/use.md, and the text behind it.
func block(t *testing.T, page, behind, language string) (text, rest string) {
	t.Helper()
	_, page, found := strings.Cut(page, behind)
	_, page, begun := strings.Cut(page, "```"+language+"\n")
	text, rest, ended := strings.Cut(page, "```\n")
	if !found || !begun || !ended {
		t.Fatalf("the page has no block of %s behind %q", language, behind)
	}
	return text, rest
}

// TestUsePage types what docs/use.md says of Telegraf, with Telegraf's own agent and plugins: it writes with the token
// that is stored, and with another once that is replaced.
func TestUsePage(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "use.md"))
	if err != nil {
		t.Fatal(err)
	}
	conf, rest := block(t, string(raw), "### A Telegraf that writes with a stored password\n", "toml")
	typed, _ := block(t, rest, "", "sh")
	bin, home := t.TempDir(), t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", "./telegraf")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var mu sync.Mutex
	var by, lines []string
	influxdb := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if r.Header.Get("Content-Encoding") != "" || err != nil || r.URL.Path != "/api/v2/write" {
			t.Errorf("InfluxDB is asked for %s, in %q: %v", r.URL, r.Header.Get("Content-Encoding"), err)
		}
		mu.Lock()
		defer mu.Unlock()
		by, lines = append(by, r.Header.Get("Authorization")), append(lines, string(body))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer influxdb.Close()
	d := daemon.Start(t)
	here := func(text string) string {
		return strings.NewReplacer("http://localhost:9999", d.URL, "http://localhost:8086", influxdb.URL).Replace(text)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("telegraf.conf", here(conf)+"  content_encoding = \"identity\"\n")
	for _, token := range []string{"hunter2-of-influxdb", "hunter3-of-influxdb"} {
		write("influxdb.token", token+"\n")
		shell := exec.CommandContext(t.Context(), "bash", "-c", "set -eo pipefail\n"+here(typed))
		shell.Dir = home
		shell.Env = []string{"HOME=" + home, "PATH=" + bin + ":" + daemon.Bin(t) + ":" + os.Getenv("PATH"),
			"INFLUX_TOKEN=" + d.Token, "INFLUX_ORG_ID=" + d.OrgID}
		out, err := shell.CombinedOutput()
		if err != nil || strings.Contains(string(out), token) {
			t.Fatalf("%v\n%s", err, out)
		}
		mu.Lock()
		if len(by) == 0 || by[len(by)-1] != "Token "+token || !strings.HasPrefix(lines[len(lines)-1], "machine,") ||
			!strings.Contains(lines[len(lines)-1], " up=1i ") {
			t.Errorf("InfluxDB was written %q by %q\n%s", lines, by, out)
		}
		mu.Unlock()
	}
}
