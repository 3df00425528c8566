package browser

import (
	"testing"
)

// TestTokenAndItsActivity follows the links from a secret to a token that gets it, to what that token did, and
// renews it.
func TestTokenAndItsActivity(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.add(org, "db/password", secretValue)
	b.open(org + "/secret?key=db%2Fpassword")
	b.click("#use .hint a")
	b.until("document.querySelector('#names')?.value === 'db/password' && document.querySelector('[name=use]').checked")
	b.typeIn("#description", "agent of db")
	b.click("main form .button")
	b.see("Your new token")
	b.click(".token .copy")
	b.click("a[data-leave].button")
	b.see("Secrets that it reaches now")
	b.see("It gets the values of 1")
	b.open(org + "/secret/who?key=db%2Fpassword")
	b.click("#tokens .token-link") // the newest that gets the value
	b.see("agent of db")
	b.click(".head .button")
	b.see("It may do what the old one may: use secrets named db/password.")
	b.click("main form .button")
	b.see("The old token works still")
	b.click("a[data-leave]:not(.button)")
	b.see("Revoke…")
	b.typeIn("#description", "the old agent")
	b.click("form[data-keep] .button")
	b.see("Saved.")
	b.open(org + "/tokens?q=old+agent")
	b.until("document.querySelectorAll('.tokens li').length === 1")
	b.open(org + "/activity?action=all&prefix=db/")
	b.see("set db/password")
	if file := js[string](b, "fetch(document.querySelector('a[download]').href).then((a) => a.text())"); len(file) < 100 {
		t.Errorf("the file has %q", file)
	}
	b.hides(secretValue)
}
