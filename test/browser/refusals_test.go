package browser

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"

	"strongroom/internal/kv/etcd/etcdtest"
)

// api makes a request of the API with the operator's session, and gives the answer.
func (b *tab) api(method, path, body string) string {
	b.Helper()
	answer := js[string](b, fmt.Sprintf(`(async () => {
		await fetch('/api/v2/signin', { method: 'POST', headers: { Authorization: 'Basic ' + btoa(%q) } });
		const answer = await fetch('/api/v2' + %q, { method: %q, body: %q || undefined });
		return answer.status + ' ' + await answer.text();
	})()`, operator+":"+password, path, method, body))
	if !strings.HasPrefix(answer, "2") {
		b.Fatalf("%s %s: %s", method, path, answer)
	}
	return answer[4:]
}

// user makes a user with the usual password and a role in the organisation, and gives their ID.
func (b *tab) user(org, name, role string) string {
	b.Helper()
	var u struct{ ID string }
	check(b.T, json.Unmarshal([]byte(b.api("POST", "/users", `{"name":`+quoted(name)+`}`)), &u))
	b.api("POST", "/users/"+u.ID+"/password", `{"password":`+quoted(password)+`}`)
	b.api("POST", org+"/"+role+"s", `{"id":"`+u.ID+`"}`)
	return u.ID
}

func (b *tab) signIn(name string) {
	b.Helper()
	b.open("/signin")
	b.typeIn("#username", name)
	b.typeIn("#password", password)
	b.click("main .button")
	b.until("location.pathname !== '/signin'")
}

// endSessions has the browser's session end, as it does by itself or where somebody ends it.
func (b *tab) endSessions() {
	b.Helper()
	call(b, network.ClearBrowserCookies, cdp.Empty{})
}

// TestFullOrganisation passes an organisation's quota in each form: the page says in its own words what is too much, and
// where to look.
func TestFullOrganisation(t *testing.T) {
	b := openTab(t, startServer(t, "--max-org-secrets=1", "--max-org-bytes=2000"))
	org := b.setUp()
	b.add(org, "one", "x")
	const full = "This organisation may have 1 secret, and this would make 2. Nothing was changed."
	b.open(org + "/secrets/new")
	b.typeIn("#key", "two")
	b.typeIn("#value", secretValue)
	b.click("main form .button")
	b.see(full)
	b.until(fmt.Sprintf("document.querySelector('#value').value === %q", secretValue))
	js[bool](b, "leaving = true")
	b.click("main .note.bad a")
	b.see("1 of 1 secret")
	b.open(org + "/secret/copy?key=one")
	b.typeIn("#to", "two")
	b.click("button[value=copy]")
	b.see(full)
	b.open(org + "/secret?key=one")
	js[bool](b, "document.querySelector('#value').value = 'x'.repeat(3000), true")
	b.click("form[action$='/secret'] .button")
	b.see("may take 2.0 KiB, and this would make")
	js[bool](b, "leaving = true")
}

// TestRoomIsMade: where deleted secrets and earlier versions take the room, the refusal leads to where that is told, and
// from there to where room can be made; then what was refused is saved.
func TestRoomIsMade(t *testing.T) {
	b := openTab(t, startServer(t, "--max-org-bytes=12000"))
	org := b.setUp()
	large := strings.Repeat("x", 2000)
	b.add(org, "deleted", large)
	b.open(org + "/secrets/delete?key=deleted")
	b.click("main .button.bad")
	b.see("is deleted")
	b.add(org, "db/password", large)
	refused := func() bool {
		b.open(org + "/secret?key=db%2Fpassword")
		b.typeIn("#value", large)
		b.click("form[action$='/secret'] .button")
		b.until("document.querySelector('main form .note.bad, #note')")
		return js[bool](b, "!document.querySelector('#note')")
	}
	for n := 0; !refused(); n++ {
		if n == 10 {
			t.Fatal("it is never full")
		}
	}
	b.see("Earlier versions and deleted secrets take room, too, until they are deleted for good")
	js[bool](b, "leaving = true")
	b.click("main form .note.bad a")
	b.see("1 deleted secret takes room as long as it can be restored.")
	b.see("These secrets have the most of them")
	b.click("#room a[href$='/secrets/deleted']")
	b.see("Until then it takes room.")
	b.click("button[value=remove-all], .deleted input")
	b.click("button[value=remove][data-chosen]")
	b.see("Delete this secret for good?")
	b.click("#ask .button.bad")
	b.see("“deleted” is deleted for good.")
	b.open(org)
	b.click("#room .list a")
	b.see("Replace the value")
	b.click("a[href$='version=earlier']")
	b.see("The current value of “db/password” stays.")
	b.click("#ask .button.bad")
	b.see("destroyed.")
	if refused() {
		t.Error("there is no room after all")
	}
}

// TestNotAllowedInPlainWords: who may not do something is told so, and what to do, and sees no question that they could
// not answer.
func TestNotAllowedInPlainWords(t *testing.T) {
	s := startServer(t)
	b := openTab(t, s)
	org := b.setUp()
	b.add(org, "db/password", "x")
	b.add(org, "db/password2", "x")
	rita, grace := b.user(org, "rita", "member"), b.user(org, "grace", "owner")
	b.open(org + "/tokens")
	token := js[string](b, "document.querySelector('.token-link').pathname")
	hers := openTab(t, s)
	hers.signIn("rita")
	for _, path := range []string{org + "/delete", org + "/secrets/delete?key=db%2Fpassword",
		org + "/members/" + grace + "/remove", org + "/secret/restore?key=db%2Fpassword&version=1", token + "/delete",
		"/users/" + rita + "/delete", org + "/secrets/new", org + "/activity"} {
		hers.open(path)
		hers.see("Not allowed")
		hers.see("You may not see or change this.")
		if js[bool](hers, "!!document.querySelector('main form')") {
			t.Errorf("%s asks who may not answer", path)
		}
		hers.hides("is unauthorized")
	}
	owner := openTab(t, s)
	owner.signIn("grace")
	for what, do := range map[string]func(){
		"You may not see or change this.": func() { b.api("DELETE", org+"/owners/"+grace, "") },
		"Your account is disabled":        func() { b.api("PATCH", "/users/"+grace, `{"status":"inactive"}`) },
	} {
		b.open("/orgs")
		owner.open(org + "/secret?key=db%2Fpassword")
		owner.typeIn("#value", secretValue)
		do()
		owner.click("form[action$='/secret'] .button")
		owner.see(what)
		owner.until(fmt.Sprintf("document.querySelector('#value').value === %q", secretValue))
		js[bool](owner, "leaving = true")
		b.api("PATCH", "/users/"+grace, `{"status":"active"}`)
		b.api("POST", org+"/owners", `{"id":"`+grace+`"}`)
	}
}

// TestEtcdGoes takes etcd away under pages that are looked at: the store's page says so by itself, and when it is back.
func TestEtcdGoes(t *testing.T) {
	c := etcdtest.Start(t, 1)
	b := openTab(t, startServer(t, "--store=etcd", "--etcd-endpoints="+strings.Join(c.Endpoints(), ",")))
	org := b.setUp()
	b.add(org, "db/password", "x")
	form := b.another()
	form.open(org + "/secret?key=db%2Fpassword")
	form.typeIn("#value", secretValue)
	b.open("/store")
	b.see("Embedded store in etcd is healthy")
	c.Members[0].Kill()
	b.see("Embedded store in etcd cannot serve")
	b.see("etcd does not serve")
	form.click("form[action$='/secret'] .button")
	form.see("out of reach")
	form.until(fmt.Sprintf("document.querySelector('#value').value === %q", secretValue))
	start := form.another()
	start.open("/")
	start.see("out of reach")
	start.see("Your session is kept")
	c.Members[0].Restart(t)
	start.see("db/password") // by itself, without a sign-in
	b.see("Embedded store in etcd is healthy")
	form.click("form[action$='/secret'] .button")
	form.see("The value is saved")
}
