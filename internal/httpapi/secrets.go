package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"unicode/utf8"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

func (a *API) getSecrets(w http.ResponseWriter, r *request) error {
	org, err := r.pathID("orgID")
	if err != nil {
		return err
	}
	keys, err := a.Secrets.Keys(r.Context(), r.caller, org)
	if err != nil {
		return err
	}
	writeBytes(w, http.StatusOK, a.lists.answer(org, keys))
	return nil
}

// appendKeys writes the list by hand: it is the answer given most often, and may hold thousands of names. The link to
// the list itself is there under two names, because the first readers knew it as "secrets" and InfluxDB sends "self".
func appendKeys(org id.ID, keys []string) []byte {
	size := 160
	for _, k := range keys {
		size += len(k) + 3
	}
	b := make([]byte, 0, size)
	path := "/api/v2/orgs/" + org.String()
	b = append(b, `{"links":{"org":"`+path+`","self":"`+path+`/secrets","secrets":"`+path+`/secrets"},"secrets":[`...)
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, k)
	}
	return append(b, `]}`...)
}

// appendString writes s as JSON.
func appendString(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c >= utf8.RuneSelf {
			q, err := json.Marshal(s)
			if err != nil { // a string always encodes
				panic(err)
			}
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func (a *API) patchSecrets(w http.ResponseWriter, r *request) error {
	org, err := r.pathID("orgID")
	if err != nil {
		return err
	}
	body, err := r.readBody()
	if err != nil {
		return err
	}
	set, err := decodeSecrets(body)
	clear(body)
	if err != nil {
		return err
	}
	if err := a.Secrets.Apply(r.Context(), r.caller, org, secret.Change{Set: set}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// decodeSecrets reads an object whose members are all strings. No value is ever part of an error.
func decodeSecrets(body []byte) (map[string]secret.Value, error) {
	if err := checkText(body); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber() // one that is too large would be an error, with the number in it
	t, err := dec.Token()
	if err != nil {
		return nil, badJSON(err)
	}
	if t != json.Delim('{') {
		return nil, badJSON(errors.New(`the body must be a JSON object of keys and values, for example {"key":"value"}`))
	}
	set := make(map[string]secret.Value)
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, badJSON(cutOff(err))
		}
		key, ok := t.(string)
		if !ok {
			return nil, badJSON(errors.New("a key must be a string"))
		}
		if t, err = dec.Token(); err != nil {
			return nil, badJSON(cutOff(err))
		}
		value, ok := t.(string)
		if !ok {
			return nil, errs.New(errs.Invalid, "failed to unmarshal json: the value of %q must be a string; nothing was changed", errs.Clip(key))
		}
		set[key] = secret.NewValue([]byte(value))
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, badJSON(cutOff(err))
	}
	return set, atEnd(dec)
}

// cutOff says that a document ends too early, where the decoder only says that it ends.
func cutOff(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (a *API) deleteSecret(w http.ResponseWriter, r *request) error {
	org, err := r.pathID("orgID")
	if err != nil {
		return err
	}
	return a.deleteKeys(w, r, org, []string{pathKey(r.Request)})
}

// postSecretsDelete serves POST …/secrets/delete. The CLI of 2.1 to 2.6 sends the placeholder of its own template,
// unreplaced: {delete}.
func (a *API) postSecretsDelete(w http.ResponseWriter, r *request) error {
	if k := pathKey(r.Request); k != "delete" && k != "{delete}" {
		w.Header().Set("Allow", "DELETE, GET")
		return errs.New(errs.MethodNotAllowed, "allow: DELETE, GET")
	}
	org, err := r.pathID("orgID")
	if err != nil {
		return err
	}
	var body struct {
		Secrets []*string `json:"secrets"`
	}
	if err := r.decode(&body); err != nil {
		return err
	}
	keys := make([]string, 0, len(body.Secrets))
	for _, k := range body.Secrets {
		if k == nil {
			return errs.New(errs.Invalid, "failed to unmarshal json: secrets must be a list of strings; nothing was changed")
		}
		keys = append(keys, *k)
	}
	return a.deleteKeys(w, r, org, keys)
}

func (a *API) deleteKeys(w http.ResponseWriter, r *request, org id.ID, keys []string) error {
	if err := a.Secrets.Apply(r.Context(), r.caller, org, secret.Change{Delete: keys}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
