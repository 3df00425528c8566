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
	// former, where it is not empty, is the record of the mark from when this was one of several servers.
	former string
}

// MarksOf are the server's own, where server is empty. Of several servers each has its own log, and its mark
// below the name it goes by. In data that come from several, the one server that goes on has the mark of its name, and
// the others' end with its first one.
func MarksOf(cfg *config.Config, data kv.Store, server string) AuditMarks {
	m := AuditMarks{KV: data, Key: AuditMark}
	if cfg.Store == config.EngineEtcd {
		m.Key += "/" + cmp.Or(server, AmongSeveral(cfg))
	} else {
		m.former = FormerMark(cfg)
	}
	return m
}

// FormerMark is the record of the mark that the server had when it was one of several.
func FormerMark(cfg *config.Config) string { return AuditMark + "/" + serverName(cfg) }

// MarksOfAll are what the data know of the logs of several servers, by the servers' names, and of that
// of one with the name "".
func MarksOfAll(ctx context.Context, data kv.Store) (map[string][]byte, error) {
	all := make(map[string][]byte)
	for r, err := range kv.Each(ctx, data, AuditMark, 100) {
		if err != nil {
			return all, err
		}
		if server, ok := strings.CutPrefix(r.Key, AuditMark+"/"); ok || r.Key == AuditMark {
			all[strings.TrimPrefix(server, AuditMark)] = r.Value
		}
	}
	return all, nil
}

// AmongSeveral is what the server is called among several, and empty where it is the only one.
func AmongSeveral(cfg *config.Config) string {
	if cfg.Store != config.EngineEtcd {
		return ""
	}
	return serverName(cfg)
}

func serverName(cfg *config.Config) string {
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
	key := m.Key
	if m.former != "" {
		several, err := m.KV.List(ctx, AuditMark+"/", "", 1)
		if err != nil {
			return nil, err
		}
		if len(several) > 0 { // the mark without a name is of before them
			key = m.former
		}
	}
	r, err := m.KV.Get(ctx, key)
	if errors.Is(err, kv.ErrNotFound) {
		return nil, nil
	}
	return r.Value, err
}

// Save keeps it.
func (m AuditMarks) Save(ctx context.Context, mark []byte) error {
	ops := []kv.Op{kv.Put(m.Key, mark)}
	if m.former != "" {
		ops = append(ops, kv.DeletePrefix(AuditMark+"/"))
	}
	_, err := m.KV.Txn(ctx, nil, ops)
	return err
}
