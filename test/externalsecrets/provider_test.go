// Package externalsecrets has External Secrets' own providers, for Vault and for webhooks, read and write here, in the place
// of a cluster's operator, configured as docs/vault-api.md and docs/agents.md say.
package externalsecrets

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	esv1 "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	esv1alpha1 "github.com/external-secrets/external-secrets/apis/externalsecrets/v1alpha1"
	"github.com/external-secrets/external-secrets/pkg/provider/vault"

	"strongroom/test/daemon"
)

// page are the resources that docs/vault-api.md shows.
type page struct {
	stores map[string]*esv1.SecretStore
	reads  *esv1.ExternalSecret
	pushes *esv1alpha1.PushSecret
}

func readPage(t *testing.T, filled *strings.Replacer) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "vault-api.md"))
	must(t, err)
	p := page{stores: make(map[string]*esv1.SecretStore)}
	blocks := strings.Split(string(text), "```yaml\n")
	for _, block := range blocks[1:] {
		block, _, closed := strings.Cut(block, "```")
		if !closed {
			t.Fatal("a block of docs/vault-api.md does not end")
		}
		for document := range strings.SplitSeq(filled.Replace(block), "\n---\n") {
			var kind metav1.TypeMeta
			must(t, yaml.Unmarshal([]byte(document), &kind))
			switch kind.Kind {
			case "SecretStore":
				s := new(esv1.SecretStore)
				must(t, yaml.UnmarshalStrict([]byte(document), s))
				p.stores[s.Name] = s
			case "ExternalSecret":
				p.reads = new(esv1.ExternalSecret)
				must(t, yaml.UnmarshalStrict([]byte(document), p.reads))
			case "PushSecret":
				p.pushes = new(esv1alpha1.PushSecret)
				must(t, yaml.UnmarshalStrict([]byte(document), p.pushes))
			default:
				t.Fatalf("docs/vault-api.md has a %q, which is not tried", kind.Kind)
			}
		}
	}
	if len(p.stores) != 2 || p.reads == nil || p.pushes == nil {
		t.Fatal("docs/vault-api.md does not show two stores, an ExternalSecret and a PushSecret")
	}
	return p
}

// cluster is a server, and what the page shows to use it with.
type cluster struct {
	page
	*daemon.Daemon
	kube map[string]string // name/key of Kubernetes' secrets, and their values
}

func newCluster(t *testing.T) cluster {
	t.Helper()
	// The provider reads how to reach the cluster, and does not reach for it.
	config := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(config, []byte(`{"apiVersion":"v1","kind":"Config","current-context":"c",`+
		`"clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:1"}}],`+
		`"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"users":[{"name":"u"}]}`), 0o600))
	t.Setenv("KUBECONFIG", config)

	d := daemon.Start(t)
	var policies []string
	for _, action := range []string{"read", "use", "write"} {
		policies = append(policies, action+":orgs/"+d.OrgID+"/secrets/cluster/*")
	}
	role, err := json.Marshal(map[string]any{"token_policies": policies})
	must(t, err)
	call := func(method, path, body, member string) string {
		t.Helper()
		var out struct{ Data map[string]any }
		d.Vault(t, d.Token, method, path, body, &out)
		return fmt.Sprint(out.Data[member])
	}
	call("POST", "auth/approle/role/cluster", string(role), "")
	return cluster{Daemon: d,
		page: readPage(t, strings.NewReplacer("http://strongroom.example.com:9999", d.URL, "my-org", "acme", "<role-id>",
			call("GET", "auth/approle/role/cluster/role-id", "", "role_id"))),
		kube: map[string]string{"strongroom-token/token": d.VaultToken(t, false),
			"strongroom-secret-id/secret-id": call("POST", "auth/approle/role/cluster/secret-id", "{}", "secret_id")},
	}
}

// open makes the provider's client of a store, as the operator does for each round.
func (c cluster) open(t *testing.T, name string) esv1.SecretsClient {
	t.Helper()
	store, ok := c.stores[name]
	if !ok {
		t.Fatalf("the page shows no store %q", name)
	}
	store.Namespace = "apps"
	kube := fake.NewClientBuilder()
	for where, value := range c.kube {
		secret, key, _ := strings.Cut(where, "/")
		kube.WithObjects(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret, Namespace: "apps"},
			Data: map[string][]byte{key: []byte(value)}})
	}
	p := &vault.Provider{NewVaultClient: vault.NewVaultClient}
	_, err := p.ValidateStore(store)
	must(t, err)
	client, err := p.NewClient(t.Context(), store, kube.Build(), "apps")
	must(t, err)
	if r, err := client.Validate(); err != nil || r != esv1.ValidationResultReady {
		t.Fatalf("the store %s is %v, %v", name, r, err)
	}
	return client
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRead(t *testing.T) {
	c := newCluster(t)
	client := c.open(t, c.reads.Spec.SecretStoreRef.Name)
	defer func() { must(t, client.Close(t.Context())) }()
	ref := c.reads.Spec.Data[0].RemoteRef
	if _, err := client.GetSecret(t.Context(), ref); !errors.Is(err, esv1.NoSecretErr) {
		t.Errorf("what is not there: %v, which its deletionPolicy does not know", err)
	}
	c.Set(t, map[string]string{"db/password": "one", "db/user": "u"})
	c.Set(t, map[string]string{"db/password": "two"})
	if v, err := client.GetSecret(t.Context(), ref); err != nil || string(v) != "two" {
		t.Errorf("it reads %q, %v", v, err)
	}
	earlier := ref
	earlier.Version = "1"
	if v, err := client.GetSecret(t.Context(), earlier); err != nil || string(v) != "one" {
		t.Errorf("version 1 is %q, %v", v, err)
	}
	all, err := client.GetSecretMap(t.Context(), esv1.ExternalSecretDataRemoteRef{Key: "acme"})
	if err != nil || len(all) != 2 || string(all["db/user"]) != "u" {
		t.Errorf("the organisation is %q, %v", all, err)
	}
	about := ref
	about.MetadataPolicy, about.Property = esv1.ExternalSecretMetadataPolicyFetch, "owner"
	c.Vault(t, c.kube["strongroom-token/token"], "POST", "secret/metadata/acme/db/password",
		`{"custom_metadata":{"owner":"team"}}`, nil)
	if v, err := client.GetSecret(t.Context(), about); err != nil || string(v) != "team" {
		t.Errorf("of its metadata it reads %q, %v", v, err)
	}
}

func TestFind(t *testing.T) {
	c := newCluster(t)
	client := c.open(t, "strongroom")
	c.Set(t, map[string]string{"db/password": "p", "db/sub/deep": "d", "others": "o"})
	token := c.kube["strongroom-token/token"]
	c.Vault(t, token, "POST", "secret/metadata/acme/db/sub/deep", `{"custom_metadata":{"team":"x"}}`, nil)
	path := "acme/db"
	for what, f := range map[string]esv1.ExternalSecretFind{
		"by name": {Path: &path, Name: &esv1.FindName{RegExp: ".*deep"}},
		"by tags": {Path: &path, Tags: map[string]string{"team": "x"}},
	} {
		found, err := client.GetAllSecrets(t.Context(), f)
		if err != nil || len(found) != 1 || string(found["acme/db/sub/deep"]) != `{"value":"d"}` {
			t.Errorf("%s it finds %q, %v", what, found, err)
		}
	}
}

// TestPush pushes and takes away what the page shows, logs in each time, and leaves no token behind.
func TestPush(t *testing.T) {
	c := newCluster(t)
	push := c.pushes.Spec.Data[0]
	ref := esv1.ExternalSecretDataRemoteRef{Key: push.GetRemoteKey(), Property: push.GetProperty()}
	before := c.tokens(t)
	round := func(do func(esv1.SecretsClient)) {
		t.Helper()
		client := c.open(t, c.pushes.Spec.SecretStoreRefs[0].Name)
		do(client)
		must(t, client.Close(t.Context()))
	}
	pushed := func(value string) error {
		var err error
		round(func(client esv1.SecretsClient) {
			made := &corev1.Secret{Data: map[string][]byte{push.GetSecretKey(): []byte(value)}}
			err = client.PushSecret(t.Context(), made, push)
		})
		return err
	}
	for _, value := range []string{"first", "first", "second"} {
		must(t, pushed(value))
		round(func(client esv1.SecretsClient) {
			if v, err := client.GetSecret(t.Context(), ref); err != nil || string(v) != value {
				t.Errorf("it reads %q, %v, not %s", v, err, value)
			}
		})
	}
	round(func(client esv1.SecretsClient) {
		must(t, client.DeleteSecret(t.Context(), push))
		if there, err := client.SecretExists(t.Context(), push); err != nil || there {
			t.Errorf("it is still there: %v, %v", there, err)
		}
	})
	if keys := c.Keys(t); len(keys) != 0 {
		t.Errorf("it left %v", keys)
	}
	if after := c.tokens(t); !slices.Equal(before, after) {
		t.Errorf("the log-ins left tokens behind: %v, then %v", before, after)
	}
	// What somebody else has set is not overwritten, and another's place is not written to.
	c.Set(t, map[string]string{"cluster/generated": "by hand"})
	if err := pushed("third"); err == nil || !strings.Contains(err.Error(), "not managed by external-secrets") {
		t.Errorf("a secret of others was overwritten: %v", err)
	}
	push.Match.RemoteRef.RemoteKey = "acme/elsewhere"
	if err := pushed("third"); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("a push to where the role may not: %v", err)
	}
}

// tokens are the IDs of all tokens.
func (c cluster) tokens(t *testing.T) []string {
	t.Helper()
	var l struct{ Authorizations []struct{ ID string } }
	c.Call(t, c.Token, "GET", "/api/v2/authorizations", "", &l)
	var ids []string
	for _, a := range l.Authorizations {
		ids = append(ids, a.ID)
	}
	slices.Sort(ids)
	return ids
}
