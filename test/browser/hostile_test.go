package browser

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// hostileNames are names that the API takes and that a page or a shell could trip over.
var hostileNames = []string{
	`quotes "double" 'single' ` + "`back`", `</script><script>window.hacked=1</script>`,
	`<img src=x onerror=window.hacked=1>`, "..", "a/../b", "%2F", "%00", " spaces around ", "?q=1#part&key=other",
	`\back\slash`, `${HOME} $(touch /tmp/hacked)`, "constructor", "שם/סוד", "\u202etxt.gnp", "🔑/schlüssel", "Case",
	"case", "{{.Page}}", strings.Repeat("long/", 204) + "last",
}

// fill sets the server up with secrets, and gives the organisation's path.
func (b *tab) fill(names []string) string {
	b.Helper()
	org := b.setUp()
	b.importNames(org, names)
	return org
}

// importNames makes secrets of an organisation by the import's page.
func (b *tab) importNames(org string, names []string) {
	b.Helper()
	object := make(map[string]string)
	for _, n := range names {
		object[n] = "x"
	}
	text, err := json.Marshal(object)
	check(b.T, err)
	b.open(org + "/secrets/import")
	js[bool](b, fmt.Sprintf("document.querySelector('#value').value = %s; true", quoted(string(text))))
	b.click("button[value=import]")
	b.see("secrets added")
}

// quoted writes a text for JavaScript.
func quoted(s string) string {
	b, _ := json.Marshal(s) // strings always encode
	return string(b)
}

// TestHostileNames follows each name's link from the list, as the script and as the server made it, and deletes by it.
func TestHostileNames(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.fill(hostileNames)
	for _, name := range hostileNames {
		b.open(org + "/secrets")
		link := "[...document.querySelectorAll('#names a')].find((a) => a.textContent === " + quoted(name) + ")"
		fromServer := js[string](b, link+"?.href ?? ''")
		js[bool](b, "document.querySelector('#q').dispatchEvent(new Event('input')), true")
		if made := js[string](b, link+"?.href ?? ''"); sameKey(made) != name || sameKey(fromServer) != name {
			t.Errorf("%q: the server's link is %s, the script's %s", name, fromServer, made)
			continue
		}
		js[bool](b, link+".click(), true")
		b.until("document.querySelector('h1.mono')?.textContent === " + quoted(name))
		if hacked := js[bool](b, "'hacked' in window"); hacked {
			t.Errorf("%q ran as a script", name)
		}
		if wide := js[bool](b, "document.documentElement.scrollWidth > document.documentElement.clientWidth"); wide {
			t.Errorf("%q makes the page wider than the window", name)
		}
	}
	b.open(org + "/secrets")
	b.typeIn("#q", "CASE")
	b.see("2 found")
	b.click("#all")
	b.click("#delete")
	b.see("Delete 2 secrets?")
	b.click("#ask .button.bad")
	b.see("2 secrets deleted.")
	for _, name := range []string{"..", "%2F", "a/../b", " spaces around "} {
		b.open(org + "/secret?key=" + url.QueryEscape(name))
		b.click("#more summary")
		b.click("#more .bad")
		b.click("#ask .button.bad")
		b.see("is deleted.")
	}
	b.see(fmt.Sprintf("%d secrets in", len(hostileNames)-6))
}

func sameKey(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	return u.Query().Get("key")
}

// TestCopiedCurlRuns pastes what the page copies into a shell.
func TestCopiedCurlRuns(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.fill(hostileNames)
	b.open(org + "/tokens/new")
	b.typeIn("#description", "scripts")
	b.click("[name=write]")
	b.click("main form .button")
	b.see("Your new token")
	token := js[string](b, "document.querySelector('.token code').textContent")
	for _, name := range hostileNames {
		b.open(org + "/secret?key=" + url.QueryEscape(name))
		b.click("details:has([aria-label='Copy the curl call']) summary")
		b.click("[aria-label='Copy the curl call']")
		b.until("window.copied?.startsWith('curl ')")
		shell := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(js[string](b, "window.copied"), "curl ",
			"curl --silent --fail-with-body ", 1))
		shell.Env = append(os.Environ(), "INFLUX_TOKEN="+token)
		if out, err := shell.CombinedOutput(); err != nil {
			t.Errorf("%q: the call that is copied fails: %v %s\n%s", name, err, out, js[string](b, "window.copied"))
			continue
		}
		b.open(org + "/secret?key=" + url.QueryEscape(name))
		b.see("Version 2")
		b.click("[aria-label='Copy the name']")
		b.until("window.copied === " + quoted(name))
	}
	if _, err := os.Stat("/tmp/hacked"); err == nil {
		t.Error("a name ran as a command")
	}
}

// TestPastesRun runs what a new token's page says to paste.
func TestPastesRun(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.add(org, "db/password", secretValue)
	b.open(org + "/tokens/new")
	b.typeIn("#description", "agent")
	b.click("[name=use]")
	b.click("main form .button")
	b.see("Your new token")
	token := js[string](b, "document.querySelector('.token code').textContent")
	texts := js[[]string](b, "[...document.querySelectorAll('#pastes pre code')].map((c) => c.textContent)")
	i := slices.IndexFunc(texts, func(s string) bool { return strings.HasPrefix(s, "curl ") })
	if i < 0 || !strings.HasPrefix(texts[0], "read ") {
		t.Fatalf("the page says to paste %q", texts)
	}
	shell := exec.CommandContext(t.Context(), "bash", "-c", texts[0]+"\n"+strings.Replace(texts[i], "curl ", "curl --silent --fail-with-body ", 1)+
		"\necho \"$INFLUX_HOST $INFLUX_ORG_ID\"")
	shell.Stdin = strings.NewReader(token + "\n")
	out, err := shell.Output()
	if err != nil || !strings.Contains(string(out), secretValue) ||
		!strings.HasSuffix(string(out), b.srv.url+" "+strings.TrimPrefix(org, "/orgs/")+"\n") {
		t.Errorf("what is pasted gives %q, %v", out, err)
	}
}

// TestDeletingTenThousand chooses all names there are and deletes them by one question.
func TestDeletingTenThousand(t *testing.T) {
	b := openTab(t, startServer(t))
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprintf("service-%05d/password", i)
	}
	org := b.fill(names)
	b.open(org + "/secrets")
	b.click("#all")
	b.see("Delete 10,000 selected")
	b.click("#delete")
	b.see("Delete 10,000 secrets?")
	b.see("and 9,980 more")
	b.click("#ask .button.bad")
	b.see("10,000 secrets deleted.")
	b.see("No secret yet")
}

func TestTooLargeFile(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	for _, path := range []string{"/secrets/new", "/secrets/import"} {
		b.open(org + path)
		if path == "/secrets/new" {
			b.typeIn("#key", "large")
		}
		js[bool](b,
			`(() => { const d = new DataTransfer(); d.items.add(new File([new Uint8Array(40 << 20)], 'large.bin'));
			document.querySelector('main form').dispatchEvent(new DragEvent('drop', { dataTransfer: d, bubbles: true, cancelable: true })); return true; })()`)
		b.until("document.querySelector('#file').files.length === 1")
		b.click("main form .row .button:last-of-type")
		b.see("That is 40.0 MiB, and larger than the 4.0 MiB that one request may have.")
		b.until("document.querySelector('#connection').hidden")
		js[bool](b, "leaving = true")
	}
}

// TestDrafts: a description that is being edited is there after a reload, of its own secret alone, and does not
// overwrite what another tab saved meanwhile.
func TestDrafts(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.fill([]string{"one", "two"})
	page := org + "/secret?key=one"
	b.open(page)
	b.click("#about summary")
	b.typeIn("#description", "rings whoever is on call")
	b.typeIn("#value", secretValue)
	js[bool](b, "leaving = true")
	b.run(chromedp.Reload())
	b.see("Not saved yet: what you had typed here.")
	b.until("document.querySelector('#description').value === 'rings whoever is on call' && " +
		"document.querySelector('#description').checkVisibility()")
	b.hides(secretValue)

	other := b.another()
	other.open(org + "/secret?key=two")
	if js[string](other, "document.querySelector('#description').value") != "" {
		t.Error("the draft of one secret is that of another")
	}
	other.open(page)
	other.click("#about summary")
	other.typeIn("#description", "theirs")
	other.click("#about form .button")
	other.see("The description is saved.")

	b.run(chromedp.Reload())
	b.see("Not saved yet")
	b.click("#about form p .button")
	b.see("somebody changed the description")
	b.click(".draft .link")
	b.until("!document.querySelector('.draft') && document.querySelector('#description').value === 'theirs'")
	b.run(chromedp.Reload())
	b.until("document.readyState === 'complete' && !document.querySelector('.draft')")

	b.click("#about summary")
	b.typeIn("#description", "mine")
	b.click("header .me button")
	b.at("/signin")
	if kept := js[string](b, "JSON.stringify({...sessionStorage})"); kept != "{}" {
		t.Errorf("after signing out the browser keeps %s", kept)
	}
}

// TestPreviewIsOfWhatStandsThere: a preview goes when what it was of is changed.
func TestPreviewIsOfWhatStandsThere(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.open(org + "/secrets/import")
	b.typeIn("#value", "A=1")
	b.click("button[value=look]")
	b.see("1 name found")
	b.click("[name=existing][value=keep]")
	b.until("!document.querySelector('#preview').textContent.trim()")
	b.click("button[value=look]")
	b.see("1 name found")
	b.run(chromedp.SendKeys(chromedp.CSS("#value"), "\nB=2"))
	b.until("!document.querySelector('#preview').textContent.trim()")
}
