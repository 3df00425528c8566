package httpapi

import (
	"net/http"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
)

func (a *API) getSetup(w http.ResponseWriter, r *request) error {
	allowed, err := a.Identity.SetupAllowed(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]bool{"allowed": allowed})
}

func (a *API) postSetup(w http.ResponseWriter, r *request) error {
	var body struct {
		Username               string `json:"username"`
		Password               string `json:"password"`
		Org                    string `json:"org"`
		Bucket                 string `json:"bucket"`
		RetentionPeriodSeconds int64  `json:"retentionPeriodSeconds"`
		RetentionPeriodHrs     int64  `json:"retentionPeriodHrs"`
		Token                  string `json:"token"`
	}
	if err := r.decode(&body); err != nil {
		return err
	}
	seconds := body.RetentionPeriodSeconds
	if seconds == 0 && body.RetentionPeriodHrs != 0 {
		if body.RetentionPeriodHrs < 0 || body.RetentionPeriodHrs > maxRetentionSeconds/3600 {
			return errBadRetention
		}
		seconds = body.RetentionPeriodHrs * 3600
	}
	retention, err := retentionOf(seconds)
	if err != nil {
		return err
	}
	o, err := a.Identity.Onboard(r.Context(), a.nobody(r), directory.Setup{
		User: body.Username, Password: body.Password, Org: body.Org, Bucket: body.Bucket, Retention: retention, Token: body.Token,
	})
	if err != nil {
		return err
	}
	names := map[string]string{o.Org.ID.String(): o.Org.Name}
	return writeJSON(w, http.StatusCreated, map[string]any{
		"user": userBody(o.User), "org": orgBody(o.Org), "bucket": bucketBody(o.Bucket),
		"auth": authBody(o.Authorization, o.Token, o.User.Name, names),
	})
}

// nobody is the caller before anybody is known.
func (a *API) nobody(r *request) *access.Caller {
	return &access.Caller{Principal: &access.Principal{}, Address: r.address(), RequestID: r.id}
}

// maxRetentionSeconds is the longest retention that a time.Duration holds.
const maxRetentionSeconds = int64(1<<63-1) / int64(time.Second)

var errBadRetention = errs.New(errs.Unprocessable, "the retention period is out of range")

func retentionOf(seconds int64) (time.Duration, error) {
	if seconds < 0 || seconds > maxRetentionSeconds {
		return 0, errBadRetention
	}
	return time.Duration(seconds) * time.Second, nil
}

func (a *API) postSignin(w http.ResponseWriter, r *request) error {
	name, password, ok := r.BasicAuth()
	if !ok {
		return authn.ErrUnauthorized
	}
	token, err := a.Authn.SignIn(r.Context(), a.nobody(r), name, password)
	if err != nil {
		return err
	}
	a.setCookie(w, token)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) postSignout(w http.ResponseWriter, r *request) error {
	if r.session == "" {
		return errs.New(errs.Invalid, "there is no session to end: the request carries a token; delete the authorization to revoke it")
	}
	if err := a.Authn.SignOut(r.Context(), r.caller, r.session); err != nil {
		return err
	}
	a.setCookie(w, "")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) getMe(w http.ResponseWriter, r *request) error {
	u, err := a.Identity.Me(r.Context(), r.caller)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, userBody(u))
}

// putMyPassword changes the caller's own password. The caller is who the old password belongs to (Basic), or who the
// session belongs to; the old password is always asked for.
func (a *API) putMyPassword(w http.ResponseWriter, r *request) error {
	name, old, ok := r.BasicAuth()
	if !ok {
		return errs.New(errs.Unauthorized, "the old password is needed: send it with Basic authentication")
	}
	var body struct {
		Password string `json:"password"`
	}
	if err := r.decode(&body); err != nil {
		return err
	}
	if err := a.Authn.ChangePassword(r.Context(), a.nobody(r), name, old, body.Password); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
