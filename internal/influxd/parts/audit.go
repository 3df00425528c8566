package parts

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strings"

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

// MarksOf are the server's own, where server is empty. Of several servers each has its own log, and its mark
// below the name it goes by.
func MarksOf(cfg *config.Config, data kv.Store, server string) AuditMarks {
	m := AuditMarks{KV: data, Key: AuditMark}
	if cfg.Store == config.EngineEtcd {
		m.Key += "/" + cmp.Or(server, AmongSeveral(cfg))
	}
	return m
}

// MarksOfAll are what the data know of the logs of several servers, by the servers' names, and of that
// of one with the name "".
func MarksOfAll(ctx context.Context, data kv.Store) (map[string][]byte, error) {
	all := make(map[string][]byte)
	for after := ""; ; {
		recs, err := data.List(ctx, AuditMark, after, 100)
		if err != nil || len(recs) == 0 {
			return all, err
		}
		for _, r := range recs {
			after = r.Key
			if server, ok := strings.CutPrefix(r.Key, AuditMark+"/"); ok || r.Key == AuditMark {
				all[strings.TrimPrefix(server, AuditMark)] = r.Value
			}
		}
	}
}

// AmongSeveral is what the server is called among several, and empty where it is the only one.
func AmongSeveral(cfg *config.Config) string {
	if cfg.Store != config.EngineEtcd {
		return ""
	}
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
