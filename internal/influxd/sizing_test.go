package influxd

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"strongroom/internal/kv/bolt"
	"strongroom/internal/kv/etcd/etcdtest"
)

// sizes are the records of data, the bytes of their keys and values, and what etcd takes for them when it has been
// compacted and defragmented.
type sizes struct{ records, bytes, inEtcd int }

func sizesOf(t *testing.T, path string) (all sizes) {
	t.Helper()
	data, err := bolt.Open(path, bolt.Options{})
	must(t, err)
	for after, more := "", true; more; {
		recs, err := data.List(t.Context(), "", after, 1000)
		must(t, err)
		for _, r := range recs {
			after = r.Key
			all.records++
			all.bytes += len(r.Key) + len(r.Value)
		}
		more = len(recs) > 0
	}
	must(t, data.Close())
	c := etcdtest.Start(t, 1)
	if out, err := run(t, "store", "copy", "--from=bolt", "--to=etcd", "--bolt-path="+path,
		"--etcd-endpoints="+c.Endpoints()[0]); err != nil {
		t.Fatalf("%s%v", out, err)
	}
	all.inEtcd = int(c.Size(t))
	c.Members[0].Kill()
	return all
}

// TestSizing counts the bytes that organizations, secrets, versions and tokens take, and holds them against the table
// of docs/sizing.md, from which installations are planned.
func TestSizing(t *testing.T) {
	const orgs, each = 100, 10
	page, err := os.ReadFile("../../docs/sizing.md")
	must(t, err)
	dir := t.TempDir()
	path := filepath.Join(dir, "influxd.bolt")
	one := start(t, dir)
	token, _ := one.onboard(t)
	one.end(t)
	before := sizesOf(t, path)
	var ids []string
	set := func(r *running, value string) {
		for _, id := range ids {
			var all []string
			for n := range each {
				all = append(all, fmt.Sprintf(`"service/password-%d":%q`, n, strings.Repeat(value, 32)))
			}
			r.call(t, "PATCH", "/api/v2/orgs/"+id+"/secrets", token, "{"+strings.Join(all, ",")+"}", 204, nil)
		}
	}
	for _, step := range []struct {
		what string
		n    int
		do   func(r *running)
	}{
		{"organization", orgs, func(r *running) {
			for i := range orgs {
				var org struct{ ID string }
				r.call(t, "POST", "/api/v2/orgs", token, fmt.Sprintf(`{"name":"organization-%04d"}`, i), 201, &org)
				ids = append(ids, org.ID)
			}
		}},
		{"token", orgs * each, func(r *running) {
			for _, id := range ids {
				for range each {
					r.call(t, "POST", "/api/v2/authorizations", token, fmt.Sprintf(`{"orgID":%q,"permissions":[{"action":`+
						`"read","resource":{"type":"secrets","orgID":%[1]q}}]}`, id), 201, nil)
				}
			}
		}},
		{"secret", orgs * each, func(r *running) { set(r, "x") }},
		{"further version", orgs * each, func(r *running) { set(r, "y") }},
	} {
		r := start(t, dir)
		step.do(r)
		r.end(t)
		after := sizesOf(t, path)
		row := regexp.MustCompile(`(?m)^\| ` + step.what + `[^|]*\|([^|]*)\|([^|]*)\|([^|]*)\|`).FindSubmatch(page)
		for i, pair := range [][2]int{
			{before.records, after.records}, {before.bytes, after.bytes}, {before.inEtcd, after.inEtcd},
		} {
			is := float64(pair[1]-pair[0]) / float64(step.n)
			told := math.NaN()
			if row != nil {
				told, _ = strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(string(row[i+1])), ",", ""), 64)
			}
			if !(math.Abs(is-told) <= 0.1*told) {
				t.Errorf("%s, column %d: it is %.1f, and docs/sizing.md has %.1f", step.what, i+1, is, told)
			}
		}
		before = after
	}
}
