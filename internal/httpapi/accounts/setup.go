package accounts

import (
	"net/http"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
)

func (h *handlers) getSetup(w http.ResponseWriter, r *exchange.Request) error {
	allowed, err := h.directory.SetupAllowed(r.Context())
	if err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusOK, map[string]bool{"allowed": allowed})
}

func (h *handlers) postSetup(w http.ResponseWriter, r *exchange.Request) error {
	var body struct {
		Username               string `json:"username"`
		Password               string `json:"password"`
		Org                    string `json:"org"`
		Bucket                 string `json:"bucket"`
		RetentionPeriodSeconds int64  `json:"retentionPeriodSeconds"`
		RetentionPeriodHrs     int64  `json:"retentionPeriodHrs"`
		Token                  string `json:"token"`
	}
	if err := r.Decode(&body); err != nil {
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
	o, err := h.directory.Onboard(r.Context(), r.Nobody(), directory.Setup{
		User: body.Username, Password: body.Password, Org: body.Org, Bucket: body.Bucket, Retention: retention,
		Token: body.Token,
	})
	if err != nil {
		return err
	}
	names := map[string]string{o.Org.ID.String(): o.Org.Name}
	return exchange.WriteJSON(w, http.StatusCreated, map[string]any{
		"user": userBody(o.User), "org": orgBody(o.Org), "bucket": bucketBody(o.Bucket),
		"auth": authBody(o.Authorization, o.Token, o.User.Name, names),
	})
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

func (h *handlers) postSignin(w http.ResponseWriter, r *exchange.Request) error {
	name, password, ok := r.BasicAuth()
	if !ok {
		return authn.ErrUnauthorized
	}
	token, err := h.authn.SignIn(r.Context(), r.Nobody(), name, password)
	if err != nil {
		return err
	}
	r.SetCookie(w, token)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *handlers) postSignout(w http.ResponseWriter, r *exchange.Request) error {
	if r.Session == "" {
		return errs.New(errs.Invalid, "there is no session to end: the request carries a token; delete the "+
			"authorization to revoke it")
	}
	if err := h.authn.SignOut(r.Context(), r.Caller, r.Session); err != nil {
		return err
	}
	r.SetCookie(w, "")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *handlers) getMe(w http.ResponseWriter, r *exchange.Request) error {
	u, err := h.directory.Me(r.Context(), r.Caller)
	if err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusOK, userBody(u))
}

// putMyPassword changes the caller's own password. The caller is who the old password belongs to (Basic), or who the
// session belongs to; the old password is always asked for.
func (h *handlers) putMyPassword(w http.ResponseWriter, r *exchange.Request) error {
	name, old, ok := r.BasicAuth()
	if !ok {
		return errs.New(errs.Unauthorized, "the old password is needed: send it with Basic authentication")
	}
	var body struct {
		Password string `json:"password"`
	}
	if err := r.Decode(&body); err != nil {
		return err
	}
	if err := h.authn.ChangePassword(r.Context(), r.Nobody(), name, old, body.Password); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
