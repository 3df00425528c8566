package paths

import (
	"encoding/json"
	"errors"

	"strongroom/internal/secret/vault/kv2"
)

// Data is what a secret's entry holds.
func Data(value, by string) map[string]json.RawMessage {
	d := map[string]json.RawMessage{"value": kv2.Encode(value)}
	if by != "" {
		d["set_by"] = kv2.Encode(by)
	}
	return d
}

// Value is the value in an entry; ok is false where it has none, or one that is not a string and so is somebody else's.
func Value(e kv2.Entry) (v string, ok bool, err error) {
	raw := e.Data["value"]
	if len(raw) == 0 || raw[0] != '"' {
		return "", false, nil
	}
	if json.Unmarshal(raw, &v) != nil {
		return "", false, errors.New("a value in Vault's answer is not valid JSON") // the error may quote it
	}
	return v, true, nil
}

// Author is who set the version, as far as it says.
func Author(e kv2.Entry) string {
	var by string
	_ = json.Unmarshal(e.Data["set_by"], &by) // anything else is no author's name
	return by
}
