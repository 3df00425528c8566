package vault

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/login"
	"strongroom/internal/secret/vault/vaulttest"
)

// scene is a Vault of its own that keeps its data, and two servers, each behind a network and what may stand before
// Vault, with a token in a file.
type scene struct {
	vault   *vaulttest.Server
	place   Place
	policy  string // its name
	servers []*server
	hand    hand
}

type server struct {
	store     *Store
	log       *logs
	net       *vaulttest.Proxy
	front     *front
	file      string
	token     string
	noDefault bool // the token has not Vault's default policy, and may ask nothing about itself
}

func newScene(t *testing.T, l kv2.Layout) *scene {
	v := vaulttest.Start(t, vaulttest.Persistent(t))
	s := &scene{vault: v, place: Place{Mount: v.MountKV(t), Path: kv2.DefaultPath, Layout: l}}
	s.policy = v.WritePolicy(t, hcl(s.place))
	to := vaultAPI{v.Address, s.place.Mount, v.RootToken}
	s.hand = byEntry{to}
	if l == kv2.LayoutSecret {
		s.hand = bySecret{to}
	}
	for i := range 2 {
		srv := &server{front: newFront(t, v), file: filepath.Join(t.TempDir(), "token"), noDefault: i == 1}
		srv.net = vaulttest.Network(t, &vaulttest.Server{Address: srv.front.URL})
		srv.renew(t, s)
		srv.log = new(logs)
		var err error
		srv.store, err = New(t.Context(), Config{Address: srv.net.Address, Place: s.place, MaxRetries: new(2 * i),
			ClientTimeout: new(4 * time.Second), Login: login.Config{TokenFile: srv.file}, Logger: srv.log.logger()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(srv.store.Close)
		s.servers = append(s.servers, srv)
	}
	return s
}

// renew writes another token to a server's file.
func (srv *server) renew(t *testing.T, s *scene) {
	srv.token = s.vault.NewToken(t, map[string]any{"policies": []string{s.policy}, "ttl": "1h",
		"no_default_policy": srv.noDefault})
	srv.write(t, srv.token)
}

func (srv *server) write(t *testing.T, token string) {
	t.Helper()
	if err := os.WriteFile(srv.file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
}

// trouble is what befalls Vault, its servers or what is between them, for a while.
type trouble struct {
	name   string
	only   kv2.Layout // "" in each
	befall func(t *testing.T, s *scene, org id.ID)
}

// aWhile is how long it lasts.
func aWhile() { time.Sleep(50*time.Millisecond + rand.N(350*time.Millisecond)) }

// onNetwork is something between a server and Vault.
func onNetwork(begin func(*vaulttest.Proxy)) func(*testing.T, *scene, id.ID) {
	return func(_ *testing.T, s *scene, _ id.ID) {
		n := s.servers[rand.N(len(s.servers))].net
		begin(n)
		if rand.N(3) == 0 { // longer than one waits before one looks
			time.Sleep(1200 * time.Millisecond)
		}
		aWhile()
		n.Pass()
	}
}

// troubles are all of them.
var troubles = []trouble{
	{name: "nothing", befall: func(*testing.T, *scene, id.ID) { aWhile() }},
	{name: "Vault is killed", befall: func(t *testing.T, s *scene, _ id.ID) {
		s.vault.Kill()
		aWhile()
		s.vault.Restart(t)
	}},
	{name: "Vault is sealed", befall: func(t *testing.T, s *scene, _ id.ID) {
		s.vault.Seal(t)
		aWhile()
		s.vault.Unseal(t)
	}},
	{name: "a token is revoked", befall: func(t *testing.T, s *scene, _ id.ID) {
		srv := s.servers[rand.N(len(s.servers))]
		s.vault.Revoke(t, srv.token)
		aWhile()
		srv.renew(t, s)
	}},
	{name: "half a token in the file", befall: func(t *testing.T, s *scene, _ id.ID) {
		srv := s.servers[rand.N(len(s.servers))]
		old := srv.token
		srv.write(t, old[:len(old)/2])
		aWhile()
		if rand.N(2) == 0 {
			s.vault.Revoke(t, old)
		}
		srv.renew(t, s)
	}},
	{name: "the policy is taken away", befall: func(t *testing.T, s *scene, _ id.ID) {
		s.vault.ConfigurePolicy(t, s.policy, `path "elsewhere/*" { capabilities = ["read"] }`)
		aWhile()
		s.vault.ConfigurePolicy(t, s.policy, hcl(s.place))
	}},
	{name: "the policy forbids to write", befall: func(t *testing.T, s *scene, _ id.ID) {
		s.vault.ConfigurePolicy(t, s.policy, fmt.Sprintf(
			`path "%[1]s/data/*" { capabilities = ["read"] }
			path "%[1]s/metadata/*" { capabilities = ["list", "read"] }`,
			s.place.Mount))
		aWhile()
		s.vault.ConfigurePolicy(t, s.policy, hcl(s.place))
	}},
	{name: "the policy forbids one name", only: kv2.LayoutSecret, befall: func(t *testing.T, s *scene, org id.ID) {
		at := s.place.Mount + "/%s/" + org.String() + "/a"
		s.vault.ConfigurePolicy(t, s.policy, hcl(s.place)+
			fmt.Sprintf("path %q { capabilities = [\"read\"] }\n", fmt.Sprintf(at, "data"))+
			fmt.Sprintf("path %q { capabilities = [\"deny\"] }\n", fmt.Sprintf(at, "delete")))
		aWhile()
		s.vault.ConfigurePolicy(t, s.policy, hcl(s.place))
	}},
	{name: "the network is cut", befall: onNetwork((*vaulttest.Proxy).Cut)},
	{name: "the network lets nothing through", befall: onNetwork((*vaulttest.Proxy).Hang)},
	{name: "the network lets no answer through", befall: onNetwork((*vaulttest.Proxy).LoseAnswers)},
	{name: "connections die", befall: onNetwork((*vaulttest.Proxy).Freeze)},
	{name: "connections are reset", befall: onNetwork((*vaulttest.Proxy).Reset)},
	{name: "the network is slow", befall: onNetwork(func(p *vaulttest.Proxy) { p.Slow(20 * time.Millisecond) })},
	{name: "a balancer answers", befall: func(_ *testing.T, s *scene, _ id.ID) {
		srv := s.servers[rand.N(len(s.servers))]
		before := srv.front.set(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			http.Error(w, "<html>no server is available</html>", []int{429, 502, 503, 504}[rand.N(4)])
		})
		aWhile()
		srv.front.set(before)
	}},
}
