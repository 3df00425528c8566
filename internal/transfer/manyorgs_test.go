package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/influxdb"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
	"strongroom/internal/transfer"
)

// kept is a secret.Store that keeps what it is given, and is full for one organisation.
type kept struct {
	secret.Store // none: what is not below is not asked for
	mu           sync.Mutex
	orgs         map[id.ID]map[string]secret.Value
	full         id.ID
}

var errFull = errors.New("there is no room")

func (k *kept) About(id.ID) secret.About { return secret.About{OrgChecked: true} }

func (k *kept) Keys(_ context.Context, org id.ID) (keys []string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key := range k.orgs[org] {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys, nil
}

func (k *kept) Apply(_ context.Context, org id.ID, c secret.Change) (secret.Outcome, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if org == k.full {
		return secret.Outcome{}, errFull
	}
	if k.orgs[org] == nil {
		k.orgs[org] = make(map[string]secret.Value)
	}
	for key, v := range c.Set {
		k.orgs[org][key] = v
	}
	return secret.Outcome{}, nil
}

// TestImportOfManyOrganisations brings the secrets of many organisations, some of which are not here or come in two
// parts. They are brought at the same time and told in their order, also where one of them cannot be written.
func TestImportOfManyOrganisations(t *testing.T) {
	f := identitytest.Onboarded(t)
	const orgs, each = 150, 3
	var in influxdb.Contents
	var parts [3][]influxdb.Secret
	var want []string
	store := &kept{orgs: make(map[id.ID]map[string]secret.Value)}
	for n := range orgs {
		of := id.ID(0x1000 + n)
		if n%10 != 9 {
			in.Orgs = append(in.Orgs, identity.Org{ID: of, Name: fmt.Sprint("org ", n)})
		} else {
			want = append(want, fmt.Sprint(of, "  skipped ", each))
		}
		for i := range each {
			at := (n*each + i) * len(parts) / (orgs * each)
			key := fmt.Sprint("key ", i)
			parts[at] = append(parts[at], influxdb.Secret{Org: of, Key: key, Value: secret.NewValue([]byte(key))})
			if n%10 != 9 {
				want = append(want, fmt.Sprint(of, " ", key, " brought 1"))
			}
		}
	}
	in.EachSecrets = func(_ context.Context, f func(influxdb.Some) error) error {
		for _, some := range parts {
			if err := f(influxdb.Some{Secrets: some}); err != nil {
				return err
			}
		}
		return nil
	}
	run := func() (got []string, err error) {
		report, err := transfer.Import{KV: f.KV, Guard: f.Guard, Store: store, Caller: access.System(), From: "file",
			Secrets: service.New(store, f.Guard, nil, nil, secret.Limits{})}.Run(t.Context(), &in)
		for _, i := range report.Items {
			if i.Kind == "secret" {
				got = append(got, fmt.Sprint(i.ID, " ", i.Name, " ", i.Result, " ", i.Count))
			}
		}
		return got, err
	}
	store.full = 0x1000 + 70
	got, err := run()
	if !errors.Is(err, errFull) {
		t.Errorf("with one that is full: %v", err)
	}
	for _, item := range got {
		if !slices.Contains(want, item) || item[:16] == store.full.String() {
			t.Errorf("told with one that is full: %s", item)
		}
	}
	// What was told is there, and what is there was told.
	brought := 0
	for _, keys := range store.orgs {
		brought += len(keys)
	}
	told := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return s[16:18] == "  " })
	if brought == 0 || brought != len(told) || len(got) == len(want) {
		t.Errorf("%d secrets were brought, and %d told", brought, len(told))
	}
	store.full, store.orgs = 0, make(map[id.ID]map[string]secret.Value)
	got, err = run()
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d things were told of %d, or in another order: %v", len(got), len(want), err)
	}
}
