package secrettest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

var errNone = errs.New(errs.NotImplemented, "secrets have no versions here")

// noHistory answers every call of secret.History with errNone.
type noHistory struct{}

func (noHistory) Info(context.Context, id.ID, string) (secret.Info, error) {
	return secret.Info{}, errNone
}

func (noHistory) Infos(context.Context, id.ID, secret.Page) ([]secret.Info, error) {
	return nil, errNone
}

func (noHistory) Deleted(context.Context, id.ID, secret.Page) ([]secret.Info, error) {
	return nil, errNone
}

func (noHistory) Remove(context.Context, id.ID, string, bool) error { return errNone }

func (noHistory) Describe(context.Context, id.ID, string, secret.Description) error { return errNone }

func (noHistory) ReadVersion(context.Context, id.ID, string, int) (secret.Secret, error) {
	return secret.Secret{}, errNone
}

func (noHistory) Restore(context.Context, id.ID, string, int, string) (secret.Outcome, error) {
	return secret.Outcome{}, errNone
}

func (noHistory) Mark(context.Context, id.ID, string, secret.Marking) (secret.Outcome, error) {
	return secret.Outcome{}, errNone
}

// memory is the plainest store that keeps the contract: it shows that the suite asks for nothing more.
type memory struct {
	mu   sync.Mutex
	orgs map[id.ID]map[string][]byte
	at   map[id.ID]secret.Snapshot // versions and times

	noHistory
}

func (m *memory) About(id.ID) secret.About { return secret.About{Versions: true} }

func (m *memory) Keys(ctx context.Context, org id.ID) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.AppendSeq([]string{}, slices.Values(slices.Sorted(maps.Keys(m.orgs[org])))), nil
}

func (m *memory) Read(ctx context.Context, org id.ID, q secret.Query) (secret.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return secret.Snapshot{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	snap := m.at[org]
	snap.Secrets = make(map[string]secret.Secret)
	for key, b := range m.orgs[org] {
		if q.Wants(key) {
			snap.Secrets[key] = secret.Secret{Value: secret.NewValue(slices.Clone(b))}
		}
	}
	return snap, nil
}

func (m *memory) Apply(ctx context.Context, org id.ID, c secret.Change) (secret.Outcome, error) {
	if err := ctx.Err(); err != nil {
		return secret.Outcome{}, err
	}
	if len(c.Versions) > 0 {
		return secret.Outcome{}, errNone
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.at[org]
	if err := c.CheckAt(at.Version); err != nil {
		return secret.Outcome{}, err
	}
	for key := range c.Set {
		_, exists := m.orgs[org][key]
		if err := c.Only.Allows(key, exists); err != nil {
			return secret.Outcome{}, err
		}
	}
	for key := range c.Was {
		var now *secret.Value
		b, exists := m.orgs[org][key]
		if exists {
			v := secret.NewValue(b)
			now = &v
		}
		if err := c.Built(key, now, exists); err != nil {
			return secret.Outcome{}, err
		}
	}
	if m.orgs[org] == nil {
		m.orgs[org] = map[string][]byte{}
	}
	changed := len(c.Set) > 0
	for key, v := range c.Set {
		m.orgs[org][key] = slices.Clone(v.Bytes())
	}
	for _, key := range c.Delete {
		_, had := m.orgs[org][key]
		changed = changed || had
		delete(m.orgs[org], key)
	}
	if changed {
		at.Version++
		at.Changed = time.Now()
		m.at[org] = at
	}
	return secret.Outcome{Version: at.Version}, nil
}

func (m *memory) Purge(ctx context.Context, org id.ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.orgs, org)
	delete(m.at, org)
	return nil
}

func (m *memory) Check(ctx context.Context) error { return ctx.Err() }

func TestSuite(t *testing.T) {
	open := func(*testing.T) secret.Store {
		return &memory{orgs: map[id.ID]map[string][]byte{}, at: map[id.ID]secret.Snapshot{}}
	}
	Test(t, open)
	TestShared(t, func(t *testing.T) (secret.Store, secret.Store) {
		s := open(t)
		return s, s
	})
}
