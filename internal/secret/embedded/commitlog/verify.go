package commitlog

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/records"
)

// verifyPage is how many records are read at a time.
const verifyPage = 32

// Verify looks at the large changes under way, and tells what is wrong with which record. One that was never committed
// is no fault: the next start removes it. It gives the organisations that have a committed one with all its steps.
func (l *Log) Verify(ctx context.Context, wrong func(key, format string, args ...any)) ([]id.ID, error) {
	journals := make(map[id.ID]entry)
	there := make(map[string]bool)
	opens := func(rec kv.Record, org id.ID, to keyring.Belongs) []byte {
		plain, err := l.ring.Open(org, to, rec.Value)
		if err != nil {
			wrong(rec.Key, "%v", err)
		}
		return plain
	}
	for rec, err := range kv.Each(ctx, l.kv, Root, verifyPage) {
		if err != nil {
			return nil, err
		}
		org, rest, err := records.OrgOf(Root, rec.Key)
		if err != nil {
			wrong(rec.Key, "its key names no organisation")
			continue
		}
		if rest != name {
			there[rec.Key] = true
			clear(opens(rec, org, keyring.Belongs{Kind: stepKind, Key: rest}))
			continue
		}
		var e entry
		if plain := opens(rec, org, keyring.Belongs{Kind: journalKind}); plain != nil && json.Unmarshal(plain,
			&e) != nil {
			wrong(rec.Key, "it is malformed")
		}
		journals[org] = e
	}
	var committed []id.ID
	for _, org := range slices.Sorted(maps.Keys(journals)) {
		e := journals[org]
		missing := 0
		for missing < e.Steps && there[stepKey(org, e.Batch, missing)] {
			missing++
		}
		if missing < e.Steps {
			wrong(Key(org), "step %d of the change it commits is missing", missing)
		} else if e.Steps > 0 {
			committed = append(committed, org)
		}
	}
	return committed, nil
}
