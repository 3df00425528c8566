package externalsecrets

import (
	"errors"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	esv1 "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	"github.com/external-secrets/external-secrets/pkg/provider/webhook"

	"strongroom/test/daemon"
)

// webhookPage are the resources that docs/agents.md shows.
type webhookPage struct {
	token  *corev1.Secret
	stores []esv1.GenericStore
	ref    esv1.ExternalSecretDataRemoteRef
}

func readWebhookPage(t *testing.T, filled *strings.Replacer) webhookPage {
	t.Helper()
	text, err := os.ReadFile("../../docs/agents.md")
	must(t, err)
	_, section, found := strings.Cut(string(text), "\n## External Secrets Operator\n")
	if !found {
		t.Fatal("docs/agents.md has no section of it")
	}
	var p webhookPage
	for _, block := range strings.Split(section, "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for document := range strings.SplitSeq(filled.Replace(block), "\n---\n") {
			var kind metav1.TypeMeta
			must(t, yaml.Unmarshal([]byte(document), &kind))
			switch kind.Kind {
			case "Secret":
				p.token = new(corev1.Secret)
				must(t, yaml.UnmarshalStrict([]byte(document), p.token))
			case "SecretStore":
				s := new(esv1.SecretStore)
				must(t, yaml.UnmarshalStrict([]byte(document), s))
				s.Namespace = "apps"
				p.stores = append(p.stores, s)
			case "ClusterSecretStore":
				s := new(esv1.ClusterSecretStore)
				must(t, yaml.UnmarshalStrict([]byte(document), s))
				p.stores = append(p.stores, s)
			case "ExternalSecret":
				e := new(esv1.ExternalSecret)
				must(t, yaml.UnmarshalStrict([]byte(document), e))
				p.ref = e.Spec.Data[0].RemoteRef
			default:
				t.Fatalf("docs/agents.md has a %q, which is not tried", kind.Kind)
			}
		}
	}
	if p.token == nil || len(p.stores) != 2 || p.ref.Key == "" {
		t.Fatal("docs/agents.md does not show a token, two stores and an ExternalSecret")
	}
	return p
}

// TestWebhook has the provider for webhooks read as docs/agents.md says, with either kind of store.
func TestWebhook(t *testing.T) {
	d := daemon.Start(t)
	var made struct{ ID, Token string }
	d.Call(t, d.Token, "POST", "/api/v2/authorizations", `{"orgID":"`+d.OrgID+`","permissions":[`+
		`{"action":"use","resource":{"type":"secrets","orgID":"`+d.OrgID+`","name":"db/*"}}]}`, &made)
	p := readWebhookPage(t, strings.NewReplacer("https://strongroom.example.com", d.URL, "<org-id>", d.OrgID, "<token>",
		made.Token))
	odd := map[string]string{
		"db/a+b": "plus", "db/100%ä?#&=;:@": "escaped", "db/..": "dots", "db/json": `{"user":"u","port":5}`,
		"db/odd": "\"quoted\"\\\nü\u2028<&>",
	}

	clients := make(map[string]esv1.SecretsClient)
	for _, store := range p.stores {
		kind := store.GetObjectKind().GroupVersionKind().Kind
		token := p.token.DeepCopy()
		token.Namespace = map[string]string{"SecretStore": "apps", "ClusterSecretStore": "external-secrets"}[kind]
		token.Data = make(map[string][]byte) // what a cluster makes of stringData
		for k, v := range token.StringData {
			token.Data[k] = []byte(v)
		}
		provider := new(webhook.Provider)
		_, err := provider.ValidateStore(store)
		must(t, err)
		kube := fake.NewClientBuilder().WithObjects(token).Build()
		client, err := provider.NewClient(t.Context(), store, kube, "apps")
		must(t, err)
		if r, err := client.Validate(); err != nil || r != esv1.ValidationResultReady {
			t.Fatalf("the %s is %v, %v", kind, r, err)
		}
		clients[kind] = client
	}
	for kind, client := range clients {
		if _, err := client.GetSecret(t.Context(), p.ref); !errors.Is(err, esv1.NoSecretErr) {
			t.Errorf("%s: what is not there: %v, which its deletionPolicy does not know", kind, err)
		}
	}
	d.Set(t, map[string]string{p.ref.Key: "first", "db/with space": "x", "others": "not for it"})
	d.Set(t, odd)
	for kind, client := range clients {
		if v, err := client.GetSecret(t.Context(), p.ref); err != nil || string(v) != "first" {
			t.Errorf("%s reads %q, %v", kind, v, err)
		}
		for name, want := range odd {
			v, err := client.GetSecret(t.Context(), esv1.ExternalSecretDataRemoteRef{Key: name})
			if err != nil || string(v) != want {
				t.Errorf("%s: of %q it reads %q, %v", kind, name, v, err)
			}
		}
		// The page says so of a name with a space, and of what the token may not use.
		for _, name := range []string{"db/with space", "others"} {
			_, err := client.GetSecret(t.Context(), esv1.ExternalSecretDataRemoteRef{Key: name})
			if !errors.Is(err, esv1.NoSecretErr) {
				t.Errorf("%s: of %q it hears %v", kind, name, err)
			}
		}
		part := p.ref
		part.Key, part.Property = "db/json", "user"
		if v, err := client.GetSecret(t.Context(), part); err != nil || string(v) != odd["db/json"] {
			t.Errorf("%s: with a property it reads %q, %v", kind, v, err)
		}
		all, err := client.GetSecretMap(t.Context(), esv1.ExternalSecretDataRemoteRef{Key: "db/json"})
		if err != nil || len(all) != 2 || string(all["user"]) != "u" || string(all["port"]) != "5" {
			t.Errorf("%s: taken apart it is %q, %v", kind, all, err)
		}
	}
	d.Set(t, map[string]string{p.ref.Key: "second"})
	for kind, client := range clients {
		if v, err := client.GetSecret(t.Context(), p.ref); err != nil || string(v) != "second" {
			t.Errorf("%s reads %q after a change, %v", kind, v, err)
		}
	}
	d.Call(t, d.Token, "DELETE", "/api/v2/authorizations/"+made.ID, "", nil)
	for kind, client := range clients {
		_, err := client.GetSecret(t.Context(), p.ref)
		if err == nil || errors.Is(err, esv1.NoSecretErr) || !strings.Contains(err.Error(), "401") {
			t.Errorf("%s: with a revoked token it hears %v", kind, err)
		}
	}
}
