package browser

import (
	"fmt"
	"strings"
	"testing"
)

// TestRowsOfLargeActs: what was done with 3,000 names at once is shown with each of them, and with no other name.
func TestRowsOfLargeActs(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.add(org, "other", "x")
	b.importNames(org, tenThousand()[:3000])
	last := tenThousand()[2999]
	for name, rows := range map[string]int{"other": 1, last: 1} {
		b.open(org + "/secret?key=" + name)
		b.see("All activity of this secret")
		said := js[[]string](b, "[...document.querySelectorAll('#activity li')].filter((li) => "+
			"!li.innerText.includes('may include')).map((li) => li.innerText)")
		if len(said) != rows {
			t.Errorf("%s: %q, want %d rows", name, said, rows)
		}
	}
}

// TestOwnersSeeTheirActivity: an owner finds the activity of the organisation in the menu, and nothing of another one in it,
// also as a file.
func TestOwnersSeeTheirActivity(t *testing.T) {
	s := startServer(t)
	b := openTab(t, s)
	org := b.setUp()
	b.add(org, "db/password", "x")
	b.user(org, "grace", "owner")
	b.open("/orgs")
	b.typeIn("#name", "Elsewhere")
	b.click("main section .button")
	b.see("No secret yet")
	b.add(js[string](b, "location.pathname.replace('/secrets', '')"), "elsewhere/password", "x")
	hers := openTab(t, s)
	hers.signIn("grace")
	hers.click("nav a[href$='/activity']")
	hers.see("set db/password")
	for _, format := range []string{"CSV", "JSON lines"} {
		file := js[string](hers, fmt.Sprintf("fetch([...document.querySelectorAll('a[download]')].find((a) => "+
			"a.textContent.includes(%q)).href).then((a) => a.text())", format))
		if !strings.Contains(file, "db/password") || strings.Contains(file, "elsewhere") {
			t.Errorf("the file of %s: %s", format, file)
		}
	}
	hers.hides("elsewhere/password")
}

// TestTokensThatEnd: a token that ends soon is found, and renewed with what it may do.
func TestTokensThatEnd(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.open(org + "/tokens/new")
	b.typeIn("#description", "nightly backup")
	b.typeIn("#names", "db/*")
	js[bool](b, "document.querySelector('#days').value = '7', true")
	b.click("main form .button")
	b.see("Your new token")
	b.click("a[data-leave].button")
	b.until("document.readyState === 'complete' && !document.querySelector('a[data-leave]')")
	b.open(org + "/tokens")
	js[bool](b, "document.querySelector('[name=ending]').value = '1', true")
	b.click("form[role=search] .button")
	b.until("location.search.includes('ending=1') && document.readyState === 'complete'")
	b.see("ends soon")
	if n := js[int](b, "document.querySelectorAll('.token-link').length"); n != 1 {
		t.Errorf("%d tokens end soon", n)
	}
	b.click(".token-link")
	b.see("Secrets that it reaches now")
	b.click("main .head .button") // Renew…
	b.see("Renew a token")
	b.click("main form .button")
	b.see("Your new token")
	b.see("db/*")
	b.click("a[data-leave].button")
}

// TestRestoringAll deletes many secrets and restores them by one button, or by Undo.
func TestRestoringAll(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.fill(tenThousand()[:417])
	for _, way := range []string{"#note .button, #note form .link", "button[name=all]"} {
		b.open(org + "/secrets")
		b.click("#all")
		b.click("#delete")
		b.see("Delete 417 secrets?")
		b.click("#ask .button.bad")
		b.see("417 secrets deleted.")
		if way == "button[name=all]" {
			b.open(org + "/secrets/deleted")
		}
		b.click(way)
		b.see("417 secrets in")
	}
}
