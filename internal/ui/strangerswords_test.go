package ui

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// TestStrangersWords follows links with words of somebody else's in them, as who is not signed in: no page has them in
// its text. They stay in where it leads on to.
func TestStrangersWords(t *testing.T) {
	s, _ := setUp(t)
	const words = "call-0800-12345"
	in := func(path string) []string {
		all := []string{path + "/" + words}
		for _, q := range []string{"key", "next", "q", "in", "name", "org", "user", "like", "use", "after", "with", "error",
			"version", "sort", "show"} {
			all = append(all, path+"?"+q+"="+words, path+"/"+words+"?"+q+"=/"+words)
		}
		return all
	}
	var links []string
	for path := range s.paths("GET") {
		links = append(links, in(strings.TrimSuffix(path, "/"))...)
	}
	for _, link := range links {
		links = append(links, "/signin?next="+url.QueryEscape(link), "/arrive?next="+url.QueryEscape(link))
	}
	tag := regexp.MustCompile(`<[^>]*>`)
	shown := 0
	look := func(link string, p page) {
		shown++
		if strings.Contains(tag.ReplaceAllString(p.body, ""), words) {
			t.Errorf("%s is answered %d with words of the link's: %s", link, p.status, p.body)
		}
	}
	stranger := s.anonymous()
	for _, link := range links {
		if !strings.HasPrefix(link, "/") {
			link = "/" + link
		}
		p := stranger.get(link)
		if look(link, p); p.status == http.StatusSeeOther {
			if to := p.header.Get("Location"); !strings.HasPrefix(to, "/signin") && to != "/" {
				t.Errorf("%s leads to %s", link, to)
			} else {
				look(to, stranger.get(to))
			}
		}
	}
	if shown < 500 {
		t.Errorf("%d pages were looked at", shown)
	}
	at := s.at("/secret?key=" + words)
	stranger.get("/signin?next="+url.QueryEscape(at)).wants(t, 200, "leads on to", "a secret", `value="`+at)
	stranger.post("/signin", form("username", "nobody", "password", "x", "next", at)).wants(t, 401, "a secret", `value="`+at)
}
