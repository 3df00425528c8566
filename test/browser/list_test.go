package browser

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// names is what the list shows, in its order.
const names = "[...document.querySelectorAll('#names li a')].map((a) => a.textContent.trim()).join(' ')"

// describe notes the day by which a secret is to be replaced, as its form does.
func (b *tab) describe(org, key, day string) {
	b.Helper()
	js[bool](b, fmt.Sprintf("fetch(%q, { method: 'POST', body: new URLSearchParams({ key: %q, expires: %q, replace: "+
		"'yes' }) }).then((a) => a.ok || Promise.reject(a.status))", org+"/secret/describe", key, day))
}

// TestListAsPeopleLook sorts, filters and opens folders, with and without scripts: both show the same.
func TestListAsPeopleLook(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	all := []string{"alone", "one/alone"}
	for i := range 20 {
		all = append(all, fmt.Sprintf("db%d/password", i), fmt.Sprintf("app/key-%d", i))
	}
	all = append(all, "db2/user")
	b.importNames(org, all)
	soon := time.Now().AddDate(0, 0, 10).UTC().Format("2006-01-02")
	b.describe(org, "db10/password", soon)
	b.describe(org, "app/key-3", "2026-01-31")

	for _, scripts := range []bool{true, false} {
		if !scripts {
			b.plain()
		}
		open := func(query, want string) {
			t.Helper()
			b.open(org + "/secrets" + query)
			b.until(fmt.Sprintf("(%s).startsWith(%q)", names, want))
		}
		open("", "alone app/ db0/password db1/password db2/ db3/password")
		b.see("2 due within 30 days")
		open("?in=app/", "app/key-0 app/key-1 app/key-2 app/key-3 app/key-4")
		open("?in=app/&sort=down", "app/key-19 app/key-18")
		open("?flat=1", "alone app/key-0 app/key-1 app/key-2")
		open("?q=key-1", "app/key-1 app/key-10 app/key-11")
		open("?show=due", "app/key-3 db10/password")
		open("?show=never", "alone app/key-0")
		open("?show=due&sort=due-down", "db10/password app/key-3")
		open("?sort=due", "app/key-3 db10/password alone")
		if n := js[int](b, "document.querySelectorAll('#names .over').length"); n != 1 {
			t.Errorf("%d secrets are shown as overdue", n)
		}
		if s := js[string](b, "document.querySelector('#names .by').childNodes[1].textContent"); s != "ada" {
			t.Errorf("the list says that %q set it", s)
		}
	}
}

// TestListByKeyboardAndClick opens a folder by a click and goes back, sorts by a column, goes through the list by the
// arrows, and finds what can be done with a row only where somebody is.
func TestListByKeyboardAndClick(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	var all []string
	for i := range 40 {
		all = append(all, fmt.Sprintf("app/key-%d", i))
	}
	b.importNames(org, append(all, "db/password"))
	b.open(org + "/secrets")
	b.click("#names .folder a")
	b.until("location.search === '?in=app%2F' && (" + names + ").startsWith('app/key-0 app/key-1 app/key-2')")
	js[bool](b, "history.back(), true")
	b.until("location.search === '' && (" + names + ") === 'app/ db/password'")
	b.click("#turn")
	b.until("(" + names + ").startsWith('app/key-0 app/key-1') && document.querySelector('#turn').textContent === " +
		"'Folders'")
	b.wear("light", 1440)
	b.click("#cols [data-sort=updated]")
	b.until("location.search.includes('sort=updated') && document.querySelector('#sort').value === 'updated'")
	b.open(org + "/secrets")
	b.until("document.querySelector('#chosen').dataset.ready")
	if js[bool](b, "document.querySelector('#delete').checkVisibility()") {
		t.Error("what deletes the selected is offered while nothing is selected")
	}
	js[bool](b, "document.querySelector('#q').focus(), true")
	b.keys(kb.ArrowDown)
	b.until("document.activeElement.textContent.trim() === 'app/'")
	b.keys(kb.ArrowDown)
	b.until("document.activeElement.textContent === 'db/password'")
	b.until("getComputedStyle(document.activeElement.closest('li').querySelector('.copy')).opacity === '1'")
	b.keys(kb.ArrowUp)
	b.keys(kb.ArrowUp)
	b.until("document.activeElement.id === 'q'")
	b.click("#names li:nth-child(2) input")
	b.see("Delete 1 selected…")
	if wide := js[float64](b, "document.querySelector('#names').getBoundingClientRect().width"); wide < 1000 {
		t.Errorf("in a window of 1440 px the list is %v px wide", wide)
	}
}

// TestWhatIsDue sees what is due from the list of all organisations, and nothing of those that it does not belong to.
func TestWhatIsDue(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.importNames(org, []string{"old", "young", "none"})
	b.describe(org, "old", "2026-01-31")
	b.describe(org, "young", time.Now().AddDate(1, 0, 0).Format("2006-01-02"))
	b.open("/orgs")
	b.see("1 due within 30 days")
	b.click("main .head .button")
	b.see("31 January 2026")
	if due := js[string](b, "[...document.querySelectorAll('#due .mono')].map((a) => a.textContent).join(' ')"); due != "old" {
		t.Errorf("due are %q", due)
	}
	b.open("/orgs")
	b.click("#orgs .due")
	b.until("(" + names + ") === 'old'")
}
