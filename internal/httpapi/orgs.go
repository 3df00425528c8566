package httpapi

import (
	"net/http"
	"net/url"
	"time"

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
		"self": self, "secrets": self + "/secrets", "members": self + "/members", "owners": self + "/owners", "labels": self + "/labels",
		"buckets": "/api/v2/buckets?org=" + name, "dashboards": "/api/v2/dashboards?org=" + name, "tasks": "/api/v2/tasks?org=" + name,
	}, o.ID, o.Name, o.Description, o.CreatedAt, o.UpdatedAt}
}

func (a *API) getOrgs(w http.ResponseWriter, r *request) error {
	p, err := r.page(defaultLimit, maxLimit)
	if err != nil {
		return err
	}
	f := directory.OrgFilter{Name: r.URL.Query().Get("org")}
	if f.ID, err = r.queryID("orgID"); err != nil {
		return err
	}
	if f.User, err = r.queryID("userID"); err != nil {
		return err
	}
	orgs, err := a.Identity.Orgs(r.Context(), r.caller, f, p)
	if err != nil {
		return err
	}
	list := make([]orgJSON, len(orgs))
	for i, o := range orgs {
		list[i] = orgBody(o)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"links": pageLinks(r.URL, p, len(list)), "orgs": list})
}

func (a *API) postOrg(w http.ResponseWriter, r *request) error {
	var body struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	}
	if err := r.decode(&body); err != nil {
		return err
	}
	o, err := a.Identity.NewOrg(r.Context(), r.caller, body.Name, body.Description)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, orgBody(o))
}

func (a *API) getOrg(w http.ResponseWriter, r *request) error {
	org, err := r.pathID("orgID")
	if err != nil {
		return err
	}
	o, err := a.Identity.OrgByID(r.Context(), r.caller, org)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, orgBody(o))
}

func (a *API) patchOrg(w http.ResponseWriter, r *request) error {
	org, err := r.pathID("orgID")
	if err != nil {
		return err
	}
	var body struct {
		Name        *string `json:"name"`
		Description *string `json:"description"`
	}
	if err := r.decode(&body); err != nil {
		return err
	}
	o, err := a.Identity.UpdateOrg(r.Context(), r.caller, org, body.Name, body.Description)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, orgBody(o))
}

func (a *API) deleteOrg(w http.ResponseWriter, r *request) error {
	org, err := r.pathID("orgID")
	if err != nil {
		return err
	}
	if err := a.Identity.DeleteOrg(r.Context(), r.caller, org); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// memberJSON is a user with their role.
type memberJSON struct {
	Role identity.Role `json:"role"`
	userJSON
}

func listMembers(role identity.Role) func(*API, http.ResponseWriter, *request) error {
	return func(a *API, w http.ResponseWriter, r *request) error {
		org, err := r.pathID("orgID")
		if err != nil {
			return err
		}
		users, err := a.Identity.Members(r.Context(), r.caller, org, role)
		if err != nil {
			return err
		}
		list := make([]memberJSON, len(users))
		for i, u := range users {
			list[i] = memberJSON{role, userBody(u)}
		}
		return writeJSON(w, http.StatusOK, map[string]any{"links": map[string]string{"self": r.URL.Path}, "users": list})
	}
}

func addMember(role identity.Role) func(*API, http.ResponseWriter, *request) error {
	return func(a *API, w http.ResponseWriter, r *request) error {
		org, err := r.pathID("orgID")
		if err != nil {
			return err
		}
		var body struct {
			ID id.ID `json:"id"`
		}
		if err := r.decode(&body); err != nil {
			return err
		}
		if !body.ID.Valid() {
			return errMissing("user id")
		}
		u, err := a.Identity.AddMember(r.Context(), r.caller, org, body.ID, role)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusCreated, memberJSON{role, userBody(u)})
	}
}

func removeMember(role identity.Role) func(*API, http.ResponseWriter, *request) error {
	return func(a *API, w http.ResponseWriter, r *request) error {
		org, err := r.pathID("orgID")
		if err != nil {
			return err
		}
		user, err := r.pathID("userID")
		if err != nil {
			return err
		}
		if err := a.Identity.RemoveMember(r.Context(), r.caller, org, user, role); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}
