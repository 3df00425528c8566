package parts

import (
	"path/filepath"
	"testing"

	"strongroom/internal/influxd/config"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
)

// TestMarkOfOneOfSeveral has one server go on alone with data of several: it holds its audit log against what they know
// of the log of its own name, and from its first mark on against its own, also among several once more.
func TestMarkOfOneOfSeveral(t *testing.T) {
	data, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	marks := func(engine, name string) AuditMarks {
		cfg := &config.Config{Store: engine}
		cfg.Etcd.ServerName = name
		return MarksOf(cfg, data, "")
	}
	expect := func(engine, name, want string) {
		t.Helper()
		if got, err := marks(engine, name).Load(t.Context()); err != nil || string(got) != want {
			t.Errorf("%s over %s has the mark %q, want %q: %v", name, engine, got, want, err)
		}
	}
	expect(config.EngineBolt, "a", "")
	if _, err := data.Txn(t.Context(), nil, []kv.Op{kv.Put(AuditMark, []byte("alone"))}); err != nil {
		t.Fatal(err)
	}
	expect(config.EngineBolt, "a", "alone")
	expect(config.EngineEtcd, "a", "")
	for _, name := range []string{"a", "b"} {
		if err := marks(config.EngineEtcd, name).Save(t.Context(), []byte("of "+name)); err != nil {
			t.Fatal(err)
		}
	}
	expect(config.EngineEtcd, "b", "of b")
	expect(config.EngineBolt, "a", "of a")
	expect(config.EngineBolt, "new", "") // another log: that of before is not its own
	if err := marks(config.EngineBolt, "a").Save(t.Context(), []byte("alone again")); err != nil {
		t.Fatal(err)
	}
	expect(config.EngineBolt, "a", "alone again")
	expect(config.EngineEtcd, "a", "")
}
