package browser

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp/kb"
)

// spoken collects what the page tells a screen reader, from its first moment on.
const spoken = `window.spoken = []; addEventListener('DOMContentLoaded', () => new MutationObserver((all) => {
	for (const m of all) if (m.target.closest?.('[aria-live]') && m.target.textContent) window.spoken.push(m.target.textContent);
}).observe(document.documentElement, { childList: true, characterData: true, subtree: true }));`

// hears waits until a screen reader was told a text.
func (b *tab) hears(text string) {
	b.Helper()
	b.until(fmt.Sprintf("window.spoken.some((s) => s.includes(%q))", text))
}

// TestScreenReader checks what is told without being looked at, and where the focus goes.
func TestScreenReader(t *testing.T) {
	s := startServer(t)
	b := openTab(t, s)
	b.scripted(spoken)
	org := b.setUp()
	b.add(org, "db/password", "x")
	b.hears("The value is saved")
	b.open(org + "/secrets")
	b.typeIn("#q", "nothing has this")
	b.hears("None matches")
	b.open(org + "/secrets")
	b.click("[data-copy-name]")
	b.hears("Copied.")

	// What was refused is an alert, and the focus stays where it was.
	b.open(org + "/secrets/new")
	b.typeIn("#key", "db/password")
	b.typeIn("#value", "y")
	b.tabTo("Save the secret")
	b.keys(kb.Enter)
	b.see("already")
	if js[string](b, "document.querySelector('[role=alert]').parentElement.tagName + "+
		"document.activeElement.textContent") != "FORMSave the secret" {
		t.Errorf("the focus is on %q", js[string](b, "document.activeElement.textContent"))
	}
	js[bool](b, "leaving = true")

	// A page that takes another's place takes the focus to its heading.
	b.open(org + "/tokens/new")
	b.typeIn("#description", "scripts")
	b.keys(kb.Enter)
	b.until("document.activeElement.tagName === 'H1' && document.activeElement.textContent === 'Your new token'")

	s.end()
	js[bool](b, "connection.ask(), true")
	b.hears("The server cannot be reached")
	s.start(t)
	b.hears("The server is there again")
}

// TestOutline checks on every page that there is one heading of the first level, no level is left out, each field has a
// name, and the title names the page.
func TestOutline(t *testing.T) {
	b := openTab(t, startServer(t))
	pages := stage(b)
	titles := make(map[string]string)
	for name, path := range pages {
		b.open(path)
		if wrong := js[string](b, `(() => { let last = 0;
			for (const h of document.querySelectorAll('main h1, main h2, main h3')) { const n = Number(h.tagName[1]); if (n > last + 1) return h.textContent; last = n; }
			return document.querySelectorAll('main h1').length === 1 ? '' : document.querySelectorAll('main h1').length + ' headings of the first level'; })()`); wrong != "" {
			t.Errorf("%s: the headings: %s", name, wrong)
		}
		if bare := js[string](b,
			`[...document.querySelectorAll('input:not([type=hidden]), select, textarea')].filter((f) => !f.labels?.length && !f.ariaLabel).map((f) => f.id || f.name).join(' ')`); bare != "" {
			t.Errorf("%s: fields without a name: %s", name, bare)
		}
		if other, ok := titles[js[string](b, "document.title")]; ok && path != pages[other] &&
			name != "activity-none" && other != "activity-none" && name != "missing" {
			t.Errorf("%s and %s have the title %s", name, other, js[string](b, "document.title"))
		}
		titles[js[string](b, "document.title")] = name
	}
}

// TestReader goes through the pages as somebody who may only read: nothing is offered that is refused.
func TestReader(t *testing.T) {
	s := startServer(t)
	b := openTab(t, s)
	pages := stage(b)
	hers := openTab(t, s)
	hers.open("/signin")
	hers.typeIn("#username", "grace")
	hers.typeIn("#password", password)
	hers.click("main .button")
	hers.see("change nothing")
	for _, name := range []string{"secrets", "secret-versions", "secrets-deleted", "tokens", "members", "org", "orgs",
		"store", "preferences"} {
		hers.open(pages[name])
		for _, link := range js[[]string](hers, "[...document.querySelectorAll('nav a, main a, header "+
			"a')].map((a) => a.href)") {
			if status := js[int](hers, fmt.Sprintf("fetch(%q).then((a) => a.status)", link)); status >= 400 {
				t.Errorf("%s leads to %s, which is answered %d", name, link, status)
			}
		}
		if forms := js[string](hers, "[...document.querySelectorAll('main form[method=post]')].filter((f) => "+
			"f.querySelector('button:not(.copy, .quiet)')).map((f) => f.getAttribute('action')).filter((a) => "+
			"!a.startsWith('/preferences')).join(' ')"); forms != "" {
			t.Errorf("%s offers %s", name, forms)
		}
	}
	for _, path := range []string{"/activity", pages["names-hostile"]} {
		hers.open(path)
		hers.see("Not allowed")
	}
}

// scripted runs a script before each page's own.
func (b *tab) scripted(source string) {
	b.Helper()
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source})
}
