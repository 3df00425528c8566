package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestUnseenCharactersAreNamed: what nobody sees in a name, or what turns what is beside it, is told wherever the name is.
func TestUnseenCharactersAreNamed(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	const turned = "\u202egnp.exe\u202c admin"
	b.api("POST", "/orgs", `{"name":`+quoted(turned)+`}`)
	b.api("POST", "/authorizations", fmt.Sprintf(`{"orgID":%q,"description":%s,"permissions":[{"action":"read","resource":`+
		`{"type":"secrets","orgID":%q}}]}`, strings.TrimPrefix(org, "/orgs/"), quoted(turned), strings.TrimPrefix(org, "/orgs/")))
	b.api("PATCH", org+"/secrets", `{`+quoted(turned)+`:"x"}`)
	b.open("/orgs")
	b.see("has U+202E")
	other := js[string](b, "[...document.querySelectorAll('#orgs a')].find((a) => a.textContent.includes('admin')).pathname")
	b.open(strings.TrimSuffix(other, "/secrets"))
	b.see("U+202E")
	b.open(org + "/tokens")
	b.see("has U+202E")
	b.click(".token-link") // the newest one
	b.see("U+202E")
	b.open("/activity?action=secrets.apply")
	b.see("has U+202E")
	b.open(org + "/secret/who?key=db%2Fx")
	b.see("has U+202E")
}

// TestActivityIsInWords: a row says who did what as people do, and names no organisation by its ID alone.
func TestActivityIsInWords(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.add(org, "db/password", "x")
	b.open(org + "/secret/copy?key=db%2Fpassword")
	b.typeIn("#to", "db/renamed")
	b.click("main form .button")
	b.see("is moved")
	js[string](b, "fetch('/api/v2/orgs', { headers: { Authorization: 'Token of-nobody' } }).then((a) => a.text())")
	b.open("/activity")
	b.see("moved db/password to db/renamed in Acme Robotics")
	if rows := js[int](b, "[...document.querySelectorAll('.feed li')].filter((li) => li.innerText.includes('db/renamed')).length"); rows != 1 {
		t.Errorf("one act has %d rows", rows)
	}
	b.see("somebody set the server up")
	b.see("the server started\n")
	b.open("/activity?action=all&outcome=denied")
	b.see("somebody tried to use an invalid token or session")
	if ids := js[string](b, "document.querySelector('.feed').innerText"); strings.Contains(ids, strings.TrimPrefix(org, "/orgs/")+"/") {
		t.Errorf("the activity names the organisation by its ID: %s", ids)
	}
	// What is under another name now is not told to be deleted, nor that somebody can use it.
	b.open(org + "/secret?key=db%2Fpassword")
	b.see("was deleted or renamed")
	b.open(org + "/secret/who?key=db%2Fpassword")
	b.see("There is no secret of this name now.")
	b.open(org + "/secret/who?key=db%2Frenamed")
	b.see("Who can use it")
	if js[bool](b, "!!document.querySelector('main > .note')") {
		t.Error("a secret that is there is told to be missing")
	}
}

// TestDeletedListStaysInRows: the box to tick stands beside its name in every window with every size of text, and what is
// ticked can be restored.
func TestDeletedListStaysInRows(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.fill([]string{"a-long-name/of-a-secret/that-was-deleted", "b"})
	b.open(org + "/secrets/delete?key=a-long-name%2Fof-a-secret%2Fthat-was-deleted&key=b")
	b.click("main .button.bad")
	b.see("2 secrets deleted")
	b.open(org + "/secrets/deleted")
	b.eachSize(func(size string) {
		b.picture("deleted-" + size)
		if apart := js[int](b, `[...document.querySelectorAll('.deleted li')].filter((li) => {
			const box = li.querySelector('input').getBoundingClientRect(), name = li.querySelector('.grow').getBoundingClientRect();
			return box.bottom <= name.top || box.top >= name.bottom;
		}).length`); apart > 0 {
			t.Errorf("at %s %d boxes stand on lines of their own", size, apart)
		}
	})
	b.resize(16, 1440, 900)
	if js[bool](b, "document.querySelector('[data-chosen]').checkVisibility()") {
		t.Error("what is selected can be restored before anything is")
	}
	b.run(chromedp.Click(chromedp.CSS(".deleted input")))
	b.click("[data-chosen]")
	b.see("restored")
}
