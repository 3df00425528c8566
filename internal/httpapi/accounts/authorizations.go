package accounts

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
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
		ID: a.ID, Token: token, Status: a.Status, Description: a.Description, OrgID: a.OrgID,
		Org: orgs[a.OrgID.String()], UserID: a.UserID, User: user,
		Permissions: make([]permissionJSON, len(a.Permissions)), Links: map[string]string{"self": self,
			"user": "/api/v2/users/" + a.UserID.String()},
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
	h     *handlers
	r     *exchange.Request
	users map[id.ID]string
	orgs  map[string]string
}

func (h *handlers) names(r *exchange.Request) *names {
	return &names{h, r, make(map[id.ID]string), make(map[string]string)}
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
		name, err := n.h.directory.OrgName(n.r.Context(), o)
		if err != nil {
			return authJSON{}, err
		}
		n.orgs[o.String()] = name
	}
	user, ok := n.users[auth.UserID]
	if !ok {
		var err error
		if user, err = n.h.directory.UserName(n.r.Context(), auth.UserID); err != nil {
			return authJSON{}, err
		}
		n.users[auth.UserID] = user
	}
	return authBody(auth, token, user, n.orgs), nil
}

// made is body for what has just been made or changed, which must be told though a name cannot be
// read: it is then missing.
func (n *names) made(auth identity.Authorization, token string) authJSON {
	j, err := n.body(auth, token)
	if err != nil {
		j = authBody(auth, token, n.users[auth.UserID], n.orgs)
	}
	return j
}

func (h *handlers) getAuthorizations(w http.ResponseWriter, r *exchange.Request) error {
	p, err := page(r, 0, 0)
	if err != nil {
		return err
	}
	q := r.Query()
	f := authorizations.Filter{User: q.Get("user"), Org: q.Get("org")}
	if f.UserID, err = r.QueryID("userID"); err != nil {
		return err
	}
	if f.OrgID, err = r.QueryID("orgID"); err != nil {
		return err
	}
	names, list := h.names(r), exchange.NewStream(w, "authorizations")
	err = h.directory.EachAuthorization(r.Context(), r.Caller, f, p, func(auth identity.Authorization) error {
		body, err := names.body(auth, redacted)
		if err != nil {
			return err
		}
		return list.Add(body)
	})
	if err == nil {
		err = list.End("links", pageLinks(r.URL, p, list.Items))
	}
	if err != nil {
		return list.Fail(r, err)
	}
	return nil
}

func (h *handlers) postAuthorization(w http.ResponseWriter, r *exchange.Request) error {
	var body struct {
		OrgID       id.ID           `json:"orgID"`
		UserID      id.ID           `json:"userID"`
		Status      identity.Status `json:"status"`
		Description string          `json:"description"`
		Permissions permissionList  `json:"permissions"`
		ExpiresAt   *time.Time      `json:"expiresAt"`
		Token       string          `json:"token"`
	}
	if err := r.Decode(&body); err != nil {
		return err
	}
	auth, token, err := h.directory.Authorize(r.Context(), r.Caller, authorizations.Wanted{
		OrgID: body.OrgID, UserID: body.UserID, Status: body.Status, Description: body.Description,
		Permissions: body.Permissions, ExpiresAt: body.ExpiresAt, Token: body.Token,
	})
	if err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusCreated, h.names(r).made(auth, token))
}

// permissionList is the permissions of a body. Of too many it has one more than there may be, for which the body is
// refused: a permission takes fifty times the memory of the {} that it is written as.
type permissionList []access.Permission

// UnmarshalJSON reads the list.
func (l *permissionList) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '[' { // in the words of encoding/json
		return json.Unmarshal(b, (*[]access.Permission)(l))
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if _, err := dec.Token(); err != nil {
		return err
	}
	*l = permissionList{}
	for dec.More() && len(*l) <= authorizations.MaxPermissions {
		var p access.Permission
		if err := dec.Decode(&p); err != nil {
			return err
		}
		*l = append(*l, p)
	}
	return nil
}

func (h *handlers) getAuthorization(w http.ResponseWriter, r *exchange.Request) error {
	auth, err := r.PathID("authID")
	if err != nil {
		return err
	}
	a, err := h.directory.AuthorizationByID(r.Context(), r.Caller, auth)
	if err != nil {
		return err
	}
	j, err := h.names(r).body(a, redacted)
	if err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusOK, j)
}

func (h *handlers) patchAuthorization(w http.ResponseWriter, r *exchange.Request) error {
	auth, err := r.PathID("authID")
	if err != nil {
		return err
	}
	var body struct {
		Status      *identity.Status `json:"status"`
		Description *string          `json:"description"`
	}
	if err := r.Decode(&body); err != nil {
		return err
	}
	changed, err := h.directory.UpdateAuthorization(r.Context(), r.Caller, auth, body.Status, body.Description)
	if err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusOK, h.names(r).made(changed, redacted))
}

func (h *handlers) deleteAuthorization(w http.ResponseWriter, r *exchange.Request) error {
	auth, err := r.PathID("authID")
	if err != nil {
		return err
	}
	if err := h.directory.DeleteAuthorization(r.Context(), r.Caller, auth); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
