package vault

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/vaulttest"
)

// BenchmarkSecretLayout is BenchmarkVault for the layout "secret": beside a list, a read and a write of one entry by
// bare HTTP, the store's list, read and set of one secret, and a change of ten, by so many clients.
func BenchmarkSecretLayout(b *testing.B) {
	each(b, func(b *testing.B, secrets, clients int, org id.ID) {
		s, client, calls := secretCalls(b, secrets, org)
		defer s.Close()
		defer client.CloseIdleConnections()
		for _, c := range calls {
			run(b, c.name, clients, c.call)
		}
	})
}

// BenchmarkSecretRatio alternates the calls by one client, so that what else the machine does falls on all. What it
// reports is the direct call's time by the store's: 1 is as fast as Vault itself.
func BenchmarkSecretRatio(b *testing.B) {
	for i, secrets := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("secrets=%d", secrets), func(b *testing.B) {
			s, client, calls := secretCalls(b, secrets, org+id.ID(i))
			defer s.Close()
			defer client.CloseIdleConnections()
			took := make(map[string]time.Duration)
			n := 0
			for b.Loop() {
				n++
				for _, c := range calls {
					at := time.Now()
					if err := c.call(b.Context(), n); err != nil {
						b.Fatal(err)
					}
					took[c.name] += time.Since(at)
				}
			}
			for _, pair := range [][2]string{{"direct-list", "keys"}, {"direct-read", "get"}, {"direct-write", "set"},
				{"direct-write", "change-of-10"}} {
				b.ReportMetric(float64(took[pair[0]])/float64(took[pair[1]]), pair[1]+"/"+pair[0])
			}
		})
	}
}

type namedCall struct {
	name string
	call func(ctx context.Context, i int) error
}

func secretCalls(b *testing.B, secrets int, org id.ID) (*Store, *http.Client, []namedCall) {
	v := vaulttest.Shared(b)
	p := Place{Mount: v.MountKV(b), Layout: LayoutSecret}
	token := v.Token(b, hcl(p), time.Hour)
	s, err := New(b.Context(), Config{Address: v.Address, Token: token, Place: p, ClientTimeout: new(time.Minute),
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	if _, err := s.Apply(b.Context(), org, secret.Change{Set: values(secrets)}); err != nil {
		b.Fatal(err)
	}
	at := func(kind string) string { return v.Address + "/v1/" + p.Mount + "/" + kind + "/" + org.String() }
	return s, client, []namedCall{
		{"direct-list", func(ctx context.Context, _ int) error {
			return direct(ctx, client, token, "LIST", at("metadata"), nil)
		}},
		{"keys", func(ctx context.Context, _ int) error { _, err := s.Keys(ctx, org); return err }},
		{"direct-read", func(ctx context.Context, _ int) error {
			return direct(ctx, client, token, "GET", at("data")+"/key-000", nil)
		}},
		{"get", func(ctx context.Context, _ int) error { _, err := secret.Get(ctx, s, org, "key-000"); return err }},
		{"direct-write", func(ctx context.Context, i int) error {
			return direct(ctx, client, token, "PUT", fmt.Sprint(at("data"), "/theirs-", i%32),
				fmt.Appendf(nil, `{"data":{"value":"%d"}}`, i))
		}},
		{"set", func(ctx context.Context, i int) error {
			return errOf(s.Apply(ctx, org, set(fmt.Sprint("ours-", i%32), fmt.Sprint(i))))
		}},
		{"change-of-10", func(ctx context.Context, i int) error {
			c := secret.Change{Set: make(map[string]secret.Value)}
			for n := range 10 {
				c.Set[fmt.Sprint("ten-", n)] = secret.NewValue(fmt.Appendf(nil, "%d of %d", n, i))
			}
			return errOf(s.Apply(ctx, org, c))
		}},
	}
}
