package influxd

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/id"
	"strongroom/internal/secret/vault/vaulttest"
)

// losing stands before Vault and loses one in so many requests, or their answers.
func losing(t *testing.T, v *vaulttest.Server, one int) string {
	t.Helper()
	at, err := url.Parse(v.Address)
	must(t, err)
	vault := httputil.NewSingleHostReverseProxy(at)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch rand.N(2 * one) {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			vault.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		vault.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// TestConvertOverLoss moves between stores in each direction over a network that loses requests and answers, while the
// server goes on changing. Each run may fail; once the server has been stopped and a run has ended well, the target
// holds what the source does, and nothing of it counts as changed by other means. Then the source is deleted.
func TestConvertOverLoss(t *testing.T) {
	v := vaulttest.Shared(t)
	for _, way := range []struct {
		name     string
		from, to []string // the server's flags
		command  []string
	}{
		{"bolt to vault", []string{"--secret-store=bolt"}, []string{"--secret-store=vault", "--vault-layout=secret"},
			[]string{"copy", "--from", "bolt", "--to", "vault", "--vault-layout=secret"}},
		{"vault to bolt", []string{"--secret-store=vault"}, []string{"--secret-store=bolt"},
			[]string{"copy", "--from", "vault", "--to", "bolt"}},
		{"org to secret", []string{"--secret-store=vault"}, []string{"--secret-store=vault", "--vault-layout=secret"},
			[]string{"relayout", "--all", "--to", "secret"}},
		{"secret to org", []string{"--secret-store=vault", "--vault-layout=secret"}, []string{"--secret-store=vault"},
			[]string{"relayout", "--all", "--to", "org"}},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			dir, mount := t.TempDir(), v.MountKV(t)
			at := func(address string) []string {
				return []string{"--vault-addr", address, "--vault-token", v.RootToken, "--vault-mount", mount}
			}
			lossy := losing(t, v, 15)
			convert := func(args ...string) (string, error) {
				all := append(append([]string{"secrets"}, way.command...), at(lossy)...)
				out, _, err := influxdOn(t, dir, append(all, args...)...)
				return out, err
			}
			until := func(args ...string) {
				t.Helper()
				for range 30 {
					out, err := convert(args...)
					if err == nil {
						return
					}
					if text := err.Error(); strings.Contains(text, "in conflict") &&
						!strings.Contains(text, " 0 in conflict") {
						t.Fatalf("what the runs have brought counts as others': %v\n%s", err, out)
					}
				}
				_, err := convert(args...)
				t.Fatalf("no run ends well: %v", err)
			}
			from, to := append(way.from, at(v.Address)...), append(way.to, at(v.Address)...)
			r := start(t, dir, from...)
			token, secrets := r.onboard(t)
			org, err := id.Parse(strings.Split(secrets, "/")[4])
			must(t, err)
			for i := range 12 {
				r.call(t, "PATCH", secrets, token, fmt.Sprintf(`{"k%d":"0"}`, i), 204, nil)
			}
			stop := make(chan struct{})
			var changing sync.WaitGroup
			changing.Go(func() {
				for n := 1; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					if key := fmt.Sprintf("k%d", rand.N(12)); rand.N(3) == 0 {
						r.status(t, "DELETE", secrets+"/"+key, token, "")
					} else {
						r.status(t, "PATCH", secrets, token, fmt.Sprintf(`{%q:"%d"}`, key, n))
					}
				}
			})
			for range 4 {
				_, _ = convert()
			}
			close(stop)
			changing.Wait()
			r.end(t)
			want := valuesIn(t, dir, org, from)
			until()
			if diff := cmp.Diff(want, valuesIn(t, dir, org, to)); diff != "" {
				t.Fatalf("the target (-want +got):\n%s", diff)
			}
			until("--delete-source")
			if diff := cmp.Diff(want, valuesIn(t, dir, org, to)); diff != "" {
				t.Errorf("the target after the source's deletion (-want +got):\n%s", diff)
			}
			if left := valuesIn(t, dir, org, from); len(left) > 0 {
				t.Errorf("the source still has %v", left)
			}
		})
	}
}
