package secrettest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"

	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// memory is the plainest store that keeps the contract: it shows that the suite asks for nothing more.
type memory struct {
	mu   sync.Mutex
	orgs map[id.ID]map[string][]byte
}

func (m *memory) Keys(ctx context.Context, org id.ID) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.AppendSeq([]string{}, slices.Values(slices.Sorted(maps.Keys(m.orgs[org])))), nil
}

func (m *memory) Get(ctx context.Context, org id.ID, key string) (secret.Value, error) {
	if err := ctx.Err(); err != nil {
		return secret.Value{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.orgs[org][key]
	if !ok {
		return secret.Value{}, secret.NotFound(key)
	}
	return secret.NewValue(slices.Clone(b)), nil
}

func (m *memory) Apply(ctx context.Context, org id.ID, c secret.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range c.Set {
		_, exists := m.orgs[org][key]
		if err := c.Only.Allows(key, exists); err != nil {
			return err
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
			return err
		}
	}
	if m.orgs[org] == nil {
		m.orgs[org] = map[string][]byte{}
	}
	for key, v := range c.Set {
		m.orgs[org][key] = slices.Clone(v.Bytes())
	}
	for _, key := range c.Delete {
		delete(m.orgs[org], key)
	}
	return nil
}

func (m *memory) Purge(ctx context.Context, org id.ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.orgs, org)
	return nil
}

func (m *memory) Check(ctx context.Context) error { return ctx.Err() }

func TestSuite(t *testing.T) {
	open := func(*testing.T) secret.Store { return &memory{orgs: map[id.ID]map[string][]byte{}} }
	Test(t, open)
	TestShared(t, func(t *testing.T) (secret.Store, secret.Store) {
		s := open(t)
		return s, s
	})
}
