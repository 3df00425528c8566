package accounts

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/id"
	"strongroom/internal/identity"
)

// The page sizes of InfluxDB's lists.
const (
	defaultLimit = 20
	maxLimit     = 100
)

// page reads offset, limit, after and descending. A limit of 0 in defaults means that the list has no limit unless one
// is asked for.
func page(r *exchange.Request, limit, maximum int) (identity.Page, error) {
	q := r.Query()
	p := identity.Page{Limit: limit}
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

// pageLinks are the links of a list: itself, and the pages before and behind where there are any.
func pageLinks(u *url.URL, p identity.Page, got int) map[string]string {
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
	// LastSignInAt is told to those who may read the user.
	LastSignInAt *time.Time `json:"lastSignInAt,omitempty"`
}

func userBody(u identity.User) userJSON {
	return userJSON{map[string]string{"self": "/api/v2/users/" + u.ID.String()}, u.ID, u.Name, u.Status, u.SignedInAt}
}

func (h *handlers) getUsers(w http.ResponseWriter, r *exchange.Request) error {
	p, err := page(r, defaultLimit, maxLimit)
	if err != nil {
		return err
	}
	only, err := r.QueryID("id")
	if err != nil {
		return err
	}
	var users []identity.User
	if only.Valid() {
		users = make([]identity.User, 1)
		users[0], err = h.directory.UserByID(r.Context(), r.Caller, only)
	} else {
		users, err = h.directory.Users(r.Context(), r.Caller, r.Query().Get("name"), p)
	}
	if err != nil {
		return err
	}
	list := make([]userJSON, len(users))
	for i, u := range users {
		list[i] = userBody(u)
	}
	return exchange.WriteJSON(w, http.StatusOK, map[string]any{"links": pageLinks(r.URL, p, len(list)), "users": list})
}

func (h *handlers) postUser(w http.ResponseWriter, r *exchange.Request) error {
	var body struct {
		Name   string          `json:"name"`
		Status identity.Status `json:"status"`
	}
	if err := r.Decode(&body); err != nil {
		return err
	}
	u, err := h.directory.NewUser(r.Context(), r.Caller, body.Name, body.Status)
	if err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusCreated, userBody(u))
}

func (h *handlers) getUser(w http.ResponseWriter, r *exchange.Request) error {
	user, err := r.PathID("userID")
	if err != nil {
		return err
	}
	u, err := h.directory.UserByID(r.Context(), r.Caller, user)
	if err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusOK, userBody(u))
}

func (h *handlers) patchUser(w http.ResponseWriter, r *exchange.Request) error {
	user, err := r.PathID("userID")
	if err != nil {
		return err
	}
	var body struct {
		Name   *string          `json:"name"`
		Status *identity.Status `json:"status"`
	}
	if err := r.Decode(&body); err != nil {
		return err
	}
	u, err := h.directory.UpdateUser(r.Context(), r.Caller, user, body.Name, body.Status)
	if err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusOK, userBody(u))
}

func (h *handlers) deleteUser(w http.ResponseWriter, r *exchange.Request) error {
	user, err := r.PathID("userID")
	if err != nil {
		return err
	}
	if err := h.directory.DeleteUser(r.Context(), r.Caller, user); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *handlers) postUserPassword(w http.ResponseWriter, r *exchange.Request) error {
	user, err := r.PathID("userID")
	if err != nil {
		return err
	}
	var body struct {
		Password string `json:"password"`
	}
	if err := r.Decode(&body); err != nil {
		return err
	}
	if err := h.authn.SetPassword(r.Context(), r.Caller, user, body.Password); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
