package system

import (
	"context"
	"io"
	"net/http"

	"strongroom/internal/access"
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/rotation"
)

// Seals shows and changes what the embedded data are sealed with.
type Seals interface {
	Status(ctx context.Context, c *access.Caller) (rotation.Status, error)
	Rotate(ctx context.Context, c *access.Caller) (rotation.Status, error)
	Change(ctx context.Context, c *access.Caller, to rotation.Target) (rotation.Status, error)
	// KeyLost says that the seal's key is lost and what to do, "" where it is not.
	KeyLost() string
}

func (h *handlers) getSeal(w http.ResponseWriter, r *exchange.Request) error {
	status, err := h.Seals.Status(r.Context(), r.Caller)
	return writeSeal(w, http.StatusOK, status, err)
}

// postSealRotate takes no body; one that is there is not looked at.
func (h *handlers) postSealRotate(w http.ResponseWriter, r *exchange.Request) error {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	status, err := h.Seals.Rotate(r.Context(), r.Caller)
	return writeSeal(w, http.StatusAccepted, status, err)
}

func (h *handlers) postSealChange(w http.ResponseWriter, r *exchange.Request) error {
	var to rotation.Target
	if err := r.Decode(&to); err != nil {
		return err
	}
	status, err := h.Seals.Change(r.Context(), r.Caller, to)
	return writeSeal(w, http.StatusOK, status, err)
}

func writeSeal(w http.ResponseWriter, code int, status rotation.Status, err error) error {
	if err != nil {
		return err
	}
	return exchange.WriteJSON(w, code, struct {
		Links map[string]string `json:"links"`
		rotation.Status
	}{map[string]string{"self": "/api/v2/seal"}, status})
}
