package httpapi

import (
	"net/http"
	"net/url"
	"strconv"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/directory"
)

// The page sizes of InfluxDB's lists.
const (
	defaultLimit = 20
	maxLimit     = 100
)

// page reads offset, limit, after and descending. A limit of 0 in defaults means that the list has no limit unless one
// is asked for.
func (r *request) page(limit, maximum int) (directory.Page, error) {
	q := r.URL.Query()
	p := directory.Page{Limit: limit}
	var err error
	if s := q.Get("limit"); s != "" {
		if p.Limit, err = strconv.Atoi(s); err != nil || p.Limit < 1 || maximum > 0 && p.Limit > maximum {
			if maximum == 0 {
				return p, errs.New(errs.Invalid, "limit must be at least 1")
			}
			return p, errs.New(errs.Invalid, "limit must be between 1 and %d", maximum)
		}
	}
	if s := q.Get("offset"); s != "" {
		if p.Offset, err = strconv.Atoi(s); err != nil || p.Offset < 0 {
			return p, errs.New(errs.Invalid, "offset must be a number from 0 on")
		}
	}
	if s := q.Get("after"); s != "" {
		if p.After, err = id.Parse(s); err != nil {
			return p, err
		}
	}
	if s := q.Get("descending"); s != "" {
		if p.Descending, err = strconv.ParseBool(s); err != nil {
			return p, errs.New(errs.Invalid, "descending must be true or false")
		}
	}
	return p, nil
}

// queryID reads an optional ID from the query.
func (r *request) queryID(name string) (id.ID, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return 0, nil
	}
	return id.Parse(s)
}

// pageLinks are the links of a list: itself, and the pages before and behind where there are any.
func pageLinks(u *url.URL, p directory.Page, got int) map[string]string {
	links := map[string]string{"self": u.RequestURI()}
	at := func(offset int) string {
		q := u.Query()
		q.Set("offset", strconv.Itoa(offset))
		q.Set("limit", strconv.Itoa(p.Limit))
		return u.Path + "?" + q.Encode()
	}
	if p.Limit > 0 && got == p.Limit {
		links["next"] = at(p.Offset + p.Limit)
	}
	if p.Limit > 0 && p.Offset > 0 {
		links["prev"] = at(max(0, p.Offset-p.Limit))
	}
	return links
}

type userJSON struct {
	Links  map[string]string `json:"links"`
	ID     id.ID             `json:"id"`
	Name   string            `json:"name"`
	Status identity.Status   `json:"status"`
}

func userBody(u identity.User) userJSON {
	return userJSON{map[string]string{"self": "/api/v2/users/" + u.ID.String()}, u.ID, u.Name, u.Status}
}

func (a *API) getUsers(w http.ResponseWriter, r *request) error {
	p, err := r.page(defaultLimit, maxLimit)
	if err != nil {
		return err
	}
	only, err := r.queryID("id")
	if err != nil {
		return err
	}
	var users []identity.User
	if only.Valid() {
		users = make([]identity.User, 1)
		users[0], err = a.Identity.UserByID(r.Context(), r.caller, only)
	} else {
		users, err = a.Identity.Users(r.Context(), r.caller, r.URL.Query().Get("name"), p)
	}
	if err != nil {
		return err
	}
	list := make([]userJSON, len(users))
	for i, u := range users {
		list[i] = userBody(u)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"links": pageLinks(r.URL, p, len(list)), "users": list})
}

func (a *API) postUser(w http.ResponseWriter, r *request) error {
	var body struct {
		Name   string          `json:"name"`
		Status identity.Status `json:"status"`
	}
	if err := r.decode(&body); err != nil {
		return err
	}
	u, err := a.Identity.NewUser(r.Context(), r.caller, body.Name, body.Status)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, userBody(u))
}

func (a *API) getUser(w http.ResponseWriter, r *request) error {
	user, err := r.pathID("userID")
	if err != nil {
		return err
	}
	u, err := a.Identity.UserByID(r.Context(), r.caller, user)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, userBody(u))
}

func (a *API) patchUser(w http.ResponseWriter, r *request) error {
	user, err := r.pathID("userID")
	if err != nil {
		return err
	}
	var body struct {
		Name   *string          `json:"name"`
		Status *identity.Status `json:"status"`
	}
	if err := r.decode(&body); err != nil {
		return err
	}
	u, err := a.Identity.UpdateUser(r.Context(), r.caller, user, body.Name, body.Status)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, userBody(u))
}

func (a *API) deleteUser(w http.ResponseWriter, r *request) error {
	user, err := r.pathID("userID")
	if err != nil {
		return err
	}
	if err := a.Identity.DeleteUser(r.Context(), r.caller, user); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) postUserPassword(w http.ResponseWriter, r *request) error {
	user, err := r.pathID("userID")
	if err != nil {
		return err
	}
	var body struct {
		Password string `json:"password"`
	}
	if err := r.decode(&body); err != nil {
		return err
	}
	if err := a.Authn.SetPassword(r.Context(), r.caller, user, body.Password); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
