package influxd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/internal/secret/vault/vaulttest"
)

// metric is what /metrics tells of one: its help, its type and the labels of its series.
type metric struct {
	help, kind string
	labels     map[string]bool
}

// metrics are those of a server over Vault and etcd, which has the most, once each kind has been counted.
func metrics(t *testing.T) map[string]*metric {
	t.Helper()
	// One that has certificates of all kinds, for there are metrics of when they end.
	servers, clients := vaulttest.NewAuthority(t, "servers"), vaulttest.NewAuthority(t, "clients")
	v := vaulttest.Start(t, vaulttest.WithTLS(t, servers, clients))
	dir := t.TempDir()
	cert, key := clients.Issue(t, dir, "us")
	// A token that ends, for there is a metric of that.
	ends := v.Token(t, `path "secret/*" { capabilities = ["create", "read", "update", "delete", "patch", "list"] }`,
		time.Hour)
	r := start(t, t.TempDir(), onEtcd(etcdtest.Shared(t), t.TempDir(), etcdtest.Prefix(t),
		"--secret-store=vault", "--vault-layout=secret", "--vault-addr="+v.Address, "--vault-token="+ends,
		"--vault-cacert="+servers.File(t, dir), "--vault-client-cert="+cert, "--vault-client-key="+key,
		"--secret-due-check=100ms")...)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"a":"1"}`, 204, nil)
	r.call(t, "GET", secrets, token, "", 200, nil)
	r.call(t, "PUT", secrets+"/a/description", token, `{"expiresAt":"2020-01-31T00:00:00Z"}`, 204, nil)
	var res *http.Response
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		var err error
		res, err = http.Get(r.url + "/metrics")
		must(t, err)
		b, err := io.ReadAll(res.Body)
		must(t, err)
		must(t, res.Body.Close())
		res.Body = io.NopCloser(bytes.NewReader(b))
		if regexp.MustCompile(`strongroom_secrets_overdue\{org="[0-9a-f]{16}"\} 1`).Match(b) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the secret whose date has passed is not counted:\n%s", b)
		}
	}
	found := make(map[string]*metric)
	of := func(name string) *metric {
		if found[name] == nil {
			found[name] = &metric{labels: map[string]bool{}}
		}
		return found[name]
	}
	series := regexp.MustCompile(`^([a-zA-Z_:]+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$`)
	label := regexp.MustCompile(`([a-z_]+)="`)
	lines := bufio.NewScanner(io.LimitReader(res.Body, 8<<20))
	for lines.Scan() {
		switch fields := strings.SplitN(lines.Text(), " ", 4); {
		case len(fields) == 4 && fields[1] == "HELP":
			of(fields[2]).help = fields[3]
		case len(fields) == 4 && fields[1] == "TYPE":
			of(fields[2]).kind = fields[3]
		default:
			m := series.FindStringSubmatch(lines.Text())
			if m == nil {
				t.Fatalf("a line of /metrics is not understood: %s", lines.Text())
			}
			name := m[1]
			if found[name] == nil {
				name = strings.Fields(strings.ReplaceAll(lines.Text(), "{", " "))[0] // one whose own name ends so
			}
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				of(name).labels[l[1]] = true
			}
		}
	}
	must(t, lines.Err())
	if len(found) < 20 {
		t.Fatalf("found only %d metrics", len(found))
	}
	return found
}

// TestCertificateMetrics has a server with certificates of its own, and for Vault and etcd. Each has the time that it
// still lasts, and each is in /health.
func TestCertificateMetrics(t *testing.T) {
	servers, clients := vaulttest.NewAuthority(t, "servers"), vaulttest.NewAuthority(t, "clients")
	dir := t.TempDir()
	v := vaulttest.Start(t, vaulttest.WithTLS(t, servers, clients))
	etcdCert, etcdKey := servers.Issue(t, dir, "etcd", "127.0.0.1")
	e := etcdtest.Start(t, 1, "-cert="+etcdCert, "-key="+etcdKey, "-client-ca="+clients.File(t, dir))
	ownCert, ownKey, transport := certificateFor(t, dir) // for 24 hours, and 1 before
	cert, key := clients.Issue(t, dir, "us")             // for 1 hour, and 1 before
	ca := servers.File(t, dir)
	r := start(t, t.TempDir(), onEtcd(e, t.TempDir(), etcdtest.Prefix(t), "--etcd-cacert="+ca, "--etcd-cert="+cert,
		"--etcd-key="+key, "--secret-store=vault", "--vault-addr="+v.Address, "--vault-token="+v.RootToken,
		"--vault-cacert="+ca, "--vault-client-cert="+cert, "--vault-client-key="+key, "--tls-cert="+ownCert,
		"--tls-key="+ownKey)...)
	client := &http.Client{Transport: transport}
	get := func(path string) string {
		res, err := client.Get(r.url + path)
		must(t, err)
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		must(t, err)
		return string(b)
	}
	text, health := get("/metrics"), get("/health")
	for name, hours := range map[string]float64{"tls-certificate": 24, "vault-client-certificate": 1, "vault-ca": 1,
		"etcd-certificate": 1, "etcd-authorities": 1} {
		of := func(metric string) float64 {
			m := regexp.MustCompile(metric + `\{certificate="` + name + `"\} (\S+)`).FindStringSubmatch(text)
			if m == nil {
				t.Fatalf("there is no %s of %s in\n%s", metric, name, text)
			}
			n, err := strconv.ParseFloat(m[1], 64)
			must(t, err)
			return n / 3600
		}
		left, life := of("strongroom_certificate_remaining_seconds"), of("strongroom_certificate_lifetime_seconds")
		if left > hours || left < hours-0.5 || life != hours+1 {
			t.Errorf("%s: %g of %g hours are left, want %g", name, left, life, hours)
		}
		if !strings.Contains(health, `"`+name+`"`) {
			t.Errorf("/health has no %s: %s", name, health)
		}
	}
}

// TestMonitoring holds the alert rules, the dashboard and the list in the docs against the metrics that there are.
func TestMonitoring(t *testing.T) {
	found := metrics(t)

	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	b, err := os.ReadFile("../../packaging/monitoring/alerts.yaml")
	must(t, err)
	must(t, yaml.Unmarshal(b, &rules))
	b, err = os.ReadFile("../../packaging/monitoring/dashboard.json")
	must(t, err)
	must(t, json.Unmarshal(b, &dashboard))
	exprs := make(map[string]string)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Annotations["summary"] == "" || r.Annotations["action"] == "" {
				t.Errorf("alert %s does not say what is wrong and what to do", r.Alert)
			}
			exprs["alert "+r.Alert] = r.Expr
		}
	}
	for _, p := range dashboard.Panels {
		for i, target := range p.Targets {
			exprs[fmt.Sprintf("panel %s, %d", p.Title, i)] = target.Expr
		}
	}
	if len(exprs) < 25 {
		t.Fatalf("found only %d expressions", len(exprs))
	}
	name := regexp.MustCompile(`\b(?:strongroom|http_api|process|go)_[a-z_]+`)
	by := regexp.MustCompile(`by \(([a-z, ]+)\)`)
	for where, expr := range exprs {
		var labels []string
		names := name.FindAllString(expr, -1)
		for _, n := range names {
			m := found[n]
			for _, end := range []string{"_bucket", "_sum", "_count"} {
				if base, ok := strings.CutSuffix(n, end); m == nil && ok {
					m = found[base]
				}
			}
			if m == nil {
				t.Errorf("%s asks for %s, and there is no such metric", where, n)
				continue
			}
			for l := range m.labels {
				labels = append(labels, l)
			}
		}
		if len(names) == 0 && !strings.HasPrefix(expr, "up{") {
			t.Errorf("%s asks for no metric: %s", where, expr)
		}
		for _, m := range by.FindAllStringSubmatch(expr, -1) {
			for l := range strings.SplitSeq(m[1], ", ") {
				if l != "instance" && l != "le" && !slices.Contains(labels, l) {
					t.Errorf("%s is by the label %s, which the metric has not: %v", where, l, labels)
				}
			}
		}
		if strings.Count(expr, "(") != strings.Count(expr, ")") ||
			strings.Count(expr, "{") != strings.Count(expr, "}") {
			t.Errorf("%s: a bracket is missing: %s", where, expr)
		}
	}

	var list strings.Builder
	list.WriteString("| metric | kind | labels | |\n|---|---|---|---|\n")
	var ours []string
	for n := range found {
		if strings.HasPrefix(n, "strongroom_") || strings.HasPrefix(n, "http_api_") {
			ours = append(ours, n)
		}
	}
	slices.Sort(ours)
	for _, n := range ours {
		m := found[n]
		var labels []string
		for l := range m.labels {
			if l != "le" {
				labels = append(labels, "`"+l+"`")
			}
		}
		slices.Sort(labels)
		fmt.Fprintf(&list, "| `%s` | %s | %s | %s |\n", n, m.kind, strings.Join(labels, ", "), m.help)
	}
	current(t, "../../docs/monitoring.md", list.String())
}

// current holds the part of a page that is made from the code, between two marks, against what the code says. With
// STRONGROOM_UPDATE_DOCS=1 it writes it.
func current(t *testing.T, page, want string) {
	t.Helper()
	const from, to = "<!-- generated: do not edit -->\n\n", "\n<!-- end of generated -->"
	b, err := os.ReadFile(page)
	must(t, err)
	head, rest, ok := strings.Cut(string(b), from)
	has, tail, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("%s has no part that is made from the code", page)
	}
	if has == want {
		return
	}
	if os.Getenv("STRONGROOM_UPDATE_DOCS") == "1" {
		must(t, os.WriteFile(page, []byte(head+from+want+to+tail), 0o644))
		return
	}
	t.Errorf("%s is not what the code says; run the test with STRONGROOM_UPDATE_DOCS=1. Want\n%s", page, want)
}
