// Package secrets is the part of the API about an organisation's secrets: their names, changes, values for those who
// may use them, and history.
package secrets

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strongroom/internal/access"

	"strongroom/internal/errs"
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/httpapi/parked"
	"strongroom/internal/id"
	"strongroom/internal/inflight"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
)

// handlers answer what is asked of secrets.
type handlers struct {
	secrets *service.Service
	lists   listCache
	sizes   *inflight.Sizes
	tags    *tags
	lot     *parked.Lot // of those who wait for events
}

// Routes are the paths of an organisation's secrets.
func Routes(s *service.Service) exchange.Table {
	h := &handlers{secrets: s, lists: newListCache(), sizes: inflight.NewSizes(), tags: newTags(),
		lot: parked.New(parked.Config{Pulse: pulse, Every: pulseTime, Write: writeTime})}
	return exchange.Table{
		"/api/v2/orgs/{orgID}/secrets": {"GET": exchange.Auth(h.getSecrets),
			"PATCH": {Do: h.patchSecrets, Body: exchange.LargeBody}},
		"/api/v2/orgs/{orgID}/secrets/{key}": {"GET": exchange.Auth(h.getSecret),
			"DELETE": exchange.Auth(h.deleteSecret), "POST": {Do: h.postSecretsDelete, Body: exchange.LargeBody}},
		"/api/v2/orgs/{orgID}/secrets/{key}/description": {"PUT": exchange.Auth(h.putSecretDescription)},
		"/api/v2/orgs/{orgID}/secrets/{key}/restore":     {"POST": exchange.Auth(h.postSecretRestore)},
		"/api/v2/orgs/{orgID}/secret-infos":              {"GET": exchange.Auth(h.getSecretInfos)},
		"/api/v2/orgs/{orgID}/secret-usage":              {"GET": exchange.Auth(h.getSecretUsage)},
		"/api/v2/orgs/{orgID}/deleted-secrets":           {"GET": exchange.Auth(h.getDeletedSecrets)},
		"/api/v2/orgs/{orgID}/secret-values":             {"GET": {Do: h.getSecretValues, Waits: watches}},
		"/api/v2/orgs/{orgID}/secret-values/{key}":       {"GET": exchange.Auth(h.getSecretValue)},
	}
}

func (h *handlers) getSecrets(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	switch want := r.Query()["versions"]; {
	case len(want) == 1 && want[0] == "true":
		return h.getVersions(w, r, org)
	case len(want) > 0 && (len(want) > 1 || want[0] != "false"):
		return errs.New(errs.Invalid, "versions must be true or false")
	}
	keys, err := h.secrets.Keys(r.Context(), r.Caller, org)
	if err != nil {
		return err
	}
	body, err := h.lists.answer(org, keys)
	if err != nil {
		return err
	}
	exchange.WriteBytes(w, http.StatusOK, body)
	return nil
}

// getVersions is the list with the versions. A store reads the values with them, which count for what they are.
func (h *handlers) getVersions(w http.ResponseWriter, r *exchange.Request, org id.ID) error {
	var versions map[string]int
	scope := service.Scope(r.Caller, access.Read, org)
	err := h.sizes.Hold(r.Context(), r.Hold, scope, 0, func() (size int64, err error) {
		versions, size, err = h.secrets.Versions(r.Context(), r.Caller, org)
		return size, err
	})
	if err != nil {
		return err
	}
	list := newNames(org, slices.Sorted(maps.Keys(versions)))
	list.Versions = versions
	return exchange.WriteJSON(w, http.StatusOK, list)
}

func (h *handlers) patchSecrets(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	only, version, err := condition(r.Request)
	if err != nil {
		return err
	}
	if err := h.beforeBody(r, org); err != nil {
		return err
	}
	body, err := r.ReadBody()
	if err != nil {
		return err
	}
	set, err := decodeSecrets(body, r.Hold)
	clear(body)
	if err != nil {
		return err
	}
	change := secret.Change{Set: set, Only: only}
	if version != nil {
		if change.Versions, err = onlyVersion(slices.Collect(maps.Keys(set)), *version); err != nil {
			return err
		}
	}
	out, err := h.secrets.Apply(r.Context(), r.Caller, org, change)
	if err != nil {
		return err
	}
	if version != nil { // who names one may read it
		for _, now := range out.Versions {
			setTag(w, versionTag(now))
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// readFirst is how long a body may be, in bytes, that is read before it is asked whether the caller may change
// anything: the record of the refusal then has the names.
const readFirst = 64 << 10

// beforeBody refuses who may not change any secret, before a long body is read.
func (h *handlers) beforeBody(r *exchange.Request, org id.ID) error {
	if r.ContentLength >= 0 && r.ContentLength <= readFirst {
		return nil
	}
	return h.secrets.MayApply(r.Context(), r.Caller, org)
}

// decodeSecrets reads an object whose members are all strings, which hold memory as they come. No value is ever part of
// an error.
func decodeSecrets(body []byte, hold func(bytes int64) error) (map[string]secret.Value, error) {
	if err := exchange.CheckText(body); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber() // one that is too large would be an error, with the number in it
	t, err := dec.Token()
	if err != nil {
		return nil, exchange.BadJSON(err)
	}
	if t != json.Delim('{') {
		return nil,
			exchange.BadJSON(errors.New(
				`the body must be a JSON object of keys and values, for example {"key":"value"}`))
	}
	set, held := make(map[string]secret.Value), 0 // names that are repeated count again
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, exchange.BadJSON(cutOff(err))
		}
		key, ok := t.(string)
		if !ok {
			return nil, exchange.BadJSON(errors.New("a key must be a string"))
		}
		if t, err = dec.Token(); err != nil {
			return nil, exchange.BadJSON(cutOff(err))
		}
		value, ok := t.(string)
		if !ok {
			return nil, errs.New(errs.Invalid, "failed to unmarshal json: the value of %q must be a string; nothing "+
				"was changed", errs.Clip(key))
		}
		if err := secret.HoldChange(hold, held, 1); err != nil {
			return nil, err
		}
		held++
		set[key] = secret.NewValue([]byte(value))
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, exchange.BadJSON(cutOff(err))
	}
	return set, exchange.AtEnd(dec)
}

// cutOff says that a document ends too early, where the decoder only says that it ends.
func cutOff(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (h *handlers) deleteSecret(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	keys := []string{exchange.PathKey(r.Request)}
	only, version, err := condition(r.Request)
	switch {
	case err != nil:
		return err
	case only != secret.Anyway:
		return errs.New(errs.Invalid, "a deletion depends on a version, as in If-Match: \"7\", or on nothing; "+
			"nothing was changed")
	case version == nil:
		return h.deleteKeys(w, r, secret.Change{Delete: keys}, org)
	}
	versions, err := onlyVersion(keys, *version)
	if err != nil {
		return err
	}
	return h.deleteKeys(w, r, secret.Change{Delete: keys, Versions: versions}, org)
}

// postSecretsDelete serves POST …/secrets/delete. The CLI of 2.1 to 2.6 sends the placeholder of its own template,
// unreplaced: {delete}.
func (h *handlers) postSecretsDelete(w http.ResponseWriter, r *exchange.Request) error {
	if k := exchange.PathKey(r.Request); k != "delete" && k != "{delete}" {
		w.Header().Set("Allow", "DELETE, GET")
		return errs.New(errs.MethodNotAllowed, "allow: DELETE, GET")
	}
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	if only, version, err := condition(r.Request); err != nil || only != secret.Anyway || version != nil {
		return errs.New(errs.Invalid, "If-Match and If-None-Match are for PATCH, and for the DELETE of one secret; "+
			"nothing was changed")
	}
	if err := h.beforeBody(r, org); err != nil {
		return err
	}
	body := struct {
		Secrets keyList `json:"secrets"`
	}{keyList{hold: r.Hold}}
	if err := r.Decode(&body); err != nil {
		return err
	}
	return h.deleteKeys(w, r, secret.Change{Delete: body.Secrets.keys}, org)
}

// keyList is a list of keys in a body, each of which holds memory as it is read.
type keyList struct {
	keys []string
	hold func(bytes int64) error
}

// UnmarshalJSON reads the list.
func (l *keyList) UnmarshalJSON(b []byte) error {
	wrong := errs.New(errs.Invalid, "failed to unmarshal json: secrets must be a list of strings; nothing was changed")
	l.keys = nil
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		if t == nil && err == nil { // null is no list, as for encoding/json
			return nil
		}
		return wrong
	}
	for dec.More() {
		t, err := dec.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return wrong
		}
		if err := secret.HoldChange(l.hold, len(l.keys), 1); err != nil {
			return err
		}
		l.keys = append(l.keys, key)
	}
	return nil
}

func (h *handlers) deleteKeys(w http.ResponseWriter, r *exchange.Request, change secret.Change, org id.ID) error {
	if _, err := h.secrets.Apply(r.Context(), r.Caller, org, change); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
