// Package clients walks the API with InfluxData's own clients, as they are published. The requests and answers are held
// against the OpenAPI document on the way (package stack).
package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"testing"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	ihttp "github.com/influxdata/influxdb-client-go/v2/api/http"
	"github.com/influxdata/influxdb-client-go/v2/domain"

	"strongroom/test/stack"
)

// walk holds what the steps of TestGo share.
type walk struct {
	url    string
	client influxdb2.Client
	org    *domain.Organization
	user   *domain.User
}

// TestGo walks the API with influxdb-client-go.
func TestGo(t *testing.T) {
	s := stack.Start(t, stack.Options{})
	w := &walk{url: s.URL, client: connect(t, s.URL, "")}
	for _, step := range []struct {
		name string
		run  func(*testing.T, *walk)
	}{
		{"setup", goSetup}, {"secrets", goSecrets}, {"users and sessions", goUsers}, {"organizations", goOrganizations},
		{"authorizations", goAuthorizations}, {"buckets", goBuckets},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, w) }) {
			t.FailNow() // the next steps need it
		}
	}
}

func connect(t *testing.T, url, token string) influxdb2.Client {
	c := influxdb2.NewClientWithOptions(url, token, influxdb2.DefaultOptions().SetHTTPClient(&http.Client{}))
	t.Cleanup(c.Close)
	return c
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused expects an error. Most of the client's calls give its own type, some only words.
func refused(t *testing.T, err error, status int, code string) {
	t.Helper()
	var e *ihttp.Error
	if err == nil || errors.As(err, &e) && (e.StatusCode != status || e.Code != code) {
		t.Errorf("it answered %v, not %d %s", err, status, code)
	}
}

func goSetup(t *testing.T, w *walk) {
	ctx := t.Context()
	if h := must[*domain.HealthCheck](t)(w.client.Health(ctx)); h.Status != domain.HealthCheckStatusPass {
		t.Errorf("health is %v", h.Status)
	}
	if r := must[*domain.Ready](t)(w.client.Ready(ctx)); *r.Status != domain.ReadyStatusReady {
		t.Errorf("ready is %v", *r.Status)
	}
	if !must[bool](t)(w.client.Ping(ctx)) {
		t.Error("no ping")
	}
	_, err := w.client.OrganizationsAPI().GetOrganizations(ctx)
	refused(t, err, 401, "unauthorized")
	_, err = w.client.Setup(ctx, "ann", "short", "acme", "metrics", 24)
	refused(t, err, 400, "invalid")
	first := must[*domain.OnboardingResponse](t)(w.client.Setup(ctx, "ann", "ann's long password", "acme",
		"metrics", 24))
	_, err = connect(t, w.url, "").Setup(ctx, "eve", "eve's long password", "acme", "metrics", 0)
	if err == nil {
		t.Error("a second setup went through")
	}
	w.client, w.org, w.user = connect(t, w.url, *first.Auth.Token), first.Org,
		&domain.User{Id: first.User.Id, Name: first.User.Name}
}

// setSecrets does what programs do that use the client: it sends a request of its own through the client's service.
func setSecrets(ctx context.Context, c influxdb2.Client, org string, values map[string]string) error {
	body, err := json.Marshal(values)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, c.HTTPService().ServerAPIURL()+"orgs/"+org+"/secrets",
		bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if e := c.HTTPService().DoHTTPRequest(req, nil, nil); e != nil {
		return e
	}
	return nil
}

func goSecrets(t *testing.T, w *walk) {
	ctx, c := t.Context(), w.client.APIClient()
	keys := func() []string {
		t.Helper()
		return *must[*domain.SecretKeysResponse](t)(c.GetOrgsIDSecrets(ctx,
			&domain.GetOrgsIDSecretsAllParams{OrgID: *w.org.Id})).Secrets
	}
	set := func(org string, values map[string]string) error { return setSecrets(ctx, w.client, org, values) }
	// The client's own call sends {} whatever it is given, since its type for the body lost its MarshalJSON.
	done(t, c.PatchOrgsIDSecrets(ctx, &domain.PatchOrgsIDSecretsAllParams{OrgID: *w.org.Id,
		Body: domain.PatchOrgsIDSecretsJSONRequestBody{AdditionalProperties: map[string]string{
			"lost": "by the client"}}}))
	refused(t, set("0123456789abcdef", map[string]string{"a": "b"}), 404, "not found")
	refused(t, set(*w.org.Id, map[string]string{"": "b"}), 400, "invalid")
	if k := keys(); k == nil || len(k) > 0 {
		t.Errorf("at first there are %v", k)
	}
	done(t, set(*w.org.Id, map[string]string{"hello": "world", "foo": "bar", "a/b c": "d"}))
	if k := keys(); !slices.Equal(k, []string{"a/b c", "foo", "hello"}) {
		t.Errorf("then there are %q", k)
	}
	done(t, c.DeleteOrgsIDSecretsID(ctx, &domain.DeleteOrgsIDSecretsIDAllParams{OrgID: *w.org.Id, SecretID: "a/b c"}))
	done(t, c.PostOrgsIDSecrets(ctx, &domain.PostOrgsIDSecretsAllParams{OrgID: *w.org.Id,
		Body: domain.PostOrgsIDSecretsJSONRequestBody{Secrets: &[]string{"foo", "missing"}}}))
	if k := keys(); !slices.Equal(k, []string{"hello"}) {
		t.Errorf("at last there are %q", k)
	}
}

func goUsers(t *testing.T, w *walk) {
	ctx, users := t.Context(), w.client.UsersAPI()
	if me := must[*domain.User](t)(users.Me(ctx)); me.Name != "ann" {
		t.Errorf("ann is %q", me.Name)
	}
	bob := must[*domain.User](t)(users.CreateUserWithName(ctx, "bob"))
	_, err := users.CreateUserWithName(ctx, "bob")
	refused(t, err, 422, "conflict")
	refused(t, users.UpdateUserPassword(ctx, bob, "short"), 400, "invalid")
	done(t, users.UpdateUserPassword(ctx, bob, "bob's long password"))
	bob.Name = "bobby"
	bob = must[*domain.User](t)(users.UpdateUser(ctx, bob))
	if u := must[*domain.User](t)(users.FindUserByName(ctx, "bobby")); *u.Id != *bob.Id {
		t.Errorf("bobby is %v", u)
	}
	if u := must[*domain.User](t)(users.FindUserByID(ctx, *bob.Id)); u.Name != "bobby" {
		t.Errorf("bob is now %v", u.Name)
	}
	if all := must[*[]domain.User](t)(users.GetUsers(ctx)); len(*all) != 2 {
		t.Errorf("there are %d users", len(*all))
	}

	session := connect(t, w.url, "")
	refused(t, session.UsersAPI().SignIn(ctx, "bobby", "not the password"), 401, "unauthorized")
	done(t, session.UsersAPI().SignIn(ctx, "bobby", "bob's long password"))
	if me := must[*domain.User](t)(session.UsersAPI().Me(ctx)); me.Name != "bobby" {
		t.Errorf("the session is %q's", me.Name)
	}
	_, err = session.UsersAPI().CreateUserWithName(ctx, "carol")
	refused(t, err, 401, "unauthorized")
	done(t, session.UsersAPI().SignOut(ctx))
	_, err = session.UsersAPI().Me(ctx)
	refused(t, err, 401, "unauthorized")
	done(t, users.MeUpdatePassword(ctx, "ann's long password", "another long password"))
	done(t, connect(t, w.url, "").UsersAPI().SignIn(ctx, "ann", "another long password"))
	w.user = bob
}

func goOrganizations(t *testing.T, w *walk) {
	ctx, orgs := t.Context(), w.client.OrganizationsAPI()
	org := must[*domain.Organization](t)(orgs.CreateOrganizationWithName(ctx, "umbrella"))
	_, err := orgs.FindOrganizationByName(ctx, "nothing")
	refused(t, err, 404, "not found")
	description := "rain"
	org.Description = &description
	org = must[*domain.Organization](t)(orgs.UpdateOrganization(ctx, org))
	if o := must[*domain.Organization](t)(orgs.FindOrganizationByName(ctx, "umbrella")); *o.Id != *org.Id ||
		*o.Description != "rain" {
		t.Errorf("umbrella is %v", o)
	}
	if all := must[*[]domain.Organization](t)(orgs.GetOrganizations(ctx)); len(*all) != 2 {
		t.Errorf("there are %d organizations", len(*all))
	}
	must[*domain.ResourceMember](t)(orgs.AddMember(ctx, org, w.user))
	if m := must[*[]domain.ResourceMember](t)(orgs.GetMembers(ctx, org)); len(*m) != 1 ||
		*(*m)[0].Role != domain.ResourceMemberRoleMember {
		t.Errorf("members are %v", *m)
	}
	if o := must[*[]domain.Organization](t)(orgs.FindOrganizationsByUserID(ctx, *w.user.Id)); len(*o) != 1 ||
		(*o)[0].Name != "umbrella" {
		t.Errorf("bob's are %v", *o)
	}
	done(t, orgs.RemoveMember(ctx, org, w.user))
	must[*domain.ResourceOwner](t)(orgs.AddOwner(ctx, org, w.user))
	if o := must[*[]domain.ResourceOwner](t)(orgs.GetOwners(ctx, org)); len(*o) != 2 {
		t.Errorf("owners are %v", *o)
	}
	done(t, orgs.RemoveOwner(ctx, org, w.user))
	refused(t, orgs.RemoveOwner(ctx, org, w.user), 404, "not found")
	done(t, orgs.DeleteOrganization(ctx, org))
	_, err = orgs.FindOrganizationByID(ctx, *org.Id)
	refused(t, err, 404, "not found")
}

func goAuthorizations(t *testing.T, w *walk) {
	ctx, auths := t.Context(), w.client.AuthorizationsAPI()
	write := []domain.Permission{{Action: domain.PermissionActionWrite,
		Resource: domain.Resource{Type: domain.ResourceTypeSecrets, OrgID: w.org.Id}}}
	auth := must[*domain.Authorization](t)(auths.CreateAuthorizationWithOrgID(ctx, *w.org.Id, write))
	_, err := auths.CreateAuthorizationWithOrgID(ctx, "0123456789abcdef", write)
	refused(t, err, 404, "not found")
	writer := connect(t, w.url, *auth.Token)
	set := func(ctx context.Context) error {
		return setSecrets(ctx, writer, *w.org.Id, map[string]string{"set": "by a writer"})
	}
	done(t, set(ctx))
	_, err = writer.APIClient().GetOrgsIDSecrets(ctx, &domain.GetOrgsIDSecretsAllParams{OrgID: *w.org.Id})
	refused(t, err, 401, "unauthorized")
	for name, list := range map[string]func() (*[]domain.Authorization, error){
		"all": func() (*[]domain.Authorization, error) { return auths.GetAuthorizations(ctx) },
		"by user name": func() (*[]domain.Authorization, error) {
			return auths.FindAuthorizationsByUserName(ctx, "ann")
		},
		"by org name": func() (*[]domain.Authorization, error) {
			return auths.FindAuthorizationsByOrgName(ctx, "acme")
		},
		"by org": func() (*[]domain.Authorization, error) { return auths.FindAuthorizationsByOrgID(ctx, *w.org.Id) },
	} {
		if all := must[*[]domain.Authorization](t)(list()); len(*all) != 2 {
			t.Errorf("%s: %d authorizations", name, len(*all))
		}
	}
	// One with an action that the client does not know is listed and handed back like any other.
	use := []domain.Permission{{Action: "use", Resource: domain.Resource{Type: domain.ResourceTypeSecrets,
		OrgID: w.org.Id}}}
	agent := must[*domain.Authorization](t)(auths.CreateAuthorizationWithOrgID(ctx, *w.org.Id, use))
	listed := *must[*[]domain.Authorization](t)(auths.FindAuthorizationsByOrgID(ctx, *w.org.Id))
	if i := slices.IndexFunc(listed, func(a domain.Authorization) bool {
		return *a.Id == *agent.Id
	}); i < 0 || (*listed[i].Permissions)[0].Action != "use" {
		t.Errorf("the agent's authorization is not listed as it was made: %v", listed)
	}
	done(t, auths.DeleteAuthorization(ctx, agent))
	off := must[*domain.Authorization](t)(auths.UpdateAuthorizationStatus(ctx, auth,
		domain.AuthorizationUpdateRequestStatusInactive))
	if *off.Status != domain.AuthorizationUpdateRequestStatusInactive {
		t.Errorf("it is %v", *off.Status)
	}
	refused(t, set(ctx), 401, "unauthorized")
	done(t, auths.DeleteAuthorization(ctx, auth))
	refused(t, auths.DeleteAuthorization(ctx, auth), 404, "not found")
}

func goBuckets(t *testing.T, w *walk) {
	ctx, buckets := t.Context(), w.client.BucketsAPI()
	bucket := must[*domain.Bucket](t)(buckets.CreateBucketWithName(ctx, w.org, "cpu",
		domain.RetentionRule{EverySeconds: 3600}))
	_, err := buckets.CreateBucketWithName(ctx, w.org, "cpu")
	refused(t, err, 422, "conflict")
	description := "of all machines"
	bucket.Description = &description
	bucket = must[*domain.Bucket](t)(buckets.UpdateBucket(ctx, bucket))
	if b := must[*domain.Bucket](t)(buckets.FindBucketByName(ctx, "cpu")); *b.Id != *bucket.Id ||
		*b.Description != description || b.RetentionRules[0].EverySeconds != 3600 {
		t.Errorf("cpu is %v", b)
	}
	if all := must[*[]domain.Bucket](t)(buckets.FindBucketsByOrgID(ctx, *w.org.Id)); len(*all) != 4 {
		t.Errorf("there are %d buckets", len(*all))
	}
	if all := must[*[]domain.Bucket](t)(buckets.GetBuckets(ctx)); len(*all) != 4 {
		t.Errorf("there are %d buckets in all", len(*all))
	}
	done(t, buckets.DeleteBucket(ctx, bucket))
	_, err = buckets.FindBucketByID(ctx, *bucket.Id)
	refused(t, err, 404, "not found")
}
