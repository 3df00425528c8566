package embedded

import (
	"testing"

	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/purge"
	"strongroom/internal/secret/embedded/records"
	"strongroom/internal/secret/embedded/rewrite"
)

// TestPrefixesDamaged fails where a prefix of the store's records is new, until somebody says which test damages them.
func TestPrefixesDamaged(t *testing.T) {
	damagedBy := map[string]string{
		records.Root:      "TestEveryRecordDamaged",
		records.TrashRoot: "TestEveryRecordDamaged",
		commitlog.Root:    "TestEveryStagedRecordDamaged",
		purge.Root:        "TestEveryStagedRecordDamaged",
		rewrite.Record:    "none: it says how far a rewriting has come",
	}
	for _, prefix := range Prefixes {
		if damagedBy[prefix] == "" {
			t.Errorf("no test damages the records %s", prefix)
		}
	}
}
