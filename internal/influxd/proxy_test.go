package influxd

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestBehindProxy: the client is who a trusted proxy says, in the record and for the throttle, and
// nobody else's word counts.
func TestBehindProxy(t *testing.T) {
	signIn := func(t *testing.T, r *running, name, password, forwarded string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/api/v2/signin", nil)
		must(t, err)
		req.SetBasicAuth(name, password)
		req.Header.Set("X-Forwarded-For", forwarded)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		res.Body.Close()
		return res.StatusCode
	}
	for name, tt := range map[string]struct {
		flags   []string
		good    int // the operator's sign-in while another address guesses
		address string
	}{
		"trusted":     {[]string{"--trusted-proxies", "127.0.0.0/8,::1"}, 204, "198.51.100.7"},
		"not trusted": {nil, 429, "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := start(t, dir, tt.flags...)
			r.onboard(t)
			for signIn(t, r, "ada", "wrong wrong", "127.0.0.1, 198.51.100.6") != http.StatusTooManyRequests {
			}
			if code := signIn(t, r, "ada", "correct horse", "198.51.100.6, 198.51.100.7"); code != tt.good {
				t.Errorf("a sign-in from elsewhere: %d, want %d", code, tt.good)
			}
			r.end(t)
			log, err := os.ReadFile(filepath.Join(dir, "audit.log"))
			must(t, err)
			if !strings.Contains(string(log), `"address":"`+tt.address+`"`) {
				t.Errorf("the record does not have %s:\n%s", tt.address, log)
			}
			if strings.Contains(string(log), "198.51.100") != (tt.flags != nil) {
				t.Errorf("the record:\n%s", log)
			}
		})
	}
}

// TestBelowPath walks the pages below a path, which a proxy strips and names, or leaves for the server to take off:
// every link, form, redirect and cookie stays below it.
func TestBelowPath(t *testing.T) {
	for name, tt := range map[string]struct {
		flags  []string
		strips bool
	}{
		"stripped and named": {[]string{"--trusted-proxies", "127.0.0.1,::1"}, true},
		"left there":         {[]string{"--base-path", "/room/a"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			const base = "/room/a"
			r := start(t, t.TempDir(), tt.flags...)
			r.onboard(t)
			jar, err := cookiejar.New(nil)
			must(t, err)
			client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			}}
			// visit is what a browser sends to the proxy, and the proxy to the server.
			visit := func(method, path, form string) (*http.Response, string) {
				t.Helper()
				if !strings.HasPrefix(path, base+"/") {
					t.Fatalf("%s leads out of %s", path, base)
				}
				at := path
				if tt.strips {
					at = strings.TrimPrefix(path, base)
				}
				req, err := http.NewRequestWithContext(t.Context(), method, r.url+at, strings.NewReader(form))
				must(t, err)
				public, err := url.Parse(r.url + path)
				must(t, err)
				for _, c := range jar.Cookies(public) {
					req.AddCookie(c)
				}
				if tt.strips {
					req.Header.Set("X-Forwarded-Prefix", base)
				}
				if form != "" {
					req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				}
				noJar := *client
				noJar.Jar = nil
				res, err := noJar.Do(req)
				must(t, err)
				defer res.Body.Close()
				for _, c := range res.Cookies() {
					if c.Path != base+"/" {
						t.Errorf("%s: a cookie for %s", path, c.Path)
					}
				}
				jar.SetCookies(public, res.Cookies())
				b, err := io.ReadAll(res.Body)
				must(t, err)
				return res, string(b)
			}
			res, _ := visit("GET", base+"/", "")
			if to := res.Header.Get("Location"); to != base+"/signin" {
				t.Fatalf("the start leads to %q", to)
			}
			res, page := visit("POST", base+"/signin", "username=ada&password=correct+horse")
			if res.StatusCode != 303 {
				t.Fatalf("signing in: %d\n%s", res.StatusCode, page)
			}
			link := regexp.MustCompile(` (?:href|action|formaction|src)="([^"]*)"`)
			seen, next := map[string]bool{}, []string{res.Header.Get("Location")}
			for len(next) > 0 && len(seen) < 60 {
				path := next[0]
				next = next[1:]
				if seen[path] {
					continue
				}
				seen[path] = true
				res, page := visit("GET", path, "")
				if to := res.Header.Get("Location"); to != "" {
					next = append(next, to)
				} else if res.StatusCode != 200 {
					t.Errorf("%s: %d", path, res.StatusCode)
				}
				for _, m := range link.FindAllStringSubmatch(page, -1) {
					if !strings.HasPrefix(m[1], "/") {
						continue
					}
					if !strings.HasPrefix(m[1], base+"/") {
						t.Errorf("%s leads to %s", path, m[1])
					} else if !strings.HasPrefix(m[0], " action") && !strings.HasPrefix(m[0], " formaction") {
						next = append(next, strings.ReplaceAll(m[1], "&amp;", "&"))
					}
				}
			}
			if len(seen) < 10 {
				t.Errorf("only %d pages were found: %v", len(seen), seen)
			}
		})
	}
}
