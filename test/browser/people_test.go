package browser

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestSignInAndOut(t *testing.T) {
	s := startServer(t)
	b := openTab(t, s)
	org := b.setUp()
	b.click("header .me button")
	b.at("/signin")
	b.see("You are signed out.")
	b.open(org + "/secrets")
	b.until("location.pathname === '/signin'")
	b.typeIn("#username", operator)
	b.typeIn("#password", "not the password")
	b.click("main .button")
	b.see("rong name or password")
	b.until(fmt.Sprintf("document.querySelector('#username').value === %q", operator))
	for range 12 {
		b.typeIn("#password", "not the password")
		b.click("main .button")
		b.until("!document.querySelector('main form').ariaBusy")
	}
	b.see("too many failed sign-ins; try again in")
	b.run(chromedp.Reload())
	b.hides("not the password")
}

func TestTokens(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.open(org + "/tokens/new")
	b.typeIn("#description", "nightly backup")
	b.click("[name=read]") // off: nothing is left that it may do
	b.click("main form .button")
	b.see("choose at least one thing")
	b.until("document.querySelector('#description').value === 'nightly backup'")
	// What is typed outlives a reload.
	b.run(chromedp.Reload())
	b.until("document.readyState === 'complete' && document.querySelector('#description').value === 'nightly backup' " +
		"&& !document.querySelector('[name=read]').checked")
	b.click("[value=chosen]")
	b.until("!document.querySelector('.of-secrets').checkVisibility()")
	b.click("[value='read:buckets']")
	b.click("main form .button")
	b.see("Your new token")
	token := js[string](b, "document.querySelector('.token code').textContent")
	b.click(".token .copy")
	b.until(fmt.Sprintf("window.copied === %q", token))
	b.see("read buckets")
	b.click("main a.button")
	b.see("nightly backup")
	b.hides(token)
	b.run(chromedp.NavigateBack())
	b.until("document.readyState === 'complete' && !location.pathname.endsWith('/tokens')")
	b.hides(token)
	b.open(org + "/tokens")
	row := "[...document.querySelectorAll('.tokens li')].find((li) => li.textContent.includes('nightly backup'))"
	js[bool](b, row+".querySelector('form button').click(), true")
	b.see("it is refused from now on")
	js[bool](b, row+".querySelector('form button').click(), true")
	b.see("The token works again")
	js[bool](b, row+".querySelector('a.bad').click(), true")
	b.see("Revoke this token?")
	b.see("You can undo that for ten minutes")
	b.click("#ask .button.bad")
	b.see("The token is revoked")
	b.until("!(" + row + ")")
	b.click("#note form button")
	b.see("The token is restored, and works again")
	b.see("nightly backup")
}

// TestTokenIsNotLostUnawares: the browser asks before it leaves a new token that nobody has copied.
func TestTokenIsNotLostUnawares(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	asked := func() int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.dialogs)
	}
	before := asked()
	for i, copied := range []bool{false, true} {
		b.open(org + "/tokens/new")
		b.typeIn("#description", "nightly backup")
		b.click("main form .button")
		b.see("Your new token")
		if copied {
			b.click(".token .copy")
			b.see("Copied")
		}
		b.run(chromedp.Reload())
		b.until("document.readyState === 'complete' && document.querySelector('#description')")
		if n := asked() - before; n != 1 {
			t.Errorf("after %d tokens the browser has asked %d times, want once", i+1, n)
		}
	}
}

func TestPeople(t *testing.T) {
	s := startServer(t)
	b := openTab(t, s)
	org := b.setUp()
	b.open("/users")
	b.typeIn("#name", "grace")
	b.typeIn("#password", "a")
	// The browser's own check is in the way of the server's.
	js[bool](b, "document.querySelector('main section form').noValidate = true")
	b.click("main section .button")
	b.see("between 8 and 72 bytes")
	b.until("document.querySelector('#name').value === 'grace'")
	b.typeIn("#password", password)
	b.click("main section .button")
	b.see("grace can sign in now")

	b.open(org + "/members")
	b.typeIn("#user", "nobody")
	b.click("main section .button")
	b.see("there is no user named")
	b.typeIn("#user", "grace")
	b.click("main section .button")
	b.see("grace is a member now")

	hers := openTab(t, s)
	hers.open("/signin")
	hers.typeIn("#username", "grace")
	hers.typeIn("#password", password)
	hers.click("main .button")
	hers.see("No secret yet")
	hers.see("change nothing")
	hers.open("/activity")
	hers.see("Not allowed")

	row := "[...document.querySelectorAll('.list li')].find((li) => li.textContent.includes('grace'))"
	js[bool](b, row+".querySelector('form button').click(), true")
	b.see("grace is an owner now")
	hers.open(org + "/secrets")
	hers.see("Add the first secret")
	js[bool](b, row+".querySelector('a.bad').click(), true")
	b.see("They can be added again at any time")
	b.click("#ask .button.bad")
	b.see("grace is removed")
	hers.open(org + "/secrets")
	hers.see("Not allowed")
	b.click("#note form button") // Undo
	b.see("grace is an owner now")
	hers.open(org + "/secrets")
	hers.see("Add the first secret")

	b.open("/users")
	js[bool](b, "[...document.querySelectorAll('#people a')].find((a) => a.textContent === 'grace').click(), true")
	b.see("The password was set just now")
}

func TestAccounts(t *testing.T) {
	s := startServer(t)
	b := openTab(t, s)
	b.setUp()
	b.open("/users")
	b.typeIn("#name", "grace")
	b.typeIn("#password", password)
	b.click("main section .button")
	b.see("grace can sign in now")
	js[bool](b, "[...document.querySelectorAll('#people a')].find((a) => a.textContent === 'grace').click(), true")
	b.until("document.querySelector('h1')?.textContent === 'grace'")
	b.typeIn("#name", "Grace Hopper")
	b.click("main section .button")
	b.see("Saved.")
	b.typeIn("#password", password+" 2")
	b.click("form[action$='/password'] .button")
	b.see("all their sessions are ended")
	b.click("section.danger button")
	b.see("cannot sign in any more")
	b.click("section.danger a.bad")
	b.see("Delete the user “Grace Hopper”?")
	b.click("#ask .button.bad")
	b.see("is deleted")

	b.open("/preferences")
	b.typeIn("#old", password)
	b.typeIn("#password", password+" 3")
	b.typeIn("#again", password+" 4")
	b.click("form[action$='/password'] .button")
	b.see("the two new passwords are not the same")
	b.typeIn("#again", password+" 3")
	b.click("form[action$='/password'] .button")
	b.see("Your password is changed")
	b.hides(password + " 3")
}

func TestTheme(t *testing.T) {
	b := openTab(t, startServer(t))
	b.setUp()
	background := "getComputedStyle(document.documentElement).backgroundColor"
	b.wear("light", 1440)
	b.open("/preferences")
	light := js[string](b, background)
	b.click("[name=theme][value=dark]")
	b.click("form[action='/preferences'] .button")
	b.see("Saved.")
	if dark := js[string](b, background); dark == light {
		t.Errorf("the dark page is %s, as the light one", dark)
	}
	b.click("[name=theme][value='']")
	b.click("form[action='/preferences'] .button")
	b.until(background + " === '" + light + "'")
	b.wear("dark", 1440)
	b.until(background + " !== '" + light + "'")
}

func TestOrganisations(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.open("/orgs")
	b.typeIn("#name", acme)
	b.typeIn("#description", "the second")
	b.click("main section .button")
	b.see("already exists")
	b.typeIn("#name", "Second")
	b.click("main section .button")
	b.see("The organisation “Second” is made")
	b.add(js[string](b, "location.pathname.replace('/secrets', '')"), "only-here", "x")
	b.open("/orgs")
	b.typeIn("#q", "sec")
	b.see("1 found")
	b.click("#orgs li:not([hidden]) a")
	b.see("only-here")
	b.open(org)
	b.typeIn("#description", "robots")
	b.click("main form .button")
	b.see("Saved.")
	b.click("section.danger a")
	b.see("None of this can be undone")
	b.typeIn("#typed", "acme")
	b.click("#ask .button.bad")
	b.see("type the name of the organisation")
	b.typeIn("#typed", acme)
	b.click("#ask .button.bad")
	b.see("is deleted, and all that was in it")
}

func TestActivityAndStore(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.add(org, "db/password", secretValue)
	b.open("/activity")
	b.see("set db/password in " + acme)
	b.run(chromedp.SetJavascriptAttribute(chromedp.CSS("#action"), "value", "secrets"))
	b.typeIn("#key", "db/password")
	b.click("main form .button")
	b.until("new URLSearchParams(location.search).get('key') === 'db/password'")
	b.see("set db/password in " + acme)
	b.typeIn("#actor", "nobody")
	b.click("main form .button")
	b.see("No act matches all of these filters")
	b.hides(secretValue)

	b.open("/store")
	b.see("is healthy")
	b.click("#seal .button")
	b.see("Term 2 has begun")
	b.see("all data are of the current term")
}
