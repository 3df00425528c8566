package visit

import (
	"net/http"
	"time"

	"strongroom/internal/id"
)

// The cookies. The session's holds the token of authn.Service.SignIn under a name and path of its own: the API's has
// the path /api/, which pages are not below.
const (
	sessionCookie = "strongroom-session"
	orgCookie     = "strongroom-org"
	themeCookie   = "strongroom-theme"
	noteCookie    = "strongroom-note"

	longCookie = 365 * 24 * time.Hour
)

// setCookie sets a cookie for a while, until the browser ends where that is 0, or removes it where it is negative.
func (v *Visit) setCookie(name, value string, d time.Duration) {
	c := &http.Cookie{Name: name, Value: value, Path: v.via.Base + "/", HttpOnly: true,
		Secure: v.server.Secure || v.via.Secure, SameSite: http.SameSiteStrictMode}
	switch {
	case d < 0:
		c.MaxAge = -1
	case d > 0:
		c.MaxAge = int(d.Seconds())
	}
	http.SetCookie(v.w, c)
}

// Theme is the reader's wish; "" follows the system.
func (v *Visit) Theme() string {
	if c, err := v.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// KeepTheme remembers the reader's wish, or forgets it where it is "".
func (v *Visit) KeepTheme(theme string) {
	if theme == "" {
		v.setCookie(themeCookie, "", -1)
		return
	}
	v.setCookie(themeCookie, theme, longCookie)
}

// KeepSession signs the reader in with the token of authn.Service.SignIn, until the browser ends.
func (v *Visit) KeepSession(token string) { v.setCookie(sessionCookie, token, 0) }

// DropSession has the browser forget its session, and the names that it keeps.
func (v *Visit) DropSession() {
	v.setCookie(sessionCookie, "", -1)
	v.w.Header().Set("Clear-Site-Data", `"cache"`)
}

// KeepOrg remembers the organisation for the pages that name none.
func (v *Visit) KeepOrg(org id.ID) { v.setCookie(orgCookie, org.String(), longCookie) }

// DropOrg forgets the organisation.
func (v *Visit) DropOrg() { v.setCookie(orgCookie, "", -1) }
