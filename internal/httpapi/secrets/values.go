package secrets

import (
	"maps"
	"net/http"
	"slices"

	"strongroom/internal/errs"
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/secret"
)

// maxNamed bounds how many secrets one request names.
const maxNamed = 1000

// getSecretValues gives values out to be used, as one flat object: what Telegraf's secretstores.http reads.
func (h *handlers) getSecretValues(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	keys := r.URL.Query()["key"]
	if len(keys) > maxNamed {
		return errs.New(errs.Invalid, "at most %d keys may be named in one request; without any, all are answered", maxNamed)
	}
	values, err := h.secrets.UseAll(r.Context(), r.Caller, org, keys)
	if err != nil {
		return err
	}
	b := []byte("{")
	for i, k := range slices.Sorted(maps.Keys(values)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(append(exchange.AppendString(b, k), ':'), values[k])
	}
	writeValues(w, append(b, '}'))
	return nil
}

// getSecretValue gives one value out to be used: what a webhook of the External Secrets Operator reads.
func (h *handlers) getSecretValue(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	v, err := h.secrets.Use(r.Context(), r.Caller, org, exchange.PathKey(r.Request))
	if err != nil {
		return err
	}
	writeValues(w, append(appendValue([]byte(`{"value":`), v), '}'))
	return nil
}

func appendValue(b []byte, v secret.Value) []byte { return exchange.AppendString(b, string(v.Bytes())) }

// writeValues answers, and wipes what it was made in.
func writeValues(w http.ResponseWriter, b []byte) {
	exchange.WriteBytes(w, http.StatusOK, b)
	clear(b)
}
