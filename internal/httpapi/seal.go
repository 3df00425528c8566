package httpapi

import (
	"context"
	"io"
	"net/http"

	"strongroom/internal/access"
	"strongroom/internal/sealing"
)

// Seals shows and changes what the embedded data are sealed with.
type Seals interface {
	Status(ctx context.Context, c *access.Caller) (sealing.Status, error)
	Rotate(ctx context.Context, c *access.Caller) (sealing.Status, error)
	Change(ctx context.Context, c *access.Caller, to sealing.Target) (sealing.Status, error)
}

func (a *API) getSeal(w http.ResponseWriter, r *request) error {
	status, err := a.Seals.Status(r.Context(), r.caller)
	return writeSeal(w, http.StatusOK, status, err)
}

// postSealRotate takes no body; one that is there is not looked at.
func (a *API) postSealRotate(w http.ResponseWriter, r *request) error {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	status, err := a.Seals.Rotate(r.Context(), r.caller)
	return writeSeal(w, http.StatusAccepted, status, err)
}

func (a *API) postSealChange(w http.ResponseWriter, r *request) error {
	var to sealing.Target
	if err := r.decode(&to); err != nil {
		return err
	}
	status, err := a.Seals.Change(r.Context(), r.caller, to)
	return writeSeal(w, http.StatusOK, status, err)
}

func writeSeal(w http.ResponseWriter, code int, status sealing.Status, err error) error {
	if err != nil {
		return err
	}
	return writeJSON(w, code, struct {
		Links map[string]string `json:"links"`
		sealing.Status
	}{map[string]string{"self": "/api/v2/seal"}, status})
}
