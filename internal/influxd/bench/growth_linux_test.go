package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"strongroom/internal/kv/etcd/etcdtest"
)

// growthEnv chooses how far BenchmarkGrowth goes: "all", or how many records a file has at the most, for the figures of
// docs/growth.md, which it writes anew; without it, some small files, and the table and the picture go below build/.
// Rows are kept below build/growth, so that some of them can be measured anew, or later: the page has all there are.
const growthEnv = "STRONGROOM_GROWTH"

// populations gives the files to measure. The first ones, with organisations alone, are the picture's.
func populations(b *testing.B) (all []population, dir string) {
	b.Helper()
	root := filepath.Join("..", "..", "..")
	v := os.Getenv(growthEnv)
	if v == "" {
		return []population{{orgs: 10}, {orgs: 200}, {orgs: 1000}, {orgs: 1000, sealed: true}, {secrets: 5000},
			{tokens: 5000}, {orgs: 10, etcd: true}, {orgs: 200, etcd: true}}, filepath.Join(root, "build")
	}
	all = []population{{orgs: 10}, {orgs: 1000}, {orgs: 20_000}, {orgs: 100_000}, {orgs: 20_000, sealed: true},
		{secrets: 50_000}, {secrets: 500_000}, {secrets: 50_000, sealed: true}, {tokens: 100_000},
		{tokens: 1_000_000},
		{orgs: 10, etcd: true}, {orgs: 1000, etcd: true}, {orgs: 20_000, etcd: true}, {orgs: 100_000, etcd: true},
		{secrets: 1000, etcd: true}, {secrets: 10_000, etcd: true}, {tokens: 10_000, etcd: true},
		{tokens: 100_000, etcd: true}}
	if v != "all" {
		most, err := strconv.Atoi(v)
		if err != nil {
			b.Fatalf("%s=%s: it is all, or how many records a file has at the most", growthEnv, v)
		}
		all = slices.DeleteFunc(all, func(p population) bool { return p.records() > most })
	}
	return all, filepath.Join(root, "docs")
}

// grown is what was measured of one population.
type grown struct {
	population
	row
	cluster *etcdtest.Cluster // nil over a file
}

type row struct {
	File                                                      float64 // MiB
	Start                                                     use
	StartAll                                                  float64 // MiB with the pages of files
	Change, OrgsFirst, OrgsLast, OrgsFar, Names, Value, Token time.Duration
	Values                                                    time.Duration // all of the organisation of 1,000
	TokensFirst, TokensLast, TokensFar                        time.Duration // pages of the organisation that has them
	Backup, Check, Restore, Rotation, Bring                   use
	End                                                       use           // of the largest organisation, beside others' changes
	EndWait                                                   time.Duration // the longest of those

	Etcd *overEtcd `json:",omitempty"` // nil over a file
}

// brought is how many records an import brings a second of CPU time.
func (g grown) brought() float64 { return float64(g.records()) / g.Bring.CPU.Seconds() }

// BenchmarkGrowth measures what grows with the data: a row of the table for each population. Times are of the processor,
// so that what else the machine does counts little, and memory and sizes are what they are. It measures each once,
// whatever -benchtime says.
func BenchmarkGrowth(b *testing.B) {
	all, dir := populations(b)
	for _, p := range all {
		b.Run(p.file(), func(b *testing.B) {
			for n := 0; b.Loop(); n++ {
				if n == 0 {
					g := grow(b, p)
					g.report(b)
					if err := g.keep(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
	var rows []grown
	for _, p := range all {
		g, err := kept(p)
		if errors.Is(err, fs.ErrNotExist) { // somebody has chosen some of them
			continue
		}
		if err != nil {
			b.Fatal(err)
		}
		rows = append(rows, g)
	}
	if len(rows) == 0 {
		return
	}
	if err := writeGrowth(dir, rows); err != nil {
		b.Fatal(err)
	}
}

// keptRows is where the rows are kept.
var keptRows = filepath.Join("..", "..", "..", "build", "growth")

// keep keeps a row, and kept gives it back.
func (g grown) keep() error {
	text, err := json.MarshalIndent(g.row, "", "  ")
	if err == nil {
		err = os.MkdirAll(keptRows, 0o755)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(keptRows, g.population.file()+".json"), text, 0o644)
}

func kept(p population) (grown, error) {
	g := grown{population: p}
	text, err := os.ReadFile(filepath.Join(keptRows, p.file()+".json"))
	if err != nil {
		return g, err
	}
	return g, json.Unmarshal(text, &g.row)
}

// asked is how many requests of a kind are measured.
const asked = 200

func grow(b *testing.B, p population) grown {
	b.Helper()
	g := grown{population: p}
	dir := b.TempDir()
	from := p.influxFile(b, b.TempDir())
	flags := []string{"--seal-key-file=" + filepath.Join(dir, "seal.key")}
	if p.sealed {
		flags = append(flags, "--seal-keys")
	}
	data := filepath.Join(dir, "influxd.bolt")
	offline := func(data string, command ...string) use {
		return offlineUse(b, slices.Concat(command, flags, []string{"--bolt-path=" + data, "--log-level=error"})...)
	}
	g.Bring = offline(data, "import", "--influxdb="+from)
	if err := os.Remove(from); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(data)
	if err != nil {
		b.Fatal(err)
	}
	g.File = float64(info.Size()) / (1 << 20)

	serving := flags
	if p.etcd {
		serving = append(slices.Clone(flags), g.intoEtcd(b, offline, data)...)
	}
	var s *server
	for range 3 {
		if s != nil {
			s.stop()
		}
		done := g.noting(b, nil)
		s = influxd(b, dir, nil, serving...)
		m := s.memory(b)
		if now := (use{s.cpu(b), m["RssAnon"]}); g.Start.CPU == 0 || now.CPU < g.Start.CPU {
			g.Start = now
			done("start", 1, s)
		}
		g.StartAll = max(g.StartAll, m["VmHWM"])
	}
	s.rest(b)
	g.requests(b, s)
	backup := filepath.Join(b.TempDir(), "backup.bolt")
	done := g.noting(b, s)
	g.Backup = s.during(b, func() { save(b, s.url+"/api/v2/backup/kv", backup) })
	done("backup", 1, s)
	s.stop()

	if !p.etcd { // which these refuse
		g.Check = offline(data, "check")
		g.Rotation = offline(data, "seal", "rotate")
		restored := filepath.Join(b.TempDir(), "influxd.bolt")
		g.Restore = offline(restored, "restore", "--from="+backup,
			"--audit-sinks=file:"+filepath.Join(filepath.Dir(restored), "audit.log"))
	}

	// Last of all, since it makes the data smaller.
	s = influxd(b, dir, nil, serving...)
	s.rest(b)
	g.ends(b, s)
	s.stop()
	return g
}

// ends deletes the organisation that has most, while the secrets of another are changed one after the other.
func (g *grown) ends(b *testing.B, s *server) {
	b.Helper()
	largest, other := orgOf1000, firstOrg
	switch {
	case g.secrets+g.tokens > 0:
		largest, other = orgOfMany, orgOf1000
	case g.orgs == 0:
		b.Fatal("there is no other organisation")
	}
	w := dial(b, s, tenant{hexID(other), operatorToken, "/api/v2/orgs/" + hexID(other) + "/secrets"}.change(keyName(0)))
	if err := w.send(); err != nil {
		b.Fatal(err)
	}
	type answer struct {
		left bool
		err  error
	}
	ended := make(chan answer, 1)
	done := g.noting(b, s)
	defer func() { done("end", 1, s) }()
	g.End = s.during(b, func() {
		go func() {
			left, err := endOrg(s.url, largest)
			ended <- answer{left, err}
		}()
		for {
			began := time.Now()
			err := w.send()
			g.EndWait = max(g.EndWait, time.Since(began))
			select {
			case gone := <-ended:
				if err = errors.Join(err, gone.err); err != nil {
					b.Fatal(err)
				}
				if gone.left { // which is gone on with within a minute, and nobody is told when that is done
					s.restFor(b, 75*time.Second)
				}
				return
			default:
			}
			if err != nil {
				b.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// endOrg deletes an organisation, and tells whether something of it is left, which the server goes on with.
func endOrg(url string, org int) (left bool, err error) {
	q, err := http.NewRequest(http.MethodDelete, url+"/api/v2/orgs/"+hexID(org), nil)
	if err != nil {
		return false, err
	}
	q.Header.Set("Authorization", "Token "+operatorToken)
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return false, err
	}
	defer a.Body.Close()
	switch a.StatusCode {
	case http.StatusNoContent:
		return false, nil
	case http.StatusAccepted:
		return true, nil
	}
	body, _ := io.ReadAll(a.Body)
	return false, fmt.Errorf("deleting an organisation: %s: %s", a.Status, body)
}

// save asks for a file and keeps it.
func save(b *testing.B, url, path string) {
	b.Helper()
	q, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	q.Header.Set("Authorization", "Token "+operatorToken)
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		b.Fatal(err)
	}
	defer a.Body.Close()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	_, err = io.Copy(f, a.Body)
	if err = errors.Join(err, f.Close()); err != nil || a.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s, %v", url, a.Status, err)
	}
}

// requests asks a server for what is asked most, and takes its CPU time.
func (g *grown) requests(b *testing.B, s *server) {
	b.Helper()
	t := tenant{hexID(orgOf1000), operatorToken, "/api/v2/orgs/" + hexID(orgOf1000) + "/secrets"}
	if g.secrets > 0 { // changed is the large one
		t = tenant{hexID(orgOfMany), operatorToken, "/api/v2/orgs/" + hexID(orgOfMany) + "/secrets"}
	}
	thousand := "/api/v2/orgs/" + hexID(orgOf1000)
	get := func(path, token string) call {
		return call{method: "GET", path: path, header: "Authorization: Token " + token, status: http.StatusOK}
	}
	var reader struct{ Token string }
	if err := json.Unmarshal(do(b, "POST", s.url+"/api/v2/authorizations", "Authorization", "Token "+operatorToken,
		map[string]any{"orgID": hexID(orgOf1000), "permissions": []map[string]any{{"action": "use",
			"resource": map[string]any{"type": "secrets", "orgID": hexID(orgOf1000)}}}}), &reader); err != nil {
		b.Fatal(err)
	}
	each := func(what string, n int, calls ...call) time.Duration {
		w := dial(b, s, calls...)
		if err := w.send(); err != nil { // what is read first, and the connection
			b.Fatal(err)
		}
		done, before := g.noting(b, s), s.cpu(b)
		for range n {
			if err := w.send(); err != nil {
				b.Fatal(err)
			}
		}
		took := s.cpu(b) - before
		done(what, n, s)
		return took / time.Duration(n)
	}
	var changes, values, tokens []call
	for i := range asked + 1 {
		changes = append(changes, t.change(keyName(i*4)))
		values = append(values, get(thousand+"/secret-values/"+keyName(i), reader.Token))
		if n := g.orgs + g.tokens; n > asked { // each another one, from one end to the other
			tokens = append(tokens, get("/api/v2/me", tokenName(i*(n/(asked+1)))))
		}
	}
	memory := g.memories(s)
	g.Change = each("change", asked, changes...)
	g.OrgsFirst = each("orgs", asked, get("/api/v2/orgs?limit=20", operatorToken))
	g.OrgsLast = each("last-orgs", asked, get("/api/v2/orgs?limit=20&descending=true", operatorToken))
	if n := g.orgs + 2; n > asked { // the one of 1,000, and the operator's
		far := fmt.Sprintf("/api/v2/orgs?limit=20&offset=%d", n-30)
		g.OrgsFar = each("far-orgs", asked/10, get(far, operatorToken))
	}
	g.Names = each("names", asked, get(thousand+"/secrets", operatorToken))
	g.Value = each("value", asked, values...)
	g.Values = each("values", asked, get(thousand+"/secret-values", reader.Token))
	if tokens != nil {
		g.Token = each("token", asked, tokens...)
	}
	if g.tokens > 0 {
		page := "/api/v2/authorizations?limit=20&orgID=" + hexID(orgOfMany)
		g.TokensFirst = each("tokens", asked, get(page, operatorToken))
		g.TokensLast = each("last-tokens", asked, get(page+"&descending=true", operatorToken))
		g.TokensFar = each("far-tokens", asked/10, get(fmt.Sprintf("%s&offset=%d", page, g.tokens-30), operatorToken))
	}
	memory()
}
