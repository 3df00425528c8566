package offline

import (
	"slices"
	"testing"

	"strongroom/internal/clock"
	"strongroom/internal/identity"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/keyring"
	"strongroom/internal/secret/due"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/embedded/records"
	"strongroom/internal/secret/lastuse"
	"strongroom/internal/servers"
	"strongroom/internal/vaultapi/notes"
)

// TestKnownPrefixesDamaged fails where a prefix of the data is new, until somebody says which test damages its records.
func TestKnownPrefixesDamaged(t *testing.T) {
	const beside = "TestRecordsBesideDamaged" // of package influxd
	damagedBy := map[string]string{
		keyring.SealRecord:     "embedded.TestEveryRecordDamaged",
		keyring.KeyringRecord:  "embedded.TestEveryRecordDamaged",
		records.DatedRoot:      "embedded.TestEveryRecordDamaged",
		keyring.HandoverRecord: beside,
		parts.AuditMark:        beside,
		parts.Copying:          "none: with it, whatever it says, no server starts; without it the copy is checked",
		clock.Record:           beside,
		lastuse.Prefix:         beside,
		due.Prefix:             beside,
		notes.Prefix:           beside,
	}
	for _, prefix := range identity.Prefixes {
		damagedBy[prefix] = "identity.TestEveryRecordDamaged"
	}
	for _, prefix := range embedded.Prefixes {
		damagedBy[prefix] = "embedded.TestPrefixesDamaged"
	}
	for _, prefix := range servers.Prefixes {
		damagedBy[prefix] = beside
	}
	for _, prefix := range known {
		if damagedBy[prefix] == "" {
			t.Errorf("no test damages the records %s", prefix)
		}
	}
	for prefix := range damagedBy {
		if !slices.Contains(known, prefix) {
			t.Errorf("the records %s are of a kind that check does not know", prefix)
		}
	}
}
