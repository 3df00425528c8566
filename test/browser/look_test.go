package browser

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// shots is where the pictures go.
const shots = "../../build/screenshots"

// stage fills a server with something to look at, and gives the paths of its pages.
func stage(b *tab) map[string]string {
	b.Helper()
	org := b.setUp()
	pages := map[string]string{"secrets-empty": org + "/secrets"}
	b.open(org + "/secrets/import")
	b.typeIn("#value", "db/password=1\ndb/user=2\nslack-webhook=3\nS3_ACCESS_KEY=4\ngrafana/admin/password=5\n"+
		"a-very-long-name/that-somebody-thought-up/to-keep-everything-in-one-place/and-which-does-not-end/at-all-it-seems/production/eu-west-1=6\n")
	b.click("button[value=import]")
	b.see("6 secrets added")
	b.add(org, "pager/routing-key", "hunter2")
	b.typeIn("#value", "hunter3")
	b.click("form[action$='/secret'] .button")
	b.until("document.querySelector('#versions')?.innerText.includes('Version 2')")
	b.click("#about summary")
	b.typeIn("#description", "Rings whoever is on call. A new one comes from the pager's page, under Integrations.")
	js[bool](b, "document.querySelector('#expires').value = '2026-01-31'; true")
	b.click("#about form .button")
	b.see("The description is saved.")
	b.add(org, "old/webhook", "4")
	b.add(org, "older/webhook-of-a-service-with-a-rather-long-name", "5")
	b.open(org + "/secrets/delete?key=old%2Fwebhook&key=older%2Fwebhook-of-a-service-with-a-rather-long-name")
	b.click("main .button.bad")
	b.see("2 secrets deleted")

	b.open(org + "/tokens/new")
	b.typeIn("#description", "nightly backup on db1")
	b.typeIn("#names", "db/*")
	b.click("main form .button")
	b.see("Your new token")
	b.click("a[data-leave].button")
	b.see("Secrets that it reaches now")
	pages["token"] = js[string](b, "location.pathname")
	b.open("/users")
	b.typeIn("#name", "grace")
	b.typeIn("#password", password)
	b.click("main section .button")
	b.see("grace can sign in now")
	grace := js[string](b, "[...document.querySelectorAll('#people a')].find((a) => a.textContent === "+
		"'grace').pathname")
	b.open(org + "/members")
	b.typeIn("#user", "grace")
	b.click("main section .button")
	b.see("grace is a member now")
	for name, path := range map[string]string{
		"secrets": "/secrets", "secret-new": "/secrets/new", "import": "/secrets/import",
		"secret": "/secret?key=db%2Fpassword", "secret-long": "/secret?key=" +
			"a-very-long-name/that-somebody-thought-up/to-keep-everything-in-one-place/and-which-does-not-end/at-all-it-seems/production/eu-west-1",
		"secret-versions": "/secret?key=pager%2Frouting-key",
		"secret-restore":  "/secret/restore?key=pager%2Frouting-key&version=1", "secrets-deleted": "/secrets/deleted",
		"secret-delete": "/secrets/delete?key=db%2Fpassword", "secret-who": "/secret/who?key=db%2Fpassword",
		"secret-deleted": "/secret?key=old%2Fwebhook", "tokens": "/tokens", "token-new": "/tokens/new",
		"members": "/members", "org": "", "org-delete": "/delete",
		"secret-copy": "/secret/copy?key=db%2Fpassword", "compare": "/compare", "org-activity": "/activity",
	} {
		pages[name] = org + path
	}
	delete(pages, "secrets-empty")
	b.open("/orgs")
	b.typeIn("#name", "A house with a long name, Limited Liability Company & Sons of 1899, Registered in Zürich")
	b.click("main section .button")
	b.see("No secret yet")
	odd := js[string](b, "location.pathname.replace('/secrets', '')")
	b.importNames(odd, hostileNames)
	pages["names-hostile"] = odd + "/secrets"
	pages["secret-hostile"] = odd + "/secret?key=" + url.QueryEscape(hostileNames[len(hostileNames)-1])
	pages["tokens-none"] = odd + "/tokens"
	pages["members-long"] = odd + "/members"
	b.open(org + "/secrets") // the organisation that other pages stand in
	for name, path := range map[string]string{"orgs": "/orgs", "users": "/users", "user": grace,
		"due": "/due", "docs": "/docs", "doc": "/docs/web", "activity": "/activity", "store": "/store", "preferences": "/preferences", "missing": "/nothing-here",
		"activity-none": "/activity?actor=nobody"} {
		pages[name] = path
	}
	return pages
}

var (
	themes = []string{"light", "dark"}
	widths = []int64{360, 768, 1440}
)

// wear sets the system's theme and the window's width.
func (b *tab) wear(theme string, width int64) {
	b.Helper()
	b.run(chromedp.EmulateViewport(width, 900))
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: theme},
		{Name: "prefers-reduced-motion", Value: "reduce"}, // or else a picture shows colours on their way to others
	}})
}

// readAxe gives axe-core, which npm fetches once a run.
func readAxe(t *testing.T) string {
	t.Helper()
	axe, err := axeCore()
	check(t, err)
	return axe
}

var axeCore = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund",
		"--prefer-offline").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("axe-core is missing: %w (install Node.js, with npm)\n%s", err, out)
	}
	axe, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	return string(axe), err
})

// lookAt examines the page that is open at each width, and in the other theme at the narrowest and the widest: all depends on
// the style sheet alone, in which a theme changes colours and a width does not.
func (b *tab) lookAt(name, axe string) {
	b.Helper()
	for i, theme := range themes {
		for j, width := range widths {
			if i > 0 && 0 < j && j < len(widths)-1 {
				continue
			}
			b.wear(theme, width)
			b.examine(fmt.Sprintf("%s-%s-%d", name, theme, width), axe, i > 0)
		}
	}
}

// statesOf are what pages look like once something was done on them, and how each is reached.
func statesOf(b *tab, pages map[string]string) map[string]func() {
	return map[string]func(){
		"state-delete-dialog": func() {
			b.open(pages["secret"])
			b.click("#more summary")
			b.click("#more .bad")
			b.until("document.querySelector('#ask').open")
		},
		"state-delete-several-dialog": func() {
			b.open(pages["names-hostile"])
			b.click("#all")
			b.click("#delete")
			b.until("document.querySelector('#ask').open")
		},
		"state-org-dialog": func() {
			b.open(pages["org"])
			b.click("main .button.bad")
			b.until("document.querySelector('#ask').open")
		},
		"state-revoke-dialog": func() {
			b.open(pages["tokens"])
			b.click("main .button.bad")
			b.until("document.querySelector('#ask').open")
		},
		"state-remove-dialog": func() {
			b.open(pages["members"])
			b.click("main .button.bad")
			b.until("document.querySelector('#ask').open")
		},
		"state-taken": func() { // without JavaScript, or after it
			b.open(pages["secret"])
			b.typeIn("#value", "x")
			js[bool](b, "document.querySelector('form[action$=\"/secret\"] [name=key]').value = 'is-gone'; true")
			b.click("form[action$='/secret'] .button")
			b.see("was deleted or renamed meanwhile")
		},
		"state-describe": func() {
			b.open(pages["secret-versions"])
			b.click("#about summary")
		},
		"state-restore-dialog": func() {
			b.open(pages["secret-versions"])
			b.click("#versions a.button")
			b.until("document.querySelector('#ask').open")
		},
		"state-refused": func() {
			b.open(pages["secret-new"])
			b.typeIn("#key", "db/password")
			b.typeIn("#value", "not hidden well\nenough")
			b.click("main form .button")
			b.see("already")
		},
		"state-preview": func() {
			b.open(pages["import"])
			b.typeIn("#value", "db/password=1\nnew-one=2")
			b.click("button[value=look]")
			b.see("2 names found")
		},
		"state-selected": func() {
			b.open(pages["secrets"])
			b.click("#names li:nth-child(2) input")
			b.click("#names li:nth-child(3) input")
			b.see("Delete 2 selected")
		},
		"state-token": func() {
			b.open(pages["token-new"])
			b.click("[value=secrets]") // another state's draft may be there
			b.typeIn("#description", "for a look")
			b.click("main form .button")
			b.see("Your new token")
		},
		"state-chosen": func() {
			b.open(pages["token-new"])
			b.click("[value=chosen]")
		},
		"state-unreachable": func() {
			b.open(pages["secret"])
			// or else it heals while it is looked at
			js[bool](b, "connection.ask = () => connection.gone(); connection.gone(); true")
		},
		"state-changed": func() { // by another tab
			b.open(pages["secret"])
			js[bool](b, "tabs.onmessage({ data: area(location.pathname) }); true")
			b.see("Something was changed here in another tab.")
		},
		"state-back": func() {
			b.open(pages["secret"])
			js[bool](b, "connection.gone(); connection.back(); clearTimeout(connection.timer); true")
		},
		"state-empty": func() {
			b.open("/orgs")
			b.typeIn("#name", "Empty")
			b.click("main section .button")
			b.see("No secret yet")
		},
		"state-palette": func() {
			b.wear("light", 1440)
			b.open(pages["secrets"])
			b.click("#palette-open")
			b.typeIn("#palette input", "db")
			b.see("db/user")
		},
		"state-keys": func() {
			b.open(pages["secrets"])
			js[bool](b, "document.querySelector('#keys').showModal(); true")
		},
		"state-more": func() {
			b.open(pages["secret"])
			b.click("#more summary")
		},
		"state-session": func() {
			b.open(pages["secret-new"])
			js[bool](b, "document.querySelector('#session').showModal(); true")
		},
	}
}

// TestLook lets axe-core look at every page at each width in each theme, and checks that nothing is wider than the
// window. It keeps pictures where STRONGROOM_PICTURES is set. It is the longest of all, and so in parts that run side by side.
func TestLook(t *testing.T) {
	t.Parallel()
	axe := readAxe(t)
	for _, part := range []string{"even", "odd"} {
		t.Run(part, func(t *testing.T) {
			b := openTab(t, startServer(t))
			pages := stage(b)
			eachOf(part, pages, func(name, path string) {
				b.open(path)
				b.lookAt(name, axe)
			})
			eachOf(part, statesOf(b, pages), func(name string, reach func()) {
				b.wear("light", 1440)
				reach()
				b.lookAt(name, axe)
				js[bool](b, "leaving = true")
			})
		})
	}
	t.Run("many", func(t *testing.T) { lookAtMany(t, axe) })
}

// eachOf calls f with every second one, by name: the even ones, or the odd.
func eachOf[T any](part string, all map[string]T, f func(name string, one T)) {
	for i, name := range slices.Sorted(maps.Keys(all)) {
		if (i%2 == 0) == (part == "even") {
			f(name, all[name])
		}
	}
}

// lookAtMany looks at what a server shows before it is set up, with 10,000 names, and to who is not signed in.
func lookAtMany(t *testing.T, axe string) {
	b := openTab(t, startServer(t))
	look := func(name, path string) {
		b.open(path)
		b.lookAt(name, axe)
		b.wear("light", 1440)
	}
	look("setup", "/setup")
	names := b.setUp() + "/secrets"
	b.importNames(strings.TrimSuffix(names, "/secrets"), tenThousand())
	look("names-many", names)
	for _, state := range []struct{ name, search, see string }{
		{"state-folders", "", "50 of 2,500 shown"},
		{"state-found", "0042", "found"},
		{"state-found-none", "nothing of the kind", "None matches"},
	} {
		b.open(names)
		if state.search != "" {
			b.typeIn("#q", state.search)
		}
		b.see(state.see)
		b.lookAt(state.name, axe)
		b.wear("light", 1440)
	}
	// 10,000 secrets take some seconds to be sealed anew. The page is kept as it is at the beginning.
	b.open("/store")
	b.click("#seal .button")
	b.until("document.querySelector('#seal[data-refresh]') && (renew($$('#seal')), /going on: [0-9]+ of " +
		"[1-9]/.test(document.querySelector('#seal').innerText))")
	js[bool](b, "window.renew = async () => {}; true")
	b.lookAt("state-rotating", axe)
	b.open("/preferences")
	b.click("header .me button")
	b.at("/signin")
	look("signin", "/signin")
}

// examine looks for what is wrong, without the rules whose findings are mild, and keeps a picture if STRONGROOM_PICTURES is set. In another theme, colours alone are
// other ones: where colours says so, axe-core asks about nothing else.
func (b *tab) examine(name, axe string, colours bool) {
	b.Helper()
	if os.Getenv("STRONGROOM_PICTURES") != "" {
		picture := chromedp.FullScreenshot(100)
		if js[bool](b, "!!document.querySelector('dialog[open]')") { // which covers the window, not the page
			picture = chromedp.CaptureScreenshot()
		}
		png, err := chromedp.Run(b.ctx, picture)
		check(b.T, err)
		check(b.T, os.MkdirAll(shots, 0o755))
		check(b.T, os.WriteFile(filepath.Join(shots, name+".png"), png, 0o644))
	}
	if over := js[string](b,
		`[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.closest('.menu, pre, svg, .vh, .sideways > *') && getComputedStyle(e).visibility !== 'hidden')
		.map((e) => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 30)).slice(0, 3).join('; ')`); over != "" {
		b.Errorf("%s: wider than the window: %s", name, over)
	}
	if wide := js[int](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide > 0 {
		b.Errorf("%s: the page can be moved sideways by %d px", name, wide)
	}
	if !js[bool](b, "'axe' in window") {
		js[bool](b, axe+"; true")
	}
	only := ", rules: Object.fromEntries(axe.getRules().map((r) => r.ruleId)" +
		".filter((id) => ['minor', 'moderate'].includes(axe._audit.rules.find((r) => r.id === id)?.impact))" +
		".map((id) => [id, {enabled: false}]))"
	if colours {
		only = ", runOnly: ['color-contrast', 'link-in-text-block']"
	}
	for _, f := range js[[]string](b,
		`axe.run(document, {resultTypes: ['violations'], preload: false, elementRef: false`+only+`}).then((r) => r.violations.filter((v) => ['serious', 'critical'].includes(v.impact))
		.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.target.join(' ') + ': ' + n.failureSummary)))`) {
		b.Errorf("%s: %s", name, strings.ReplaceAll(f, "\n", " "))
	}
	if v := js[[]string](b, "window.cspViolations"); len(v) > 0 {
		b.Errorf("%s: the CSP was violated: %v", name, v)
	}
}
