package secrets

import (
	"net/http"

	"strongroom/internal/httpapi/exchange"
)

// usageBody is how much an organisation has, and may have. What is not counted or not bounded is left out.
type usageBody struct {
	Links      map[string]string `json:"links"`
	Secrets    int64             `json:"secrets"`
	MaxSecrets int64             `json:"maxSecrets,omitempty"`
	Bytes      *int64            `json:"bytes,omitempty"`
	MaxBytes   int64             `json:"maxBytes,omitempty"`
}

func (h *handlers) getSecretUsage(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	u, err := h.secrets.Usage(r.Context(), r.Caller, org)
	if err != nil {
		return err
	}
	path := "/api/v2/orgs/" + org.String()
	b := usageBody{Links: map[string]string{"org": path, "self": path + "/secret-usage"}, Secrets: u.Secrets,
		MaxSecrets: u.Quota.Secrets, MaxBytes: u.Quota.Bytes}
	if u.Bytes >= 0 {
		b.Bytes = &u.Bytes
	}
	return exchange.WriteJSON(w, http.StatusOK, b)
}
