package vault

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/vaulttest"
)

// BenchmarkOutage has 16 readers and a writer under way when Vault goes away in one way or another, then one reader
// after the other, then Vault's return. It gives the longest that each of them waited, in seconds: what docs/vault.md
// says of it.
func BenchmarkOutage(b *testing.B) {
	authority := vaulttest.NewAuthority(b, "servers")
	for _, protocol := range []string{"HTTP1", "HTTP2"} {
		v, ca := vaulttest.Shared(b), ""
		if protocol == "HTTP2" {
			v, ca = vaulttest.Start(b, vaulttest.WithTLS(b, authority, nil)), authority.File(b, b.TempDir())
		}
		for _, o := range []struct {
			name       string
			begin, end func(*vaulttest.Proxy)
			comesBack  bool // it has to be found that Vault is back
		}{
			{"silence", (*vaulttest.Proxy).Hang, (*vaulttest.Proxy).Pass, true},
			{"answers-lost", (*vaulttest.Proxy).LoseAnswers, (*vaulttest.Proxy).Pass, true},
			{"cut", (*vaulttest.Proxy).Cut, (*vaulttest.Proxy).Pass, true},
			{"connections-dead", (*vaulttest.Proxy).Freeze, (*vaulttest.Proxy).Reset, false},
		} {
			b.Run(protocol+"/"+o.name, func(b *testing.B) {
				for range b.N {
					duringOutage(b, v, v, ca, o.begin, o.end, o.comesBack)
				}
			})
		}
	}
	b.Run("HTTP1/balancer", func(b *testing.B) {
		v := vaulttest.Shared(b)
		f := newFront(b, v)
		answers := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			http.Error(w, "<html>no server is available</html>", http.StatusBadGateway)
		}
		through := &vaulttest.Server{Address: f.URL, RootToken: v.RootToken}
		for range b.N {
			duringOutage(b, v, through, "", func(*vaulttest.Proxy) { f.set(answers) },
				func(*vaulttest.Proxy) { f.set(nil) }, true)
		}
	})
}

func duringOutage(b *testing.B, v, through *vaulttest.Server, ca string, begin, end func(*vaulttest.Proxy),
	back bool) {
	n := vaulttest.Network(b, through)
	s, err := New(b.Context(), Config{Address: n.Address, Token: v.RootToken, CACert: ca,
		Place: Place{Mount: v.MountKV(b)}, Logger: new(logs).logger()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	ctx := b.Context()
	if _, err := s.Apply(ctx, org, set("a", "1")); err != nil {
		b.Fatal(err)
	}
	read := func(of id.ID) { _, _ = secret.Get(ctx, s, of, "a") }
	var warm sync.WaitGroup
	for i := range 16 {
		warm.Go(func() { read(org + id.ID(i)) })
	}
	warm.Wait()
	begin(n)
	readers := longest(16, func(i int) { read(org + id.ID(i)) })
	writer := longest(1, func(int) { _, _ = s.Apply(ctx, org, set("a", "2")) })
	waited := max(<-readers, <-writer)
	b.ReportMetric(waited.Seconds(), "s-waiting")
	if !back {
		later := <-longest(16, func(i int) { read(org + id.ID(i)) })
		b.ReportMetric(later.Seconds(), "s-later")
		end(n)
		return
	}
	var later time.Duration
	for range 100 { // one after the other, while it lasts
		later = max(later, <-longest(1, func(int) { read(org) }))
		time.Sleep(10 * time.Millisecond)
	}
	b.ReportMetric(later.Seconds(), "s-later")
	end(n)
	returned := time.Now()
	for {
		if _, err := secret.Get(ctx, s, org, "a"); err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.ReportMetric(time.Since(returned).Seconds(), "s-return")
}

// longest is how long the last of n waits for what it does.
func longest(n int, do func(i int)) <-chan time.Duration {
	out := make(chan time.Duration, 1)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	go func() { wg.Wait(); out <- time.Since(began) }()
	return out
}
