package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// secretValue is what must never lie about.
const secretValue = "hunter2-do-not-show"

func TestAddingIsRefusedAndKeepsWhatWasTyped(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.add(org, "db/password", "first")
	b.open(org + "/secrets/new")
	b.typeIn("#key", "db/password")
	b.typeIn("#value", secretValue)
	b.click("main form .button")
	b.see("already; choose “replace it”, or another name")
	b.until(fmt.Sprintf("document.querySelector('#value').value === %q && document.querySelector('#key').value === "+
		"'db/password'", secretValue))
	b.click("[name=replace]")
	b.click("main form .button")
	b.see("The value is saved")
	b.hides(secretValue)
}

// hides checks that a text is nowhere in what the browser keeps: the page's source, its address,
// the storage, the history.
func (b *tab) hides(text string) {
	b.Helper()
	for place, expression := range map[string]string{
		"the page":    "document.documentElement.outerHTML",
		"a field":     "[...document.querySelectorAll('input, textarea')].map((f) => f.value).join(' ')",
		"the storage": "JSON.stringify({...sessionStorage}) + JSON.stringify({...localStorage}) + document.cookie",
		"the other kinds": "(async () => JSON.stringify(await indexedDB.databases()) + JSON.stringify(await " +
			"caches.keys()))()",
	} {
		if strings.Contains(js[string](b, expression), text) {
			b.Errorf("%s holds the value", place)
		}
	}
	h, err := chromedp.Run(b.ctx, chromedp.NavigationEntries())
	check(b.T, err)
	for _, e := range h.Entries {
		if strings.Contains(e.URL+e.Title, text) {
			b.Errorf("the history holds the value: %s", e.URL)
		}
	}
}

func TestBackAndReload(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.open(org + "/secrets/new")
	b.typeIn("#key", "smtp/password")
	b.typeIn("#value", secretValue)
	// A reload asks, because the value would be lost; the name is still there after it.
	b.run(chromedp.Reload())
	b.until("document.readyState === 'complete' && document.querySelector('#key').value === 'smtp/password'")
	b.mu.Lock()
	asked := len(b.dialogs)
	b.mu.Unlock()
	if asked != 1 {
		t.Errorf("the browser asked %d times before it left the page, want once", asked)
	}
	b.hides(secretValue)
	b.typeIn("#value", secretValue)
	b.click("main form .button")
	b.see("The value is saved")
	b.run(chromedp.NavigateBack())
	b.at(org + "/secrets/new")
	b.hides(secretValue)
	if v := js[string](b, "document.querySelector('#key').value"); v != "" {
		t.Errorf("the draft of a form that was saved is still there: %q", v)
	}
}

func TestMaskedAndRevealed(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.open(org + "/secrets/new")
	mask := "getComputedStyle(document.querySelector('#value')).webkitTextSecurity"
	if m := js[string](b, mask); m != "disc" {
		t.Errorf("the value is shown while it is typed (%s)", m)
	}
	b.click(".reveal")
	b.until(mask + " === 'none'")
	b.typeIn("#key", "lines")
	b.run(chromedp.SendKeys(chromedp.CSS("#value"), "one\ntwo\n"))
	b.click("main form .button")
	b.see("The value is saved (8 bytes)")
}

func TestFiles(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	file := filepath.Join(t.TempDir(), "key.pem")
	check(t, os.WriteFile(file, []byte("-----BEGIN-----\r\nabc\r\n-----END-----\r\n"), 0o600))
	b.open(org + "/secrets/new")
	b.typeIn("#key", "tls/key")
	b.run(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}))
	b.until("document.querySelector('#value').disabled")
	b.click("[data-nofile]")
	b.until("!document.querySelector('#value').disabled")
	// The same by dropping it.
	js[bool](b, `(() => { const d = new DataTransfer(); d.items.add(new File(['dropped\r\n'], 'dropped.txt'));
		document.querySelector('main form').dispatchEvent(new DragEvent('drop', { dataTransfer: d, bubbles: true, cancelable: true })); return true; })()`)
	b.until("document.querySelector('#value').disabled && document.querySelector('#file').files[0].name === " +
		"'dropped.txt'")
	b.click("main form .button")
	b.see("The value is saved (9 bytes)")
}

// TestLargePaste: a long line that is pasted becomes a file, for a field would stand still with it at each key. It
// arrives as it was; what is short stays in the field.
func TestLargePaste(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.open(org + "/secrets/new")
	b.typeIn("#key", "large")
	paste := func(text string) bool { // false where the page has taken it itself
		return js[bool](b, `(() => { const d = new DataTransfer(); d.setData('text/plain', `+text+`);
			return document.querySelector('#value').dispatchEvent(new ClipboardEvent('paste', { clipboardData: d, bubbles: true, cancelable: true })); })()`)
	}
	if !paste("'short'") {
		t.Error("a short text is not left to the browser")
	}
	if paste("'x'.repeat(500 * 1024 - 1) + '\\n'") {
		t.Error("a long line is left to the field")
	}
	b.until("document.querySelector('#value').disabled && !document.querySelector('#value').value")
	b.click("main form .button")
	b.see("The value is saved (500.0 KiB)")
	b.run(chromedp.NavigateBack())
	b.at(org + "/secrets/new")
	b.until("!document.querySelector('#value').disabled && !document.querySelector('#file').files.length")
}

// TestGeneratedValue makes a value by a button and saves it by Ctrl and Enter, under a name with a
// character that nobody sees.
func TestGeneratedValue(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	values := map[string]bool{}
	for _, key := range []string{"'a\\u200bb'", "'ab'"} {
		b.open(org + "/secrets/new")
		js[bool](b, "document.querySelector('#key').value = "+key+"; true")
		b.click("[data-generate]")
		b.until("document.querySelector('#value').value.length === 43")
		values[js[string](b, "document.querySelector('#value').value")] = true
		js[bool](b,
			`document.querySelector('#value').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', ctrlKey: true, bubbles: true, cancelable: true })), true`)
		b.see("The value is saved (43 bytes)")
	}
	if len(values) != 2 {
		t.Error("the same value was generated twice")
	}
	b.open(org + "/secrets")
	b.see("has U+200B")
	js[bool](b, "document.querySelector('#q').value = 'b', document.querySelector('#q').dispatchEvent(new "+
		"Event('input')), true")
	b.see("2 found")
	if n := js[int](b, "document.querySelectorAll('#names .unseen').length"); n != 1 {
		t.Errorf("%d names are said to have a character that nobody sees", n)
	}
}

func TestImport(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.add(org, "OLD", "1")
	b.open(org + "/secrets/import")
	b.typeIn("#value", "OLD="+secretValue+"\nbroken")
	b.click("button[value=look]")
	b.see("line 2 has no =")
	b.typeIn("#value", "OLD="+secretValue+"\nNEW=2\n")
	b.click("button[value=look]")
	b.see("2 names found: 1 new, 1 there already")
	if strings.Contains(js[string](b, "document.documentElement.outerHTML"), secretValue) {
		t.Error("the preview holds a value")
	}
	b.click("[name=existing][value=keep]")
	b.click("button[value=import]")
	b.see("1 secret added; 1 of these names were there")
	b.hides(secretValue)
}

func TestListOfTenThousand(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.open(org + "/secrets/import")
	js[bool](b,
		`document.querySelector('#value').value = Array.from({length: 10000}, (_, i) => 'service-' + String(i).padStart(5, '0') + '/password=x').join('\n'); true`)
	b.click("button[value=import]")
	b.see("10,000 secrets added")
	b.see("50 of 10,000 shown")

	b.typeIn("#q", "00999")
	b.see("1 found")
	b.until("document.querySelectorAll('#names li').length === 1")
	b.click("#names input")
	b.typeIn("#q", "0100")
	b.see("11 found")
	b.click("#all")
	b.see("Delete 12 selected…")
	b.typeIn("#q", "nothing has this")
	b.see("None matches")
	js[bool](b, "document.querySelector('#q').value = ''; document.querySelector('#q').dispatchEvent(new "+
		"Event('input')); true")
	b.see("50 of 10,000 shown")
	b.run(chromedp.SetJavascriptAttribute(chromedp.CSS("#sort"), "value", "down"))
	js[bool](b, "document.querySelector('#sort').dispatchEvent(new Event('change')); true")
	b.until("document.querySelector('#names a').textContent === 'service-09999/password'")
	b.click("#more button")
	b.see("100 of 10,000 shown")
	b.click("#delete")
	b.see("Delete 12 secrets?")
	b.click("#ask [data-close]")
	b.see("Delete 12 selected…")
	b.click("#delete")
	b.click("#ask .button.bad")
	b.see("12 secrets deleted.")
	b.see("9,988 secrets in")

	// Not asserted: machines differ. The project's aim is 300 ms.
	b.open("/preferences")
	b.open(org + "/secrets")
	took := js[float64](b,
		`new Promise((done) => { const q = document.querySelector('#q'); q.value = '00777'; q.dispatchEvent(new Event('input'));
		const look = () => document.querySelectorAll('#names li').length === 1 ? done(performance.now()) : setTimeout(look, 5); look(); })`)
	t.Logf("load event after %.0f ms; a list of 9,988 names is there and has been searched %.0f ms after the "+
		"navigation began (the test's own delay included)",
		js[float64](b, "performance.getEntriesByType('navigation')[0].loadEventEnd"), took)
}

func TestCopying(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	key := `odd "${name}" \`
	b.add(org, key, "x")
	b.open(org + "/secrets")
	b.click("[data-copy-name]")
	b.until(fmt.Sprintf("window.copied === %q", key))
	b.click("[data-copy-flux]")
	flux := `secrets.get(key: "odd \"\${name}\" \\")`
	b.until(fmt.Sprintf("window.copied === %q", flux))
	b.click("#names a")
	b.click("details:has([aria-label='Copy: Flux']) summary")
	b.see(flux)
	b.click("details:has([aria-label='Copy the curl call']) summary")
	b.click("[aria-label='Copy the curl call']")
	b.until("window.copied.includes('--data @-') && window.copied.includes(location.host)")
}

func TestSessionEndsInMidEdit(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.open(org + "/secrets/new")
	b.typeIn("#key", "mid-edit")
	b.typeIn("#value", secretValue)
	call(b, network.ClearBrowserCookies, cdp.Empty{})
	b.click("main form .button")
	b.see("Your session has ended")
	b.typeIn("#session-password", "not the password")
	b.click("#session .button")
	b.see("rong name or password")
	b.typeIn("#session-password", password)
	b.click("#session .button")
	b.see("The value is saved (19 bytes)")
	b.hides(secretValue)
}

func TestRestartInMidEdit(t *testing.T) {
	s := startServer(t)
	b := openTab(t, s)
	org := b.setUp()
	b.open(org + "/secrets/new")
	b.typeIn("#key", "mid-edit")
	b.typeIn("#value", secretValue)
	s.end()
	b.click("main form .button")
	b.see("The server cannot be reached, so this may not have been saved")
	b.until("!document.querySelector('#connection').hidden")
	s.start(t)
	b.see("The server is there again")
	b.click("main form .button")
	b.see("The value is saved (19 bytes)")
}

func TestTwoTabs(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.add(org, "shared", "1")
	b.open(org + "/secrets")
	other := b.another()
	other.open(org + "/secret?key=shared")
	other.typeIn("#value", secretValue)

	b.click("#names input")
	b.click("#delete")
	b.click("#ask .button.bad")
	b.see("“shared” is deleted.")
	other.see("Something was changed here in another tab")
	other.click("form[action$='/secret'] .button")
	other.see("was deleted or renamed meanwhile")
	other.until(fmt.Sprintf("document.querySelector('#value').value === %q", secretValue))
	other.click("form[action$='/secret'] [name=replace]")
	other.click("form[action$='/secret'] .button")
	other.see("The value is saved")
	b.see("Something was changed here in another tab")
	b.click("#changed a")
	b.see("1 secret in")
}

func TestKeyboardAlone(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.open(org + "/secrets")
	b.keys(kb.Tab)
	if s := js[string](b, "document.activeElement.textContent"); s != "Skip to the content" {
		t.Errorf("the first stop is %q", s)
	}
	b.keys(kb.Enter)
	b.tabTo("Add the first secret")
	b.keys(kb.Enter)
	b.at(org + "/secrets/new")
	b.until("document.activeElement.id === 'key'")
	b.keys("by-keyboard")
	b.keys(kb.Tab)
	b.keys(secretValue)
	b.tabTo("Save the secret")
	b.keys(kb.Enter)
	b.see("The value is saved")
	b.tabTo("More")
	b.keys(kb.Enter)
	b.tabTo("Delete the secret…")
	b.keys(kb.Enter)
	b.see("Delete this secret?")
	b.until("document.querySelector('#ask').contains(document.activeElement)")
	b.keys(kb.Escape)
	b.until("!document.querySelector('#ask').open && document.activeElement.textContent.startsWith('Delete " +
		"the secret')")
	b.open(org + "/secrets")
	b.keys("/")
	b.until("document.activeElement.id === 'q'")
	// The protocol sends the character apart from the key, so that the page cannot keep it out as
	// it does with a real key.
	js[bool](b, "document.querySelector('#q').value = ''; true")
	b.keys("by-key")
	b.see("1 found")
	b.run(chromedp.Focus(chromedp.CSS("#names input")))
	b.keys(" ")
	b.tabTo("Delete 1 selected…")
	b.keys(kb.Enter)
	b.see("Delete this secret?")
	b.tabTo("Delete the secret")
	b.keys(kb.Enter)
	b.see("No secret yet")
	b.tabTo("Sign out")
	b.keys(kb.Enter)
	b.at("/signin")
	b.keys(operator + kb.Tab + password + kb.Enter)
	b.see("No secret yet")
}

// tabTo presses Tab, or Shift and Tab, until something with the text has the focus.
func (b *tab) tabTo(text string) {
	b.Helper()
	for range 60 {
		if js[bool](b, fmt.Sprintf("document.activeElement.textContent.trim() === %q", text)) {
			if !js[bool](b, "getComputedStyle(document.activeElement).outlineStyle !== 'none'") {
				b.Errorf("the focus on %q does not show", text)
			}
			return
		}
		b.keys(kb.Tab)
	}
	b.Fatalf("the keyboard does not reach %q\n%s", text, b.shown())
}

func TestWithoutJavaScript(t *testing.T) {
	s := startServer(t)
	b := openTab(t, s)
	b.plain()
	org := b.setUp()
	if js[bool](b, "matchMedia('(scripting: enabled)').matches") {
		t.Fatal("scripts are still on")
	}
	b.open(org + "/secrets/new")
	if hint := js[string](b, "document.querySelector('#value-hint').innerText"); strings.Contains(hint, "dropped") {
		t.Errorf("it tells of what takes JavaScript: %s", hint)
	}
	b.typeIn("#key", "plain")
	b.typeIn("#value", "")
	b.click("main form .button")
	b.see("the value is empty")
	b.until("document.querySelector('#key').value === 'plain'")
	b.typeIn("#value", secretValue)
	b.click("main form .button")
	b.see("The value is saved")
	b.click("#more summary")
	b.click("#more .bad")
	b.see("can be restored for 7 days")
	b.click("main .button.bad")
	b.see("“plain” is deleted.")
	b.open(org + "/secrets/deleted")
	b.click("main .list .button")
	b.see("“plain” is restored")
	b.open(org + "/tokens/new")
	b.typeIn("#description", "plain")
	b.click("main form .button")
	b.see("shown this once")
	b.click("header .me button")
	b.at("/signin")
	b.see("You are signed out.")
}

// plain switches the pages' scripts off.
func (b *tab) plain() {
	b.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}
