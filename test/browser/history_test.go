package browser

import (
	"strings"
	"testing"

	"strongroom/internal/secret/vault/vaulttest"
)

// TestRestoringAndBringingBack replaces a value, restores the first one, deletes the secret and brings it back.
func TestRestoringAndBringingBack(t *testing.T) { restoreAndBringBack(t, startServer(t)) }

// TestRestoringInVault does the same where each secret is an entry of Vault's.
func TestRestoringInVault(t *testing.T) {
	v := vaulttest.Shared(t)
	restoreAndBringBack(t, startServer(t, "--secret-store=vault", "--vault-addr="+v.Address,
		"--vault-token="+v.RootToken, "--vault-mount="+v.MountKV(t), "--vault-layout=secret"))
}

func restoreAndBringBack(t *testing.T, s *server) {
	b := openTab(t, s)
	org := b.setUp()
	b.add(org, "db/password", secretValue+"1")
	page := org + "/secret?key=db%2Fpassword"
	b.typeIn("#value", secretValue+"2")
	b.click("form[action$='/secret'] .button")
	b.until("document.querySelector('#versions')?.innerText.includes('Version 2')")
	b.hides(secretValue)

	// The dialog asks, and Cancel changes nothing.
	b.click("#versions a.button")
	b.see("Restore version 1?")
	b.see("stays in the list as version 2")
	b.click("#ask [data-close]")
	b.until("!document.querySelector('#ask').open && " +
		"!document.querySelector('#versions').innerText.includes('Version 3')")
	b.click("#versions a.button")
	b.until("document.querySelector('#ask').open")
	b.click("#ask button.button")
	b.see("The value of version 1 is the current one again.")
	b.see("Version 3")
	b.hides(secretValue)

	// A description that another tab has changed is not overwritten unknowingly, and what was typed stays.
	other := b.another()
	other.open(page)
	other.click("#about summary")
	other.typeIn("#description", "from the other tab")
	other.click("#about form .button")
	other.see("The description is saved.")
	b.click("#about summary")
	b.typeIn("#description", "mine")
	b.click("#about form .button")
	b.see("somebody changed the description")
	b.until("document.querySelector('#description').value === 'mine'")
	b.click("#about [name=replace]")
	b.click("#about form .button")
	b.see("The description is saved.")
	b.until("document.querySelector('#about .text')?.innerText === 'mine'")

	b.click("#more summary")
	b.click("#more .bad")
	b.see("can be restored for 7 days")
	b.click("#ask .button.bad")
	b.see("“db/password” is deleted.")
	b.open(org + "/secrets/deleted")
	b.see("gone for good")
	b.click("main .list .button")
	b.see("is restored, with the value that it had")
	b.see("Version 3")
	b.hides(secretValue)
	if strings.Contains(js[string](b, "document.body.innerText"), "somebody") {
		t.Error("the page does not know who set the value")
	}
}
