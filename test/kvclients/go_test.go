// Package kvclients uses the server with today's clients of the KV v2 HTTP API.
package kvclients

import (
	"errors"
	"net/http"
	"testing"

	"github.com/hashicorp/vault/api"

	"strongroom/test/daemon"
)

func connect(t *testing.T, d *daemon.Daemon, token string) *api.Client {
	t.Helper()
	conf := api.DefaultConfig()
	conf.Address = d.URL
	conf.MaxRetries = 0
	c, err := api.NewClient(conf)
	must(t, err)
	c.SetToken(token)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused expects an answer with the status.
func refused(t *testing.T, err error, status int) {
	t.Helper()
	var e *api.ResponseError
	if !errors.As(err, &e) || e.StatusCode != status {
		t.Errorf("it answered %v, not %d", err, status)
	}
}

// TestGo walks through all that Vault's Go client has for KV version 2.
func TestGo(t *testing.T) {
	d := daemon.Start(t)
	c := connect(t, d, d.VaultToken(t, false))
	ctx := t.Context()
	kv := c.KVv2("secret")
	const name = "acme/app/db"
	if _, err := kv.Get(ctx, name); !errors.Is(err, api.ErrSecretNotFound) {
		t.Errorf("a secret that is not there: %v", err)
	}
	made, err := kv.Put(ctx, name, map[string]any{"user": "u", "password": "one"}, api.WithCheckAndSet(0))
	must(t, err)
	if made.VersionMetadata.Version != 1 {
		t.Errorf("the first version is %d", made.VersionMetadata.Version)
	}
	_, err = kv.Put(ctx, name, map[string]any{"x": "y"}, api.WithCheckAndSet(0))
	refused(t, err, http.StatusBadRequest)
	_, err = kv.Patch(ctx, name, map[string]any{"password": "two"})
	must(t, err)
	_, err = kv.Patch(ctx, "acme/app/none", map[string]any{"a": "b"})
	if err == nil {
		t.Error("what is not there was patched")
	}
	got, err := kv.Get(ctx, name)
	must(t, err)
	if got.Data["user"] != "u" || got.Data["password"] != "two" || got.VersionMetadata.Version != 2 {
		t.Errorf("patched: %v, version %d", got.Data, got.VersionMetadata.Version)
	}
	got, err = kv.GetVersion(ctx, name, 1)
	must(t, err)
	if got.Data["password"] != "one" {
		t.Errorf("version 1: %v", got.Data)
	}
	must(t, kv.PutMetadata(ctx, name, api.KVMetadataPutInput{CustomMetadata: map[string]any{"owner": "team"}}))
	_, err = kv.Rollback(ctx, name, 1)
	must(t, err)
	versions, err := kv.GetVersionsAsList(ctx, name)
	must(t, err)
	if len(versions) != 3 {
		t.Errorf("there are %d versions, not 3", len(versions))
	}
	must(t, kv.DeleteVersions(ctx, name, []int{1}))
	must(t, kv.Delete(ctx, name))
	if got, err := kv.Get(ctx, name); err != nil || got.Data != nil || got.VersionMetadata.DeletionTime.IsZero() {
		t.Errorf("deleted: %+v, %v", got, err)
	}
	must(t, kv.Undelete(ctx, name, []int{3}))
	if got, err := kv.Get(ctx, name); err != nil || got.Data["password"] != "one" || got.VersionMetadata.Version != 3 {
		t.Errorf("undeleted: %+v, %v", got, err)
	}
	must(t, kv.Destroy(ctx, name, []int{2}))
	if got, err := kv.GetVersion(ctx, name, 2); err != nil || got.Data != nil || !got.VersionMetadata.Destroyed {
		t.Errorf("destroyed: %+v, %v", got, err)
	}
	m, err := kv.GetMetadata(ctx, name)
	must(t, err)
	if m.CurrentVersion != 3 || m.CustomMetadata["owner"] != "team" {
		t.Errorf("the metadata: %+v", m)
	}
	list, err := c.Logical().ListWithContext(ctx, "secret/metadata/acme/app")
	must(t, err)
	if keys, _ := list.Data["keys"].([]any); len(keys) != 1 || keys[0] != "db" {
		t.Errorf("the list: %v", list.Data)
	}
	must(t, kv.DeleteMetadata(ctx, name))
	if _, err := kv.GetMetadata(ctx, name); !errors.Is(err, api.ErrSecretNotFound) {
		t.Errorf("removed: %v", err)
	}
	// The organisation as one entry, which InfluxDB's API shares.
	d.Set(t, map[string]string{"a": "1"})
	all, err := kv.Get(ctx, d.OrgID)
	must(t, err)
	if all.Data["a"] != "1" || len(all.Data) != 1 {
		t.Errorf("the organisation: %v", all.Data)
	}
}

// TestGoSystem is what the client asks of the server and of its token.
func TestGoSystem(t *testing.T) {
	d := daemon.Start(t)
	c := connect(t, d, d.VaultToken(t, false))
	health, err := c.Sys().Health()
	must(t, err)
	if !health.Initialized || health.Sealed {
		t.Errorf("health: %+v", health)
	}
	status, err := c.Sys().SealStatus()
	must(t, err)
	if status.Sealed {
		t.Errorf("seal: %+v", status)
	}
	mounts, err := c.Sys().ListMounts()
	must(t, err)
	if m := mounts["secret/"]; m == nil || m.Type != "kv" || m.Options["version"] != "2" {
		t.Errorf("mounts: %+v", mounts)
	}
	can, err := c.Sys().CapabilitiesSelf("secret/data/acme/x")
	must(t, err)
	if len(can) != 5 {
		t.Errorf("capabilities: %v", can)
	}
	_, err = c.Auth().Token().LookupSelf()
	must(t, err)
	_, err = c.Auth().Token().RenewSelf(0)
	refused(t, err, http.StatusBadRequest)
	made, err := c.Auth().Token().Create(&api.TokenCreateRequest{TTL: "10m"})
	must(t, err)
	child := connect(t, d, made.Auth.ClientToken)
	renewed, err := child.Auth().Token().RenewSelf(1200)
	must(t, err)
	if renewed.Auth.LeaseDuration < 1190 {
		t.Errorf("renewed for %d s", renewed.Auth.LeaseDuration)
	}
	must(t, child.Auth().Token().RevokeSelf(""))
	_, err = child.Auth().Token().LookupSelf()
	refused(t, err, http.StatusForbidden)
}
