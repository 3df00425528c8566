package accounts

import (
	"net/http"
	"net/url"
	"time"

	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/directory"
)

type orgJSON struct {
	Links       map[string]string `json:"links"`
	ID          id.ID             `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	CreatedAt   time.Time         `json:"createdAt"`
	UpdatedAt   time.Time         `json:"updatedAt"`
}

func orgBody(o identity.Org) orgJSON {
	self := "/api/v2/orgs/" + o.ID.String()
	name := url.QueryEscape(o.Name)
	return orgJSON{map[string]string{
		"self": self, "secrets": self + "/secrets", "members": self + "/members", "owners": self + "/owners",
		"labels": self + "/labels", "buckets": "/api/v2/buckets?org=" + name, "dashboards": "/api/v2/dashboards?org=" +
			name, "tasks": "/api/v2/tasks?org=" + name,
	}, o.ID, o.Name, o.Description, o.CreatedAt, o.UpdatedAt}
}

func (h *handlers) getOrgs(w http.ResponseWriter, r *exchange.Request) error {
	p, err := page(r, defaultLimit, maxLimit)
	if err != nil {
		return err
	}
	f := directory.OrgFilter{Name: r.Query().Get("org")}
	if f.ID, err = r.QueryID("orgID"); err != nil {
		return err
	}
	if f.User, err = r.QueryID("userID"); err != nil {
		return err
	}
	orgs, err := h.directory.Orgs(r.Context(), r.Caller, f, p)
	if err != nil {
		return err
	}
	list := make([]orgJSON, len(orgs))
	for i, o := range orgs {
		list[i] = orgBody(o)
	}
	return exchange.WriteJSON(w, http.StatusOK, map[string]any{"links": pageLinks(r.URL, p, len(list)), "orgs": list})
}

func (h *handlers) postOrg(w http.ResponseWriter, r *exchange.Request) error {
	var body struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	}
	if err := r.Decode(&body); err != nil {
		return err
	}
	o, err := h.directory.NewOrg(r.Context(), r.Caller, body.Name, body.Description)
	if err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusCreated, orgBody(o))
}

func (h *handlers) getOrg(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	o, err := h.directory.OrgByID(r.Context(), r.Caller, org)
	if err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusOK, orgBody(o))
}

func (h *handlers) patchOrg(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	var body struct {
		Name        *string `json:"name"`
		Description *string `json:"description"`
	}
	if err := r.Decode(&body); err != nil {
		return err
	}
	o, err := h.directory.UpdateOrg(r.Context(), r.Caller, org, body.Name, body.Description)
	if err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusOK, orgBody(o))
}

func (h *handlers) deleteOrg(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	left, err := h.directory.DeleteOrg(r.Context(), r.Caller, org)
	if err != nil {
		return err
	}
	if left != "" {
		return exchange.WriteJSON(w, http.StatusAccepted, map[string]string{"message": left})
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// memberJSON is a user with their role.
type memberJSON struct {
	Role identity.Role `json:"role"`
	userJSON
}

func (h *handlers) listMembers(role identity.Role) exchange.Handler {
	return func(w http.ResponseWriter, r *exchange.Request) error {
		org, err := r.PathID("orgID")
		if err != nil {
			return err
		}
		list := exchange.NewStream(w, "users")
		err = h.directory.EachMember(r.Context(), r.Caller, org, role, func(u identity.User) (bool, error) {
			return true, list.Add(memberJSON{role, userBody(u)})
		})
		if err == nil {
			err = list.End("links", map[string]string{"self": r.URL.Path})
		}
		if err != nil {
			return list.Fail(r, err)
		}
		return nil
	}
}

func (h *handlers) addMember(role identity.Role) exchange.Handler {
	return func(w http.ResponseWriter, r *exchange.Request) error {
		org, err := r.PathID("orgID")
		if err != nil {
			return err
		}
		var body struct {
			ID id.ID `json:"id"`
		}
		if err := r.Decode(&body); err != nil {
			return err
		}
		if !body.ID.Valid() {
			return errMissing("user id")
		}
		u, err := h.directory.AddMember(r.Context(), r.Caller, org, body.ID, role)
		if err != nil {
			return err
		}
		return exchange.WriteJSON(w, http.StatusCreated, memberJSON{role, userBody(u)})
	}
}

func (h *handlers) removeMember(role identity.Role) exchange.Handler {
	return func(w http.ResponseWriter, r *exchange.Request) error {
		org, err := r.PathID("orgID")
		if err != nil {
			return err
		}
		user, err := r.PathID("userID")
		if err != nil {
			return err
		}
		if err := h.directory.RemoveMember(r.Context(), r.Caller, org, user, role); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}
