package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// maxEntry bounds what is read of an answer, in bytes. Vault's own limit for a request is 32 MiB.
const maxEntry = 64 << 20

// entry is an organisation's entry as it stands in Vault. Values are kept as they were sent, so that what is not a string,
// or a number too large for a float, survives a write.
type entry struct {
	data map[string]json.RawMessage
	// version is what the next write's check-and-set must name: 0 where there never was an entry. A latest version that was
	// deleted or destroyed counts.
	version int64
}

// errCAS is a write that came too late: somebody else has written meanwhile.
var errCAS = errors.New("vault: check-and-set: the entry has changed")

// isString reports whether the raw JSON is a string.
func isString(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '"' }

// text is the value of the key where that is a string.
func (e *entry) text(key string) (string, bool) {
	raw, ok := e.data[key]
	if !ok || !isString(raw) {
		return "", false
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

// apply makes the change in e, and reports whether that changed anything.
func (e *entry) apply(c secret.Change) bool {
	changed := false
	for k, v := range c.Set {
		if old, ok := e.text(k); ok && old == string(v.Bytes()) {
			continue
		}
		e.data[k] = encode(v)
		changed = true
	}
	for _, k := range c.Delete {
		if _, ok := e.text(k); ok { // what is not a string is not ours to delete
			delete(e.data, k)
			changed = true
		}
	}
	return changed
}

// encode writes a value as a JSON string, without the escapes for HTML.
func encode(v secret.Value) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(string(v.Bytes())); err != nil {
		panic("vault: a string that cannot be encoded: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// read fetches the entry. A missing one, and one whose latest version is deleted or destroyed, is empty.
func (s *Store) read(ctx context.Context, org id.ID) (*entry, error) {
	path := s.dataPath(org)
	resp, err := s.client.Logical().ReadRawWithContext(ctx, path)
	if resp != nil {
		defer resp.Body.Close()
	}
	var body struct {
		Errors []string `json:"errors"`
		Data   *struct {
			Data     map[string]json.RawMessage `json:"data"`
			Metadata struct {
				Version int64 `json:"version"`
			} `json:"metadata"`
		} `json:"data"`
	}
	missing := resp != nil && resp.StatusCode == http.StatusNotFound
	if err != nil && !missing {
		return nil, s.explain(ctx, "read", path, err)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxEntry)).Decode(&body); err != nil && !(missing && errors.Is(err, io.EOF)) {
		return nil, s.explain(ctx, "read", path, fmt.Errorf("the answer is not Vault's: %w", err))
	}
	if missing && len(body.Errors) > 0 { // there is no entry because there is no engine
		return nil, s.explain(ctx, "read", path, err)
	}
	e := &entry{data: map[string]json.RawMessage{}}
	if body.Data != nil {
		e.version = body.Data.Metadata.Version
		if body.Data.Data != nil {
			e.data = body.Data.Data
		}
	}
	return e, nil
}

// write stores the entry if it is still at its version, and moves the version on; errCAS where it is not.
func (s *Store) write(ctx context.Context, org id.ID, e *entry) error {
	path := s.dataPath(org)
	body, err := json.Marshal(map[string]any{"data": e.data, "options": map[string]int64{"cas": e.version}})
	if err != nil {
		return fmt.Errorf("encoding an entry: %w", err)
	}
	res, err := s.client.Logical().WriteBytesWithContext(ctx, path, body)
	var refused *api.ResponseError
	if errors.As(err, &refused) && refused.StatusCode == http.StatusBadRequest && mentions(refused, "check-and-set") {
		return errCAS
	}
	if err != nil {
		capability := "update"
		if e.version == 0 {
			capability = "create"
		}
		return s.explain(ctx, capability, path, err)
	}
	version, err := versionOf(res)
	if err != nil {
		return s.explain(ctx, "update", path, err)
	}
	e.version = version
	return nil
}

func versionOf(res *api.Secret) (int64, error) {
	if res != nil {
		if n, ok := res.Data["version"].(json.Number); ok {
			return n.Int64()
		}
	}
	return 0, errors.New("the answer to a write names no version; is the engine KV version 2?")
}

// mentions reports whether one of Vault's errors has the words.
func mentions(e *api.ResponseError, words string) bool {
	for _, text := range e.Errors {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}
