package httpapi

import (
	"net/http"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/directory"
)

// redacted stands where InfluxDB 2.9 puts it: tokens are kept as hashes and cannot be shown again.
const redacted = "REDACTED"

func errMissing(what string) error { return errs.New(errs.Invalid, "%s required", what) }

type authJSON struct {
	ID          id.ID             `json:"id"`
	Token       string            `json:"token"`
	Status      identity.Status   `json:"status"`
	Description string            `json:"description"`
	OrgID       id.ID             `json:"orgID"`
	Org         string            `json:"org"`
	UserID      id.ID             `json:"userID"`
	User        string            `json:"user"`
	Permissions []permissionJSON  `json:"permissions"`
	Links       map[string]string `json:"links"`
	CreatedAt   time.Time         `json:"createdAt"`
	UpdatedAt   time.Time         `json:"updatedAt"`
	ExpiresAt   *time.Time        `json:"expiresAt,omitempty"`
	LastUsedAt  *time.Time        `json:"lastUsedAt,omitempty"`
}

// permissionJSON is a permission with the name of its organisation, for readers.
type permissionJSON struct {
	Action   access.Action `json:"action"`
	Resource resourceJSON  `json:"resource"`
}

type resourceJSON struct {
	Type  access.ResourceType `json:"type"`
	ID    *id.ID              `json:"id,omitempty"`
	Name  string              `json:"name,omitempty"`
	OrgID *id.ID              `json:"orgID,omitempty"`
	Org   string              `json:"org,omitempty"`
}

// authBody writes an authorization; orgs maps the IDs of organisations to their names, as far as they are known.
func authBody(a identity.Authorization, token, user string, orgs map[string]string) authJSON {
	self := "/api/v2/authorizations/" + a.ID.String()
	j := authJSON{
		ID: a.ID, Token: token, Status: a.Status, Description: a.Description, OrgID: a.OrgID, Org: orgs[a.OrgID.String()],
		UserID: a.UserID, User: user, Permissions: make([]permissionJSON, len(a.Permissions)),
		Links:     map[string]string{"self": self, "user": "/api/v2/users/" + a.UserID.String()},
		CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt, ExpiresAt: a.ExpiresAt, LastUsedAt: a.LastUsedAt,
	}
	for i, p := range a.Permissions {
		r := resourceJSON{Type: p.Resource.Type, Name: p.Resource.Name}
		if p.Resource.ID.Valid() {
			r.ID = &p.Resource.ID
		}
		if p.Resource.OrgID.Valid() {
			r.OrgID, r.Org = &p.Resource.OrgID, orgs[p.Resource.OrgID.String()]
		}
		j.Permissions[i] = permissionJSON{p.Action, r}
	}
	return j
}

// maxNames bounds the names that are remembered of a list.
const maxNames = 4096

// names fills in the names that an authorization's IDs stand for. The same names recur through a list, so it remembers.
type names struct {
	a     *API
	r     *request
	users map[id.ID]string
	orgs  map[string]string
}

func (a *API) names(r *request) *names {
	return &names{a, r, make(map[id.ID]string), make(map[string]string)}
}

func (n *names) body(auth identity.Authorization, token string) (authJSON, error) {
	if len(n.orgs)+len(n.users) > maxNames {
		clear(n.orgs)
		clear(n.users)
	}
	ids := []id.ID{auth.OrgID}
	for _, p := range auth.Permissions {
		if p.Resource.OrgID.Valid() {
			ids = append(ids, p.Resource.OrgID)
		}
	}
	for _, o := range ids {
		if _, ok := n.orgs[o.String()]; ok {
			continue
		}
		name, err := n.a.Identity.OrgName(n.r.Context(), o)
		if err != nil {
			return authJSON{}, err
		}
		n.orgs[o.String()] = name
	}
	user, ok := n.users[auth.UserID]
	if !ok {
		var err error
		if user, err = n.a.Identity.UserName(n.r.Context(), auth.UserID); err != nil {
			return authJSON{}, err
		}
		n.users[auth.UserID] = user
	}
	return authBody(auth, token, user, n.orgs), nil
}

func (a *API) getAuthorizations(w http.ResponseWriter, r *request) error {
	p, err := r.page(0, 0)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	f := directory.AuthorizationFilter{User: q.Get("user"), Org: q.Get("org")}
	if f.UserID, err = r.queryID("userID"); err != nil {
		return err
	}
	if f.OrgID, err = r.queryID("orgID"); err != nil {
		return err
	}
	names, list := a.names(r), newStream(w, "authorizations")
	err = a.Identity.EachAuthorization(r.Context(), r.caller, f, p, func(auth identity.Authorization) error {
		body, err := names.body(auth, redacted)
		if err != nil {
			return err
		}
		return list.add(body)
	})
	if err == nil {
		err = list.end("links", pageLinks(r.URL, p, list.items))
	}
	if err != nil {
		return list.fail(a, r, err)
	}
	return nil
}

func (a *API) postAuthorization(w http.ResponseWriter, r *request) error {
	var body struct {
		OrgID       id.ID               `json:"orgID"`
		UserID      id.ID               `json:"userID"`
		Status      identity.Status     `json:"status"`
		Description string              `json:"description"`
		Permissions []access.Permission `json:"permissions"`
		ExpiresAt   *time.Time          `json:"expiresAt"`
		Token       string              `json:"token"`
	}
	if err := r.decode(&body); err != nil {
		return err
	}
	auth, token, err := a.Identity.Authorize(r.Context(), r.caller, directory.NewAuthorization(body))
	if err != nil {
		return err
	}
	j, err := a.names(r).body(auth, token)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, j)
}

func (a *API) getAuthorization(w http.ResponseWriter, r *request) error {
	auth, err := r.pathID("authID")
	if err != nil {
		return err
	}
	return a.writeAuthorization(w, r)(a.Identity.AuthorizationByID(r.Context(), r.caller, auth))
}

// writeAuthorization answers with an authorization that was read or changed.
func (a *API) writeAuthorization(w http.ResponseWriter, r *request) func(identity.Authorization, error) error {
	return func(auth identity.Authorization, err error) error {
		if err != nil {
			return err
		}
		j, err := a.names(r).body(auth, redacted)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, j)
	}
}

func (a *API) patchAuthorization(w http.ResponseWriter, r *request) error {
	auth, err := r.pathID("authID")
	if err != nil {
		return err
	}
	var body struct {
		Status      *identity.Status `json:"status"`
		Description *string          `json:"description"`
	}
	if err := r.decode(&body); err != nil {
		return err
	}
	return a.writeAuthorization(w, r)(a.Identity.UpdateAuthorization(r.Context(), r.caller, auth, body.Status, body.Description))
}

func (a *API) deleteAuthorization(w http.ResponseWriter, r *request) error {
	auth, err := r.pathID("authID")
	if err != nil {
		return err
	}
	if err := a.Identity.DeleteAuthorization(r.Context(), r.caller, auth); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
