package intent

import (
	"context"
	"strings"
	"sync/atomic"

	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
)

// Ending reports whether the organisation's secrets are being removed, which has not come to its end.
func Ending(ctx context.Context, at kv2.Location) (bool, error) {
	e, err := at.Below(StateEntry).Read(ctx)
	if err != nil {
		return false, err
	}
	c, _ := parse(e)
	return c.Purging(), nil
}

// LeftBehind counts an organisation's entries that are parts of changes which were never committed, and by now will
// not be. They hold values.
func LeftBehind(ctx context.Context, at kv2.Location) (int, error) {
	names, err := at.Below(journals).List(ctx)
	if err != nil || len(names) == 0 {
		return 0, err
	}
	e, err := at.Below(StateEntry).Read(ctx)
	if err != nil {
		return 0, err
	}
	c, _ := parse(e)
	var left atomic.Int64
	err = conn.Each(ctx, len(names), func(ctx context.Context, i int) error {
		if p := c.kept.Pending; p != nil && strings.HasPrefix(names[i], p.ID+"-") {
			return nil
		}
		m, found, err := at.Below(journals + "/" + names[i]).Metadata(ctx)
		if found && m.At.Sub(m.Created) >= orphaned {
			left.Add(1)
		}
		return err
	})
	return int(left.Load()), err
}
