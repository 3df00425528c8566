package ui

import (
	"context"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/rotation"
)

// rotating is a seal whose rotation is half-way.
type rotating struct{ status rotation.Status }

func (r *rotating) Status(context.Context, *access.Caller) (rotation.Status, error) {
	return r.status, nil
}

func (r *rotating) Rotate(context.Context, *access.Caller) (rotation.Status, error) {
	if r.status.Rotation.State == rotation.Running {
		return r.status, errs.New(errs.Conflict, "a rotation is going on")
	}
	r.status.Term = 2
	r.status.Terms = append(r.status.Terms, rotation.Term{Term: 2})
	r.status.Names = rotation.NamesSealed
	r.status.Rotation.State, r.status.Rotation.AllOrgs, r.status.Rotation.Records = rotation.Running, 4, 17
	return r.status, nil
}

func TestRotating(t *testing.T) {
	s, b := setUp(t)
	b.post("/store/rotate", nil).wants(t, 404)
	r := &rotating{}
	r.status.Seal.Type, r.status.Term, r.status.Terms, r.status.Rotation.State = "key-file", 1,
		[]rotation.Term{{Term: 1}}, rotation.Idle
	s.change(func(c *Config) { c.Seals = r })
	b.get("/store").wants(t, 200, "all data are of the current term", "Rotate the data keys")
	b.post("/store/rotate", nil).leads(t, "/store")
	b.get("/store").wants(t, 200, "Term 2 has begun", "0 of 4 organisations done, 17 records sealed anew",
		"Names of secrets", "sealed, too", "data-refresh", "disabled")
	b.post("/store/rotate", nil).wants(t, 422, "a rotation is going on")
	r.status.Seal.Type, r.status.Seal.KeyID, r.status.Seal.Restart = "transit", "transit/strongroom",
		"start influxd with other settings"
	b.get("/store").wants(t, 200, "Vault’s transit engine <code", ">transit/strongroom</code>",
		"start influxd with other settings")
}
