package main

import (
	"fmt"
	"html"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	link   = regexp.MustCompile(`(?:href|src)="(/[^"#]*)`)
	forms  = regexp.MustCompile(`(?s)<form method="post"[^>]*?action="(/[^"]*)"([^>]*)>(.*?)</form>`)
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
	filled = regexp.MustCompile(`<(?:input|textarea|select)[^>]* name="([^"]+)"`)
)

// form is one of a page's: where it goes, and what it holds.
type form struct {
	action, page string
	fields       url.Values
	parts        bool // it is sent in parts, as files are
}

// pages follows every link that somebody sees who is signed in, and gives each form that is there.
func (n *nest) pages() map[string]form {
	in := n.send(n.browser, "GET", "/signin", "", "", false)
	fields := url.Values{"username": {"admin"}, "password": {birdPassword + "x"}}
	for _, m := range hidden.FindAllStringSubmatch(in, -1) {
		fields.Set(m[1], m[2])
	}
	n.send(n.browser, "POST", "/signin", "", fields.Encode(), false) // refused
	fields.Set("password", birdPassword)
	n.send(n.browser, "POST", "/signin", "", fields.Encode(), false)
	seen, next, found := map[string]bool{}, []string{"/"}, map[string]form{}
	for len(next) > 0 && len(seen) < 300 {
		path := strings.ReplaceAll(next[0], "&amp;", "&")
		next = next[1:]
		if seen[path] || strings.Contains(path, "signout") || strings.Contains(path, "backup") {
			continue
		}
		seen[path] = true
		page := n.send(n.browser, "GET", path, "", "", false)
		for _, m := range link.FindAllStringSubmatch(page, -1) {
			next = append(next, m[1])
		}
		for _, m := range forms.FindAllStringSubmatch(page, -1) {
			f := form{html.UnescapeString(m[1]), path, url.Values{}, strings.Contains(m[2], "multipart/form-data")}
			for _, in := range filled.FindAllStringSubmatch(m[3], -1) {
				f.fields.Set(in[1], "something")
			}
			for _, in := range hidden.FindAllStringSubmatch(m[3], -1) {
				f.fields.Set(in[1], html.UnescapeString(in[2]))
			}
			found[f.action+" "+fmt.Sprint(len(f.fields))] = f
		}
	}
	if len(seen) < 15 || len(found) < 10 {
		n.t.Errorf("found only %d pages and %d forms", len(seen), len(found))
	}
	return found
}

// fill sends each form as somebody who is signed in does, with a value or a password where one is typed. It ends much of
// what there is.
func (n *nest) fill(found map[string]form) {
	taken := 0
	for _, at := range slices.Sorted(maps.Keys(found)) {
		f := found[at]
		if strings.Contains(f.action, "signout") || f.fields.Has("status") {
			continue
		}
		for name := range f.fields {
			switch {
			case strings.Contains(name, "password") || name == "old" || name == "new":
				f.fields.Set(name, birdPassword+"x") // which is not his
			case name == "value" && strings.Contains(f.action, "import"):
				f.fields.Set(name, "IMPORTED="+birdValue)
			case name == "value":
				f.fields.Set(name, birdValue)
			case name == "key" && !strings.Contains(f.action, "new"):
				f.fields.Set(name, "db/password")
			case name == "file":
				f.fields.Del(name) // what is not chosen is not sent
			}
		}
		if n.submit(f) < 400 {
			taken++
		}
	}
	if taken < 5 {
		n.t.Errorf("only %d forms were taken", taken)
	}
}

// submit sends a form as a browser does.
func (n *nest) submit(f form) (status int) {
	n.t.Helper()
	n.sent++
	body, kind := strings.NewReader(f.fields.Encode()), "application/x-www-form-urlencoded"
	if f.parts {
		var b strings.Builder
		parts := multipart.NewWriter(&b)
		for name, values := range f.fields {
			if err := parts.WriteField(name, values[0]); err != nil {
				n.t.Fatal(err)
			}
		}
		if err := parts.Close(); err != nil {
			n.t.Fatal(err)
		}
		body, kind = strings.NewReader(b.String()), parts.FormDataContentType()
	}
	req, err := http.NewRequestWithContext(n.t.Context(), http.MethodPost, n.host+f.action, body)
	if err != nil {
		n.t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": kind, "Origin": n.host, "Sec-Fetch-Site": "same-origin",
		"Referer": n.host + f.page} {
		req.Header.Set(name, value)
	}
	resp, err := n.browser.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		n.t.Fatal(err)
	}
	n.known.look(n.t, "the form "+f.action+" answers, and", answer)
	n.known.look(n.t, "the form "+f.action+" answers in its header, and", fmt.Append(nil, resp.Header))
	return resp.StatusCode
}
