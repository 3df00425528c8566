package identity

import (
	"context"
	"encoding/json"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// Where secrets are kept under an organisation's name, the name is part of what it has: a record orgplace/<name> holds
// a name for the organisation that it belongs to, as long as there may be secrets of it under that name. Nobody else
// can have the name meanwhile, and what is removed under it is nobody else's.

// Ending is an organisation whose end is under way: what the record deleting/org/<org> says.
type Ending struct {
	At time.Time `json:"at"`
	// Names are those under which there may be secrets of it; none where the place is not the name's.
	Names []string `json:"names,omitempty"`
}

// ReadEnding reads such a record. Those of older servers hold a time alone.
func ReadEnding(r kv.Record) (Ending, error) {
	var at time.Time
	if json.Unmarshal(r.Value, &at) == nil {
		return Ending{At: at}, nil
	}
	return record.Decode[Ending](r)
}

// EndingNames are the names under which there may be secrets of an organisation whose end is under way; none where it
// is not, or not any more.
func EndingNames(ctx context.Context, store kv.Store, org id.ID) ([]string, error) {
	_, r, ok, err := record.Find[json.RawMessage](ctx, store, record.Key("deleting/org", org))
	if err != nil || !ok {
		return nil, err
	}
	e, err := ReadEnding(r)
	return e.Names, err
}

// FormerNames are the names, apart from its present one, under which there may be secrets of an organisation. A record
// that does not open tells of none, and keeps its name from everybody.
func FormerNames(ctx context.Context, store kv.Store, org id.ID) ([]string, error) {
	var names []string
	err := record.ScanFound(ctx, store, "orgplace/", func(r kv.Record) (bool, error) {
		of, err := record.Decode[id.ID](r)
		if err == nil && of == org {
			names = append(names, r.Key[len("orgplace/"):])
		}
		return err == nil, err
	})
	return names, err
}
