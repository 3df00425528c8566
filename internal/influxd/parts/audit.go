package parts

import (
	"context"
	"errors"

	"strongroom/internal/kv"
)

// AuditMark is the record that says how far the audit log goes.
const AuditMark = "core/audit"

// AuditMarks keeps it in the data.
type AuditMarks struct{ KV kv.Store }

// Load gives what Save was given last, nil where there is nothing.
func (m AuditMarks) Load(ctx context.Context) ([]byte, error) {
	r, err := m.KV.Get(ctx, AuditMark)
	if errors.Is(err, kv.ErrNotFound) {
		return nil, nil
	}
	return r.Value, err
}

// Save keeps it.
func (m AuditMarks) Save(ctx context.Context, mark []byte) error {
	_, err := m.KV.Txn(ctx, nil, []kv.Op{kv.Put(AuditMark, mark)})
	return err
}
