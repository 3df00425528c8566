package browser

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestSessionsAreShownAndEnded ends a session of one's own in another browser, from where it is seen.
func TestSessionsAreShownAndEnded(t *testing.T) {
	s := startServer(t)
	b := openTab(t, s)
	b.setUp()
	other := openTab(t, s)
	other.open("/signin")
	other.typeIn("#username", operator)
	other.typeIn("#password", password)
	other.click("main .button")
	other.see("No secret yet")
	b.open("/preferences")
	b.see("127.0.0.1")
	b.see("this one")
	if n := js[int](b, "document.querySelectorAll('#sessions li').length"); n != 2 {
		t.Errorf("%d sessions are shown", n)
	}
	b.click("#sessions button")
	b.see("The session is ended.")
	other.open("/orgs")
	other.see("Your session has ended.")
	b.open("/orgs")
	b.see("Organisations")
}

// TestQuestionWithoutSession asks for a question after the session has ended: who asks signs in within the page, and what
// was typed in it is still there.
func TestQuestionWithoutSession(t *testing.T) {
	s := startServer(t)
	b := openTab(t, s)
	org := b.setUp()
	b.add(org, "db/password", "x")
	b.open(org + "/secret?key=db/password")
	b.typeIn("#value", secretValue)
	b.endSessions()
	b.click("#more summary")
	b.click("#more .bad")
	b.until("document.querySelector('#session').open")
	b.typeIn("#session-password", password)
	b.click("#session .button")
	b.see("Delete this secret?")
	b.click("#ask [data-close]")
	b.until(fmt.Sprintf("document.querySelector('#value').value === %q", secretValue))
	js[bool](b, "leaving = true")
}

// TestSignInSaysWhereTo: a link into the pages tells who is not signed in where it leads, before and after a wrong password.
func TestSignInSaysWhereTo(t *testing.T) {
	s := startServer(t)
	b := openTab(t, s)
	org := b.setUp()
	b.add(org, "db/password", "x")
	other := openTab(t, s)
	for path, where := range map[string]string{
		"/secret?key=db/password": "It leads on to a secret.", "/secrets?q=db": "It leads on to the list of secrets.",
		"/secret?key=%3Cb%3Ex": "It leads on to a secret.",
	} {
		other.open(org + path)
		other.see(where)
	}
	other.open("/")
	if js[bool](other, "document.body.innerText.includes('leads on')") {
		t.Error("the sign-in leads on to nothing in particular, and says where")
	}
	other.open(org + "/secret?key=db/password")
	other.typeIn("#username", operator)
	other.typeIn("#password", "wrong")
	call(other, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	other.run(chromedp.Click(chromedp.CSS("main .button")))
	call(other, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{})
	other.see("Wrong name or password")
	other.see("It leads on to a secret.")
	other.typeIn("#password", password)
	other.run(chromedp.Click(chromedp.CSS("main .button")))
	other.see("Replace the value")
}

// TestLostSessionWithoutJavaScript has a session end while a form is filled in, with the scripts off. Chromium keeps
// nothing of the form behind the sign-in, so the page promises nothing of it.
func TestLostSessionWithoutJavaScript(t *testing.T) {
	b := openTab(t, startServer(t))
	b.plain()
	org := b.setUp()
	b.open(org + "/secrets/new")
	b.typeIn("#key", "typed")
	b.typeIn("#value", secretValue)
	b.endSessions()
	b.click("main form .button")
	b.see("what you sent was not saved. Sign in, and fill in the form again")
	b.typeIn("#username", operator)
	b.typeIn("#password", password)
	b.click("main form .button")
	b.see("No secret yet")
	b.add(org, "typed", secretValue)
}
