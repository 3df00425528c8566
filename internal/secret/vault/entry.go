package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// maxAnswer bounds what is read of an answer: the largest entry that Vault takes by default, in its longest JSON form.
const maxAnswer = 256 << 20

// entry is an organisation's entry as it was read. The values stay in the form Vault gave them, so that what is not ours
// goes back as it came, also numbers that no Go type holds.
type entry struct {
	version int64 // of the latest; what check-and-set must name. 0: none was ever written
	created string
	data    map[string]json.RawMessage
}

// isString tells our values from others'.
func isString(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '"' }

// read gets the organisation's entry. One that does not exist, or whose latest version is deleted or destroyed, has no
// data; in the latter cases it has a version all the same, from which the next write goes on.
func (s *Store) read(ctx context.Context, org id.ID) (entry, error) {
	at, err := s.at(ctx, org)
	if err != nil {
		return entry{}, err
	}
	r := at.request(http.MethodGet, "data", "read")
	var e entry
	var odd bool
	err = s.do(ctx, r, func(ctx context.Context) error {
		resp, err := at.client.Logical().ReadRawWithContext(ctx, r.path)
		if resp == nil {
			return err
		}
		defer resp.Body.Close()
		if err != nil && resp.StatusCode != http.StatusNotFound {
			return err
		}
		body, broken := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if broken != nil {
			return broken
		}
		var unread bool
		e, unread = parseEntry(body)
		if resp.StatusCode == http.StatusNotFound && unread {
			return err // nothing is mounted there
		}
		odd = unread
		return nil
	})
	if err == nil && odd {
		err = s.fail(failure{strange, "the answer has not the form of KV version 2"}, r)
	}
	if err == nil {
		s.shapes.learn(org, shape{e.version, e.created, foreignIn(e.data)})
	}
	return e, err
}

// parseEntry reads an answer to a read: data and its version, data null and its version, or an empty list of errors.
func parseEntry(body []byte) (e entry, odd bool) {
	var answer struct {
		Errors []string
		Data   *struct {
			Data     map[string]json.RawMessage
			Metadata *metadata
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return entry{}, true
	}
	switch d := answer.Data; {
	case d == nil:
		return entry{}, answer.Errors == nil || len(answer.Errors) > 0
	case d.Metadata == nil:
		return entry{}, true
	default:
		return entry{d.Metadata.Version, d.Metadata.Created, d.Data}, false
	}
}

// value is that of a key, where it is a string.
func (e entry) value(key string) (secret.Value, error) {
	raw, ok := e.data[key]
	if !ok || !isString(raw) {
		return secret.Value{}, secret.NotFound(key)
	}
	var v string
	if err := json.Unmarshal(raw, &v); err != nil {
		return secret.Value{}, errors.New("a value in Vault's answer is not valid JSON") // err may quote it
	}
	return secret.NewValue([]byte(v)), nil
}

// with is the data after the changes, and whether it differs. Deletions leave values alone that are not ours.
func (e entry) with(changes []secret.Change) (map[string]json.RawMessage, bool) {
	data := maps.Clone(e.data)
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
				data[key] = encode(string(v.Bytes()))
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

// encode writes JSON without the escapes that are for HTML.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("vault: what was read as JSON cannot be written: " + err.Error()) // strings and JSON that was parsed
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// put writes the entry's next version.
func (s *Store) put(ctx context.Context, org id.ID, version int64, data map[string]json.RawMessage) error {
	at, err := s.at(ctx, org)
	if err != nil {
		return err
	}
	r := at.request(http.MethodPut, "data", "update")
	if version == 0 {
		r.needs = "create"
	}
	// Not as bytes, which the client would not send again to where a standby sends it.
	body := map[string]any{"options": map[string]int64{"cas": version}, "data": data}
	var written *api.Secret
	err = s.do(ctx, r, func(ctx context.Context) (err error) {
		written, err = at.client.Logical().WriteWithContext(ctx, r.path, body)
		return err
	})
	if err != nil {
		s.shapes.forget(org)
		return err
	}
	return s.wrote(org, written, foreignIn(data), r)
}
