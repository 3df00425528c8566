package secrets

import (
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"strongroom/internal/errs"
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// secretBody is what is told of a secret. Its value is never part of it.
type secretBody struct {
	Links       map[string]string `json:"links"`
	Key         string            `json:"key"`
	OrgID       string            `json:"orgID"`
	Version     int               `json:"version"`
	CreatedAt   time.Time         `json:"createdAt"`
	UpdatedAt   time.Time         `json:"updatedAt"`
	UpdatedBy   string            `json:"updatedBy,omitempty"`
	LastUsedAt  *time.Time        `json:"lastUsedAt,omitempty"`
	Description string            `json:"description"`
	ExpiresAt   *time.Time        `json:"expiresAt,omitempty"`
	DeletedAt   *time.Time        `json:"deletedAt,omitempty"`
	DeletedBy   string            `json:"deletedBy,omitempty"`
	// KeptUntil is when a deleted secret is gone for good.
	KeptUntil *time.Time    `json:"keptUntil,omitempty"`
	Versions  []versionBody `json:"versions"`
}

type versionBody struct {
	Version    int       `json:"version"`
	CreatedAt  time.Time `json:"createdAt"`
	CreatedBy  string    `json:"createdBy,omitempty"`
	Restorable bool      `json:"restorable"`
}

func bodyOf(org id.ID, info secret.Info) secretBody {
	path := "/api/v2/orgs/" + org.String()
	b := secretBody{
		Links: map[string]string{"org": path, "self": path + "/secrets/" + url.PathEscape(info.Key)},
		Key:   info.Key, OrgID: org.String(), Version: info.Version,
		CreatedAt: info.Created, UpdatedAt: info.Updated, UpdatedBy: info.By, LastUsedAt: timeOrNil(info.Used),
		Description: info.Text, ExpiresAt: timeOrNil(info.Expires), DeletedAt: timeOrNil(info.Deleted),
		DeletedBy: info.DeletedBy, Versions: []versionBody{},
	}
	if !info.Deleted.IsZero() {
		b.KeptUntil = timeOrNil(info.Deleted.Add(secret.KeepDeleted))
	}
	for _, v := range info.Versions {
		b.Versions = append(b.Versions, versionBody{v.Number, v.At, v.By, v.Restorable})
	}
	return b
}

// infoBody is what is told of one secret among all of an organisation.
type infoBody struct {
	Key         string     `json:"key"`
	Version     int        `json:"version,omitempty"`
	UpdatedAt   *time.Time `json:"updatedAt,omitempty"`
	UpdatedBy   string     `json:"updatedBy,omitempty"`
	LastUsedAt  *time.Time `json:"lastUsedAt,omitempty"`
	Description string     `json:"description"`
	ExpiresAt   *time.Time `json:"expiresAt,omitempty"`
}

// infoCost is about what one secret's line takes in memory, its texts excepted, in bytes.
const infoCost = 1 << 10

// getSecretInfos tells what is known of all secrets, or of those whose values should be replaced before a time.
func (h *handlers) getSecretInfos(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	var before time.Time
	if text := r.Query()["expiringBefore"]; len(text) > 0 {
		if before, err = time.Parse(time.RFC3339, text[0]); err != nil || len(text) > 1 || before.IsZero() {
			return errs.New(errs.Invalid, "expiringBefore must be one time, such as 2030-01-31T00:00:00Z")
		}
	}
	page, err := pageOf(r)
	if err != nil {
		return err
	}
	page.Before = before
	infos, err := h.secrets.Infos(r.Context(), r.Caller, org, page)
	if err != nil {
		return err
	}
	list, size := make([]infoBody, len(infos)), int64(0)
	for i, info := range infos {
		list[i] = infoBody{
			Key: info.Key, Version: info.Version, UpdatedAt: timeOrNil(info.Updated), UpdatedBy: info.By,
			LastUsedAt: timeOrNil(info.Used), Description: info.Text, ExpiresAt: timeOrNil(info.Expires),
		}
		size += infoCost + int64(len(info.Key)+len(info.Text))
	}
	if err := r.Hold(size); err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusOK, map[string]any{"links": pageLinks(r, org, "/secret-infos", page, infos),
		"secrets": list})
}

// pageOf reads limit and after. Without them it is all.
func pageOf(r *exchange.Request) (p secret.Page, err error) {
	q := r.Query()
	if s := q.Get("limit"); s != "" {
		if p.Limit, err = strconv.Atoi(s); err != nil || p.Limit < 1 || len(q["limit"]) > 1 {
			return p, errs.New(errs.Invalid, "limit must be one number from 1 on")
		}
	}
	if p.After = q.Get("after"); !utf8.ValidString(p.After) || len(q["after"]) > 1 {
		return p, errs.New(errs.Invalid, "after must be one key, behind which the page begins")
	}
	return p, nil
}

// pageLinks are the links of a list of secrets: its organisation, itself, and the page behind it where it is full.
func pageLinks(r *exchange.Request, org id.ID, list string, p secret.Page, got []secret.Info) map[string]string {
	of := "/api/v2/orgs/" + org.String()
	links := map[string]string{"org": of, "self": of + list}
	if p.Full(len(got)) {
		q := r.URL.Query() // a copy, to be changed
		q.Set("after", got[len(got)-1].Key)
		links["next"] = of + list + "?" + q.Encode()
	}
	return links
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (h *handlers) getSecret(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	return h.writeSecret(w, r, org, exchange.PathKey(r.Request))
}

func (h *handlers) writeSecret(w http.ResponseWriter, r *exchange.Request, org id.ID, key string) error {
	info, err := h.secrets.Info(r.Context(), r.Caller, org, key)
	if err != nil {
		return err
	}
	if info.Version > 0 && info.Deleted.IsZero() {
		setTag(w, versionTag(info.Version))
	}
	return exchange.WriteJSON(w, http.StatusOK, bodyOf(org, info))
}

// putSecretDescription replaces what people note of a secret. It answers nothing: to write is not to read.
func (h *handlers) putSecretDescription(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	var body struct {
		Description string     `json:"description"`
		ExpiresAt   *time.Time `json:"expiresAt"`
	}
	if err := r.Decode(&body); err != nil {
		return err
	}
	d := secret.Description{Text: body.Description}
	if body.ExpiresAt != nil {
		d.Expires = *body.ExpiresAt
	}
	if err := h.secrets.Describe(r.Context(), r.Caller, org, exchange.PathKey(r.Request), d); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// postSecretRestore sets the value of an earlier version anew; without a version it brings back a deleted secret.
func (h *handlers) postSecretRestore(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	var body struct {
		Version int `json:"version"`
	}
	if err := r.Decode(&body); err != nil {
		return err
	}
	if body.Version < 0 {
		return errs.New(errs.Invalid, "version must be at least 1, or left out for the newest")
	}
	if err := h.secrets.Restore(r.Context(), r.Caller, org, exchange.PathKey(r.Request), body.Version); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *handlers) getDeletedSecrets(w http.ResponseWriter, r *exchange.Request) error {
	org, err := r.PathID("orgID")
	if err != nil {
		return err
	}
	page, err := pageOf(r)
	if err != nil {
		return err
	}
	infos, err := h.secrets.Deleted(r.Context(), r.Caller, org, page)
	if err != nil {
		return err
	}
	list := exchange.NewStream(w, "secrets")
	for _, info := range infos {
		if err := list.Add(bodyOf(org, info)); err != nil {
			return list.Fail(r, err)
		}
	}
	return list.End("links", pageLinks(r, org, "/deleted-secrets", page, infos))
}
