package tokens

import (
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

func (h *handlers) deleteTokenPage(v *visit.Visit) (visit.Answer, error) {
	if !mayWriteTokens(v) {
		return visit.Answer{}, visit.ErrMayNot
	}
	auth, err := v.PathID("auth")
	if err != nil {
		return visit.Answer{}, err
	}
	a, err := h.Directory.AuthorizationByID(v.Context(), v.Caller, auth)
	if err != nil {
		return visit.Answer{}, err
	}
	name := a.Description
	if name == "" {
		name = "without a description"
	}
	used := "It was never used."
	if a.LastUsedAt != nil {
		used = "It was last used " + words.Ago(*a.LastUsedAt, h.Now()) + "."
	}
	return visit.Ask(visit.Confirm{
		Question: "Revoke this token?", Goes: []string{"the token “" + errs.Clip(name) + "”"},
		Back: used + " Whatever uses it is refused from the next request on. You can undo that for ten minutes; to " +
			"stop it for a while, disable it instead.",
		Action: v.At("/tokens/" + auth.String() + "/delete"), Button: "Revoke the token",
		Cancel: v.At("/tokens/" + auth.String()),
	}), nil
}

func (h *handlers) deleteToken(v *visit.Visit) (visit.Answer, error) {
	auth, err := v.PathID("auth")
	if err != nil {
		return visit.Answer{}, err
	}
	kept, err := h.Directory.RevokeAuthorization(v.Context(), v.Caller, auth)
	if err != nil {
		return visit.Answer{}, err
	}
	a := visit.Answer{GoTo: v.At("/tokens"), Note: "The token is revoked."}
	if kept {
		a.Undo = &visit.Undo{Token: auth}
	}
	return a, nil
}

// restoreToken undoes a revocation.
func (h *handlers) restoreToken(v *visit.Visit) (visit.Answer, error) {
	auth, err := v.PathID("auth")
	if err != nil {
		return visit.Answer{}, err
	}
	a, err := h.Directory.RestoreAuthorization(v.Context(), v.Caller, auth)
	if err != nil {
		return visit.Answer{}, err
	}
	note := "The token is restored, and works again."
	if a.Status != identity.Active {
		note = "The token is restored. It is disabled, as it was before."
	}
	return visit.Answer{GoTo: "/orgs/" + a.OrgID.String() + "/tokens/" + a.ID.String(), Note: note}, nil
}
