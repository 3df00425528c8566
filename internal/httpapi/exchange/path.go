package exchange

import (
	"net/http"
	"net/url"
	pathpkg "path"
	"strings"
)

// cleanURL returns the URL in a form that http.ServeMux neither redirects nor misreads. One slash at the end is taken
// off. Of the segments, which may be the names of secrets:
//
//   - The mux would redirect a path with "." or ".." to the path they lead to: the request to delete the secret named
//     ".." would become one to delete its organisation. They are escaped.
//   - The mux takes "%2F" alone for a slash at the end. It becomes a NUL, which no key holds; so that nothing else
//     does, NULs alone become one more of them. PathKey goes the way back.
func cleanURL(u *url.URL, escaped string) *url.URL {
	special := strings.Contains(escaped, "/.") || strings.Contains(escaped, "/%")
	if !special && !strings.HasSuffix(escaped, "/") {
		return u
	}
	escaped = strings.TrimSuffix(escaped, "/")
	if special {
		segments := strings.Split(escaped, "/")
		for i, s := range segments {
			switch {
			case s == "." || s == "..":
				segments[i] = strings.ReplaceAll(s, ".", "%2E")
			case strings.EqualFold(s, "%2F"):
				segments[i] = "%00"
			case s != "" && strings.Trim(s, "%0") == "" && len(s) == 3*strings.Count(s, "%00"):
				segments[i] = s + "%00"
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

// PathKey is the name of a secret in the path of a request that went through cleanURL.
func PathKey(r *http.Request) string {
	key := r.PathValue("key")
	if strings.Trim(key, "\x00") != "" {
		return key
	}
	if key = strings.TrimPrefix(key, "\x00"); key == "" {
		return "/"
	}
	return key
}

// isClean reports whether http.ServeMux takes the path as it is. It would redirect //api/v2/me, and a client that
// follows would send its token and its body a second time.
func isClean(path string) bool {
	clean := pathpkg.Clean(path)
	return path == clean || path == clean+"/" && path != "//"
}
