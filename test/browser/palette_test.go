package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// TestPalette goes to a page and to a secret by their names, lists the keys, and reads the documentation of the binary.
func TestPalette(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.importNames(org, []string{"db/password", "db/user"})
	press := func(key, more string) {
		js[bool](b, "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: "+quoted(key)+
			", bubbles: true, cancelable: true"+more+" })), true")
	}
	b.open("/preferences")
	press("k", ", ctrlKey: true")
	b.until("document.querySelector('#palette').open")
	b.typeIn("#palette input", "db/us")
	b.until("document.querySelector('#palette li')?.textContent === 'db/user'")
	b.keys(kb.Enter)
	b.at(org + "/secret?key=db%2Fuser")
	b.click("#palette-open")
	b.typeIn("#palette input", "act")
	b.keys(kb.Enter)
	b.at("/activity")
	press("?", "")
	b.until("document.querySelector('#keys').open")
	b.click("#keys [data-close]")
	b.open("/docs")
	b.click("main .list a[href='/docs/access']")
	b.see("owner")
	// Rendered, with links to sections and to other pages.
	b.click("main .contents li:nth-child(2) a")
	b.until("location.hash && document.querySelector(location.hash)?.tagName === 'H2'")
	if js[bool](b, "/\\]\\(|^#/m.test(document.querySelector('.doc').innerText)") {
		t.Errorf("Markdown shows: %s", js[string](b, "document.querySelector('.doc').innerText.slice(0, 500)"))
	}
	js[bool](b, "document.querySelector('.doc a[href^=\"/docs/\"]').scrollIntoView(), true")
	b.click(".doc a[href^='/docs/']")
	b.until("location.pathname !== '/docs/access' && document.querySelector('.doc p')")
	b.open("/docs/growth")
	b.until("document.querySelector('.doc img').naturalWidth > 100")
	// From a field of one line, Ctrl and Enter save, too.
	b.open(org)
	b.typeIn("#description", "robots")
	press("Enter", ", ctrlKey: true")
	b.see("Saved.")
}

// TestChosenImport leaves names out, puts a prefix before the others, and tells all mistakes at once; names are
// exported and compared.
func TestChosenImport(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.open(org + "/secrets/import")
	b.typeIn("#value", "broken\nA=1\nA=2\nalso broken")
	b.click("button[value=look]")
	b.see("line 1 has no =")
	b.see("line 3: \"A\" comes a second time")
	b.see("line 4 has no =")
	b.typeIn("#value", "A=\nB=\nC=1")
	b.click("button[value=look]")
	b.see("\"A\" has an empty value")
	b.see("\"B\" has an empty value")
	b.typeIn("#value", "A="+secretValue+"\nB=2\nC=3")
	b.typeIn("#prefix", "app/")
	b.click("button[value=look]")
	b.see("3 names found: 3 new")
	b.click("#preview input[value='app/B']")
	b.until("document.querySelectorAll('#preview input:checked').length === 2")
	b.click("button[value=import]")
	b.see("2 secrets added")
	b.until("(" + names + ") === 'app/A app/C'")
	table := js[string](b, "fetch(document.querySelector('a[download]').href).then((a) => a.text())")
	if !strings.HasPrefix(table, "name,updated,by,last used,replace by\napp/A,") || strings.Contains(table, secretValue) {
		t.Errorf("the names are exported as %q", table)
	}
	b.open("/orgs")
	b.typeIn("#name", "Other")
	b.click("main section .button")
	b.see("No secret yet")
	other := js[string](b, "location.pathname.replace('/secrets', '')")
	b.importNames(other, []string{"app/A", "only/there"})
	b.open(org + "/compare")
	b.click("main form .button")
	b.see("1 name in both.")
	b.until("document.querySelector('#here .mono').textContent === 'only/there' && " +
		"document.querySelector('#there .mono').textContent === 'app/C'")
	b.open("/store")
	b.see("influxd.bolt")
}
