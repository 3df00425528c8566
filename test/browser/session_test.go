package browser

import "testing"

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
