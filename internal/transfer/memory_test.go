package transfer_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/influxdb"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
	"strongroom/internal/transfer"
	"strongroom/internal/transfer/report"
)

// sorting is a secret.Store with an order of its own, the names' backwards, that keeps nothing but the changes' bounds.
type sorting struct {
	kept
	count   int
	changes [][2]string // the first and the last place of each
	most    int         // the secrets of the largest
}

func (*sorting) Order(id.ID) func(string) (string, error) {
	return func(name string) (string, error) { return backwards(name), nil }
}

func backwards(name string) string {
	place := []byte(name)
	slices.Reverse(place)
	return string(place)
}

func (*sorting) Keys(context.Context, id.ID) ([]string, error) { return nil, nil }

func (s *sorting) Apply(_ context.Context, _ id.ID, c secret.Change) (secret.Outcome, error) {
	var first, last string
	for name := range c.Set {
		place := backwards(name)
		if first == "" || place < first {
			first = place
		}
		last = max(last, place)
	}
	s.count += len(c.Set)
	s.most = max(s.most, len(c.Set))
	s.changes = append(s.changes, [2]string{first, last})
	return secret.Outcome{}, nil
}

// heap notes how much is in use, at the most, in the first half of what is passed on and in the second.
type heap struct{ first, second uint64 }

func (h *heap) look(n, of int) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	half := &h.first
	if n >= of/2 {
		half = &h.second
	}
	*half = max(*half, m.HeapAlloc)
}

// TestImportMemory brings more secrets and tokens than an import may keep. What it keeps of the first half does not stay.
// It is alone: others would use memory, too.
func TestImportMemory(t *testing.T) {
	const passes, secrets, tokens, slack = 64, 4096, 64, 8 << 20
	f := identitytest.Onboarded(t)
	store := &sorting{}
	in := imported(t)
	var ofTokens, ofSecrets heap
	c := &influxdb.Contents{Identities: in.Identities}
	c.EachAuthorizations = func(_ context.Context, f func(influxdb.Some) error) error {
		for n := range passes {
			var some influxdb.Some
			for i := range tokens {
				a := in.Authorizations[0]
				hash := identity.HashOf(fmt.Sprint("token ", n, i))
				a.ID, a.Hash = id.ID(0x1000+n*tokens+i), hash[:]
				a.Description = strings.Repeat("d", 8000)
				some.Authorizations = append(some.Authorizations, a)
			}
			if err := f(some); err != nil {
				return err
			}
			ofTokens.look(n, passes)
		}
		return nil
	}
	c.EachSecrets = func(_ context.Context, f func(influxdb.Some) error) error {
		for n := range passes {
			var some influxdb.Some
			for i := range secrets {
				some.Secrets = append(some.Secrets, influxdb.Secret{Org: 0x20, Key: fmt.Sprintf("key %07d", n*secrets+i),
					Value: secret.NewValue([]byte(strings.Repeat("v", 100)))})
			}
			if err := f(some); err != nil {
				return err
			}
			ofSecrets.look(n, passes)
		}
		return nil
	}
	r, err := transfer.Import{KV: f.KV, Guard: f.Guard, Store: store, Caller: access.System(), From: "file",
		Secrets: service.New(store, f.Guard, f.Directory, nil, secret.Limits{}), Told: func(report.Item) {}}.
		Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for what, h := range map[string]heap{"tokens": ofTokens, "secrets": ofSecrets} {
		if h.second > h.first+slack {
			t.Errorf("%d bytes are kept of the first half of the %s, and %d with the second", h.first, what, h.second)
		}
	}
	told := r.Totals[slices.IndexFunc(r.Totals, func(t report.Total) bool { return t.Kind == "secret" })]
	if store.count != passes*secrets || told.Brought != store.count {
		t.Errorf("%d of %d secrets were brought, and %d are told", store.count, passes*secrets, told.Brought)
	}
	// Each change has what lies between the one before it and the one after it, until the order begins anew.
	begun := 1
	for n, change := range store.changes[1:] {
		if change[0] <= store.changes[n][1] {
			begun++
		}
	}
	if begun > passes*secrets/(32<<10) || store.most < 1000 {
		t.Errorf("the order begins %d times in %d changes of %d secrets at most", begun, len(store.changes), store.most)
	}
}
