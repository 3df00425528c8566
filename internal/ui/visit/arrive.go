package visit

import "net/http"

// arrivePath is the page that has a browser ask again for where it was led from another site.
const arrivePath = "/arrive"

// fromElsewhere reports whether the reader follows a link on a page of another site. The browser then sends no cookie
// that is SameSite=Strict, so that everybody looks like somebody who is not signed in. Frames are not let in.
func (v *Visit) fromElsewhere() bool {
	h := v.Header
	if v.Method != http.MethodGet || v.URL.Path == arrivePath ||
		h.Get("Sec-Fetch-Site") != "cross-site" || h.Get("Sec-Fetch-Mode") != "navigate" ||
		h.Get("Sec-Fetch-Dest") != "document" {
		return false
	}
	_, err := v.Cookie(sessionCookie)
	return err != nil
}
