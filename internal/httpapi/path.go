package httpapi

import (
	"net/url"
	pathpkg "path"
	"strings"
)

// cleanURL returns the URL in a form that http.ServeMux neither redirects nor misreads. The mux would redirect a path
// with "." or ".." as a segment to the path they lead to: the request to delete the secret named ".." would become one
// to delete its organisation. Such a segment is a name here, so it is escaped. One slash at the end is taken off.
func cleanURL(u *url.URL, escaped string) *url.URL {
	dotted := strings.Contains(escaped, "/.")
	if !dotted && !strings.HasSuffix(escaped, "/") {
		return u
	}
	escaped = strings.TrimSuffix(escaped, "/")
	if dotted {
		segments := strings.Split(escaped, "/")
		for i, s := range segments {
			if s == "." || s == ".." {
				segments[i] = strings.ReplaceAll(s, ".", "%2E")
			}
		}
		escaped = strings.Join(segments, "/")
	}
	path, err := url.PathUnescape(escaped)
	if err != nil { // the server has parsed it already
		return u
	}
	c := *u
	c.Path, c.RawPath = path, escaped
	return &c
}

// isClean reports whether http.ServeMux takes the path as it is. It would redirect //api/v2/me, and a client that
// follows would send its token and its body a second time.
func isClean(path string) bool {
	clean := pathpkg.Clean(path)
	return path == clean || path == clean+"/"
}
