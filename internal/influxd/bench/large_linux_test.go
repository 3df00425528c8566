package bench

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
)

// The size of the large server: 100,000 secrets.
const (
	largeOrgs    = 100
	largeSecrets = 1000 // of each
)

// readTime is how long the large server is read from before its memory is looked at for the last time.
const readTime = time.Minute

// large makes a server with 100,000 secrets, in the data folder that it gives, and ends it.
func large(b *testing.B) (dir string, orgs []tenant) {
	b.Helper()
	dir = b.TempDir()
	s := influxd(b, dir, nil)
	first := fill(b, s, largeSecrets)
	orgs = append(orgs, first)
	for n := range largeOrgs - 1 {
		var made struct{ ID string }
		answer := do(b, "POST", s.url+"/api/v2/orgs", "Authorization", "Token "+first.token,
			map[string]string{"name": fmt.Sprint("org ", n)})
		if err := json.Unmarshal(answer, &made); err != nil {
			b.Fatal(err)
		}
		t := tenant{made.ID, first.token, "/api/v2/orgs/" + made.ID + "/secrets"}
		do(b, "PATCH", s.url+t.path, "Authorization", "Token "+t.token, values(largeSecrets))
		orgs = append(orgs, t)
	}
	s.stop()
	return dir, orgs
}

// BenchmarkLarge starts the server over 100,000 secrets, and looks at its memory: after the start, after a list of each
// organisation, and after a minute of reads by 8 clients.
func BenchmarkLarge(b *testing.B) {
	dir, orgs := large(b)
	var took []float64
	for b.Loop() {
		start := time.Now()
		s := influxd(b, dir, nil)
		took = append(took, time.Since(start).Seconds())
		s.stop()
	}
	b.ReportMetric(median(took), "s/start")
	figure{what: "start over 100,000 secrets, until connections are taken", got: fmt.Sprintf("%.2f s", median(took)),
		wanted: 1, wantedSays: "under 1 s", reached: median(took) < 1}.report(b)

	s := influxd(b, dir, nil)
	memory := func(when string) {
		m := s.memory(b)
		for _, name := range []string{"VmRSS", "VmHWM", "RssAnon", "RssFile"} {
			b.ReportMetric(m[name], name+"-"+strings.ReplaceAll(when, " ", "-")+"-MiB")
		}
		figure{what: "its memory " + when, got: fmt.Sprintf("%.0f MiB (%.0f its own, %.0f of files; at most %.0f)",
			m["VmRSS"], m["RssAnon"], m["RssFile"], m["VmHWM"]),
			wanted: 100, wantedSays: "under 100 MiB", reached: m["VmHWM"] < 100}.report(b)
	}
	memory("after the start")
	var reads []call
	for i, t := range orgs {
		reads = append(reads, t.list())
		one := t.list()
		one.path += "/" + keyName(i)
		reads = append(reads, one)
	}
	readers := asks(b, s, 8, func(client int) []call { return append(slices.Clone(reads[client:]), reads[:client]...) })
	for range reads {
		if err := readers.clients[0](); err != nil {
			b.Fatal(err)
		}
	}
	memory("after a list of each organisation")
	for end := time.Now().Add(readTime); time.Now().Before(end); {
		readers.work(b, roundTime)
	}
	memory("after a minute of reads")
}

// BenchmarkValue reads a value through the embedded store, beside the look-up of its record alone: what is added is a
// look at the head and the decryption.
func BenchmarkValue(b *testing.B) {
	dir := b.TempDir()
	data, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer data.Close()
	keys, err := keyring.OpenOrInit(b.Context(), data,
		keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	if err != nil {
		b.Fatal(err)
	}
	defer keys.Close()
	const org id.ID = 1
	store := embedded.New(embedded.Config{KV: data, Keyring: keys, History: 10})
	c := secret.Change{Set: make(map[string]secret.Value)}
	for name, value := range values(100) {
		c.Set[name] = secret.NewValue([]byte(value))
	}
	if _, err := store.Apply(b.Context(), org, c); err != nil {
		b.Fatal(err)
	}
	recs, err := data.List(b.Context(), "secrets/"+org.String()+"/k/", "", 1)
	if err != nil || len(recs) != 1 {
		b.Fatalf("%d records of secrets, %v", len(recs), err)
	}
	const calls = 1000 // a turn
	turn := func(call func() error) float64 {
		start := time.Now()
		for range calls {
			if err := call(); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(start).Seconds() * 1e6 / calls
	}
	var lookups, added []float64
	for b.Loop() {
		lookup := turn(func() error { _, err := data.Get(b.Context(), recs[0].Key); return err })
		whole := turn(func() error { _, err := secret.Get(b.Context(), store, org, keyName(0)); return err })
		lookups, added = append(lookups, lookup), append(added, whole-lookup)
	}
	b.ReportMetric(median(lookups), "lookup-µs")
	b.ReportMetric(median(added), "added-µs")
	figure{what: "a value, decrypted: on top of the look-up", got: fmt.Sprintf("%.1f µs", median(added)),
		beside: "the look-up alone", besideGot: fmt.Sprintf("%.1f µs", median(lookups)), wanted: 5,
		wantedSays: "under 5 µs", reached: median(added) < 5}.report(b)
}
