package perorg

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/queue"
)

// entry is an organisation's entry as it was read.
type entry struct{ kv2.Entry }

// isString tells our values from others'.
func isString(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '"' }

// read gets the organisation's entry.
func (s *Store) read(ctx context.Context, org id.ID) (entry, error) {
	e, _, err := s.learn(ctx, org)
	return e, err
}

// learn gets the organisation's entry and its shape.
func (s *Store) learn(ctx context.Context, org id.ID) (entry, shape, error) {
	at, err := s.at(ctx, org)
	if err != nil {
		return entry{}, shape{}, err
	}
	e, err := at.Read(ctx)
	if err != nil {
		return entry{}, shape{}, err
	}
	return entry{e}, s.shapes.learnt(org, e.Version, e.Created, e.Data), nil
}

// wanted are the strings among the data that a query asks for.
func (e entry) wanted(q secret.Query) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		if q.Keys != nil {
			for _, key := range q.Keys {
				if raw, ok := e.Data[key]; ok && isString(raw) && !yield(key, raw) {
					return
				}
			}
			return
		}
		for key, raw := range e.Data {
			if isString(raw) && q.Wants(key) && !yield(key, raw) {
				return
			}
		}
	}
}

func stringOf(raw json.RawMessage) (secret.Value, error) {
	var v string
	if err := json.Unmarshal(raw, &v); err != nil {
		return secret.Value{}, errors.New("a value in Vault's answer is not valid JSON") // err may quote it
	}
	return secret.NewValue([]byte(v)), nil
}

// with is the data after the changes, and whether it differs. Deletions leave values alone that are not ours.
func (e entry) with(changes []*queue.Change) (map[string]json.RawMessage, bool) {
	data := maps.Clone(e.Data)
	if data == nil {
		data = make(map[string]json.RawMessage)
	}
	changed := false
	for _, c := range changes {
		for _, key := range c.Delete {
			if raw, ok := data[key]; ok && isString(raw) {
				delete(data, key)
				changed = true
			}
		}
		for key, v := range c.Set {
			if old, ok := data[key]; !ok || !holds(old, v) {
				data[key] = kv2.Encode(string(v.Bytes()))
				changed = true
			}
		}
	}
	return data, changed
}

func holds(raw json.RawMessage, v secret.Value) bool {
	var s string
	return isString(raw) && json.Unmarshal(raw, &s) == nil && s == string(v.Bytes())
}

// put writes the version after the one that was read, and gives its number.
func (s *Store) put(ctx context.Context, org id.ID, e entry, data map[string]json.RawMessage) (int64, error) {
	at, err := s.at(ctx, org)
	if err != nil {
		return 0, err
	}
	s.shapes.forget(org)
	written, err := at.PutSurely(ctx, kv2.Version{Version: e.Version, Created: e.Created}, data)
	if err != nil {
		return 0, err
	}
	if _, claimed := s.claimed.Load(at.Entry); at.Owner != 0 && !claimed {
		if err := at.Claim(ctx, e.Custom); err == nil { // else the next write does
			s.claimed.Store(at.Entry, true)
		}
	}
	s.shapes.learnt(org, written.Version, written.Created, data)
	return written.Version, nil
}
