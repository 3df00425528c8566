package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/vaulttest"
)

// BenchmarkVault reads and writes entries of so many secrets, by so many clients, through the store (keys, change, use)
// and beside it by bare HTTP with the same token (read, write). ns/op is of all clients together, so the ratio of two
// lines is the ratio of their rates.
func BenchmarkVault(b *testing.B) {
	v := vaulttest.Shared(b)
	mount := v.MountKV(b)
	token := v.Token(b, full(mount), time.Hour)
	s, err := New(b.Context(), Config{Address: v.Address, Token: token, Place: Place{Mount: mount}, CacheTTL: time.Hour,
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	each(b, func(b *testing.B, secrets, clients int, org id.ID) {
		data := make(map[string]string)
		for k, val := range values(secrets) {
			data[k] = string(val.Bytes())
		}
		body, err := json.Marshal(map[string]any{"data": data})
		if err != nil {
			b.Fatal(err)
		}
		url := v.Address + "/v1/" + mount + "/data/"
		theirs := url + (org + 1000).String()
		if err := direct(b.Context(), client, token, "PUT", theirs, body); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Apply(b.Context(), org, secret.Change{Set: values(secrets)}); err != nil {
			b.Fatal(err)
		}
		run(b, "direct-read", clients, func(ctx context.Context, _ int) error {
			return direct(ctx, client, token, "GET", theirs, nil)
		})
		run(b, "keys", clients, func(ctx context.Context, _ int) error { _, err := s.Keys(ctx, org); return err })
		run(b, "direct-write", clients, func(ctx context.Context, _ int) error {
			return direct(ctx, client, token, "PUT", theirs, body)
		})
		run(b, "change", clients, func(ctx context.Context, i int) error {
			_, err := s.Apply(ctx, org, set("key-000", fmt.Sprint(i)))
			return err
		})
		run(b, "use", clients, func(ctx context.Context, _ int) error {
			_, err := useOne(ctx, s, org, "key-000")
			return err
		})
	})
}

// BenchmarkRatio alternates direct calls and the store's by one client, so that what else the machine does falls on
// both. keys/read and change/write are ratios of rates: 1 is as fast as Vault itself.
func BenchmarkRatio(b *testing.B) {
	v := vaulttest.Shared(b)
	mount := v.MountKV(b)
	token := v.Token(b, full(mount), time.Hour)
	s, err := New(b.Context(), Config{Address: v.Address, Token: token, Place: Place{Mount: mount},
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	client := &http.Client{}
	defer client.CloseIdleConnections()
	for i, secrets := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("secrets=%d", secrets), func(b *testing.B) {
			org := org + id.ID(i)
			data := make(map[string]string)
			for k, val := range values(secrets) {
				data[k] = string(val.Bytes())
			}
			body, err := json.Marshal(map[string]any{"data": data})
			if err != nil {
				b.Fatal(err)
			}
			url := v.Address + "/v1/" + mount + "/data/" + (org + 1000).String()
			if _, err := s.Apply(b.Context(), org, secret.Change{Set: values(secrets)}); err != nil {
				b.Fatal(err)
			}
			n := 0
			calls := []func() error{
				func() error { return direct(b.Context(), client, token, "PUT", url, body) },
				func() error { n++; return errOf(s.Apply(b.Context(), org, set("key-000", fmt.Sprint(n)))) },
				func() error { return direct(b.Context(), client, token, "GET", url, nil) },
				func() error { _, err := s.Keys(b.Context(), org); return err },
			}
			took := make([]time.Duration, len(calls))
			for b.Loop() {
				for i, call := range calls {
					at := time.Now()
					if err := call(); err != nil {
						b.Fatal(err)
					}
					took[i] += time.Since(at)
				}
			}
			b.ReportMetric(float64(took[2])/float64(took[3]), "keys/read")
			b.ReportMetric(float64(took[0])/float64(took[1]), "change/write")
		})
	}
}

// direct is one request, with as little around it as can be.
func direct(ctx context.Context, client *http.Client, token, method, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("X-Vault-Token", token)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return err
}

func each(b *testing.B, f func(b *testing.B, secrets, clients int, org id.ID)) {
	for i, secrets := range []int{1, 100, 1000} {
		for j, clients := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("secrets=%d/clients=%d", secrets, clients), func(b *testing.B) {
				f(b, secrets, clients, org+id.ID(10*i+j))
			})
		}
	}
}

// run has the clients share b.N calls. A call that is refused ends the benchmark.
func run(b *testing.B, name string, clients int, call func(ctx context.Context, i int) error) {
	b.Run(name, func(b *testing.B) {
		var next atomic.Int64
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				for {
					i := int(next.Add(1))
					if i > b.N || b.Failed() {
						return
					}
					if err := call(b.Context(), i); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	})
}

func values(n int) map[string]secret.Value {
	all := make(map[string]secret.Value, n)
	for i := range n {
		all[fmt.Sprintf("key-%03d", i)] = secret.NewValue(fmt.Appendf(nil,
			"value of forty bytes or so, number %05d", i))
	}
	return all
}
