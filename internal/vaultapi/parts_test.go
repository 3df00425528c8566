package vaultapi_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/audit/auditlog"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/directory"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/service"
	"strongroom/internal/vaultapi"
	"strongroom/internal/vaultapi/notes"
)

// parts is the API over real parts, on a port of the loopback address, set up with the operator's token.
type parts struct {
	url     string
	root    string // may do everything, and use all secrets
	org     id.ID  // acme
	data    kv.Store
	store   *sealable
	logins  *authn.Service
	users   *directory.Service
	secrets *service.Service
	handler *vaultapi.Server
}

// sealable is a store that can be told not to serve.
type sealable struct {
	secret.Store
	sealed atomic.Bool
}

var errSealed = errs.New(errs.Unavailable, "the secret store is sealed")

func (s *sealable) Check(ctx context.Context) error {
	if s.sealed.Load() {
		return errSealed
	}
	return s.Store.Check(ctx)
}

func (s *sealable) Read(ctx context.Context, org id.ID, q secret.Query) (secret.Snapshot, error) {
	if s.sealed.Load() {
		return secret.Snapshot{}, errSealed
	}
	return s.Store.Read(ctx, org, q)
}

func start(t testing.TB, change func(*vaultapi.Config)) *parts {
	t.Helper()
	dir := t.TempDir()
	data, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, data.Close()) })
	keys, err := keyring.OpenOrInit(t.Context(), data,
		keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	must(t, err)
	t.Cleanup(keys.Close)
	p := &parts{data: data, store: &sealable{Store: embedded.New(embedded.Config{KV: data, Keyring: keys, History: 10})}}
	log := slog.New(slog.DiscardHandler)
	trail, err := auditlog.Open(auditlog.Config{Sinks: []string{"stdout"}, ChainKey: bytes.Repeat([]byte("k"), 32),
		Logger: log, Stdout: io.Discard})
	must(t, err)
	guard := access.NewGuard(trail)
	p.logins, err = authn.New(authn.Config{KV: data, Guard: guard, Logger: log, BcryptCost: 4})
	must(t, err)
	p.users, err = directory.New(directory.Config{KV: data, Mark: keys, Guard: guard, Authn: p.logins, Secrets: p.store,
		Logger: log})
	must(t, err)
	book, err := notes.New(data, bytes.Repeat([]byte("n"), 32), bytes.Repeat([]byte("c"), 32))
	must(t, err)
	p.secrets = service.New(p.store, guard, p.users, nil, secret.Limits{})
	c := vaultapi.Config{Guard: guard, Authn: p.logins, Directory: p.users, Secrets: p.secrets, Store: p.store,
		Notes: book, Logger: log}
	if change != nil {
		change(&c)
	}
	p.handler, err = vaultapi.New(c)
	must(t, err)
	server := httptest.NewServer(p.handler)
	t.Cleanup(server.Close)
	p.url = server.URL
	nobody := &access.Caller{Principal: &access.Principal{}}
	o, err := p.users.Onboard(t.Context(), nobody, directory.Setup{User: "admin", Password: "the password", Org: "acme",
		Bucket: "metrics"})
	must(t, err)
	p.org = o.Org.ID
	p.root = p.token(t, o.Token, append(access.Operator(),
		access.To(access.Use, access.Resource{Type: access.Secrets}))...)
	return p
}

// caller is who a token stands for.
func (p *parts) caller(t testing.TB, token string) *access.Caller {
	t.Helper()
	who, err := p.logins.ByToken(t.Context(), token)
	must(t, err)
	return &access.Caller{Principal: who, RequestID: "test"}
}

// token makes a token in the first organisation.
func (p *parts) token(t testing.TB, by string, ps ...access.Permission) string {
	t.Helper()
	_, token, err := p.users.Authorize(t.Context(), p.caller(t, by), authorizations.Wanted{OrgID: p.org,
		Permissions: ps})
	must(t, err)
	return token
}

// newOrg makes an organisation.
func (p *parts) newOrg(t testing.TB, name string) id.ID {
	t.Helper()
	o, err := p.users.NewOrg(t.Context(), p.caller(t, p.root), name, "")
	must(t, err)
	return o.ID
}

// may is permissions for an organisation's secrets, narrowed to a name where it is not "".
func may(org id.ID, name string, actions ...access.Action) []access.Permission {
	var ps []access.Permission
	for _, a := range actions {
		ps = append(ps, access.To(a, access.Resource{Type: access.Secrets, OrgID: org, Name: name}))
	}
	return ps
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wait is for what answers from memory for a second.
func wait(t testing.TB, d time.Duration) {
	t.Helper()
	time.Sleep(d)
}

func newAuth(p *parts, ps []access.Permission) authorizations.Wanted {
	return authorizations.Wanted{OrgID: p.org, Permissions: ps}
}
