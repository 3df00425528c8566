package parts

import (
	"context"
	"errors"
	"os"

	"strongroom/internal/influxd/config"
	"strongroom/internal/kv"
)

// AuditMark is the record that says how far the audit log goes.
const AuditMark = "core/audit"

// AuditMarks keeps it in the data.
type AuditMarks struct {
	KV  kv.Store
	Key string
}

// MarksOf are the server's own. Of several servers each has its own log, and its mark below the name it goes by.
func MarksOf(cfg *config.Config, data kv.Store) AuditMarks {
	m := AuditMarks{KV: data, Key: AuditMark}
	if cfg.Store == config.EngineEtcd {
		m.Key += "/" + ServerName(cfg)
	}
	return m
}

// ServerName is what the server is called among several.
func ServerName(cfg *config.Config) string {
	if cfg.Etcd.ServerName != "" {
		return cfg.Etcd.ServerName
	}
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return "influxd"
}

// Load gives what Save was given last, nil where there is nothing.
func (m AuditMarks) Load(ctx context.Context) ([]byte, error) {
	r, err := m.KV.Get(ctx, m.Key)
	if errors.Is(err, kv.ErrNotFound) {
		return nil, nil
	}
	return r.Value, err
}

// Save keeps it.
func (m AuditMarks) Save(ctx context.Context, mark []byte) error {
	_, err := m.KV.Txn(ctx, nil, []kv.Op{kv.Put(m.Key, mark)})
	return err
}
