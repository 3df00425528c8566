package secret

import (
	"context"
	"time"

	"strongroom/internal/id"
)

// meteredHistory is a metered store that keeps a history: the decorator has as many methods as what it decorates.
type meteredHistory struct {
	*metered
	history Historian
}

// KeepsHistory implements what the function KeepsHistory asks for.
func (m *meteredHistory) KeepsHistory(org id.ID) bool { return KeepsHistory(m.Store, org) }

func (m *meteredHistory) Info(ctx context.Context, org id.ID, key string) (info Info, err error) {
	defer func(start time.Time) { m.observe(ctx, "info", org, start, err) }(time.Now())
	return m.history.Info(ctx, org, key)
}

func (m *meteredHistory) Deleted(ctx context.Context, org id.ID) (infos []Info, err error) {
	defer func(start time.Time) { m.observe(ctx, "deleted", org, start, err) }(time.Now())
	return m.history.Deleted(ctx, org)
}

func (m *meteredHistory) Describe(ctx context.Context, org id.ID, key string, d Description) (err error) {
	defer func(start time.Time) { m.observe(ctx, "describe", org, start, err) }(time.Now())
	return m.history.Describe(ctx, org, key, d)
}

func (m *meteredHistory) Restore(ctx context.Context, org id.ID, key string, version int, by string) (err error) {
	defer func(start time.Time) { m.observe(ctx, "restore", org, start, err) }(time.Now())
	return m.history.Restore(ctx, org, key, version, by)
}
