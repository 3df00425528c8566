package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestLinksFromOtherSites: who is signed in and follows a link on another site is there, and what that site sends or
// frames is still refused.
func TestLinksFromOtherSites(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.add(org, "db/password", "1")
	path := org + "/secret?key=" + url.QueryEscape("db/password")
	wiki := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w,
			`<a href="%[1]s%[2]s">the password</a><form method="post" action="%[1]s/signout"><button>Away</button></form>`, b.srv.url, path)
	}))
	t.Cleanup(wiki.Close)
	elsewhere := strings.Replace(wiki.URL, "127.0.0.1", "localhost", 1) // another site, as browsers see it
	b.run(chromedp.Navigate(elsewhere))
	b.click("a")
	b.at(path)
	b.see("db/password")
	js[bool](b, "history.back(), true") // the page between does not hold the reader
	b.until("location.host.startsWith('localhost')")
	b.run(chromedp.Navigate(elsewhere)) // anew: the protocol loses a page that the browser had kept
	b.click("button")
	b.see("another origin")
	b.open(path)
	b.at(path)
}
