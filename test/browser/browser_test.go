// Package browser tests the pages in a real Chromium, against the real program. It holds tests alone.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"strongroom/internal/influxd"
	"strongroom/internal/influxd/command"
	"strongroom/internal/porttest"
)

// limit bounds one test's time in the browser, so that a page that never comes fails and does not hang.
const limit = 10 * time.Minute

// patience bounds one wait.
const patience = time.Minute

// The first user, whom every test starts with.
const (
	operator = "ada"
	password = "correct horse battery"
	acme     = "Acme Robotics"
)

var chromium struct {
	once sync.Once
	ctx  context.Context
	err  error
	stop func()
}

// findChromium starts one browser for all tests. A missing one fails them: a skipped test is no test.
func findChromium() {
	path, err := exec.LookPath("chromium")
	if err != nil {
		chromium.err = fmt.Errorf("the browser tests need Chromium; install it (Debian: apt-get install chromium): %w",
			err)
		return
	}
	profile, err := os.MkdirTemp("", "strongroom-browser")
	if err != nil {
		chromium.err = err
		return
	}
	flags := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.Headless,
		chromedp.NoSandbox, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.DisableGPU}
	for _, f := range []string{"disable-quic", "disable-background-networking", "disable-component-update",
		"disable-sync", "disable-default-apps", "disable-extensions", "metrics-recording-only", "disable-dev-shm-usage",
		"hide-scrollbars"} {
		flags = append(flags, chromedp.Flag(f, true))
	}
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, stop := chromedp.NewContext(alloc)
	chromium.ctx = ctx
	chromium.stop = func() {
		stop()
		stopAlloc()
		os.RemoveAll(profile)
	}
	chromium.err = chromedp.Do(ctx)
}

func TestMain(m *testing.M) {
	code := m.Run()
	if chromium.stop != nil {
		chromium.stop()
	}
	os.Exit(code)
}

// server is the real program with its data in a folder, on an address that it keeps over restarts.
type server struct {
	url, dir string
	flags    []string
	end      func()
}

// startServer starts one for a test, which from then on runs beside others: most of its time it waits for the browser.
func startServer(t *testing.T, flags ...string) *server {
	t.Helper()
	t.Parallel()
	s := &server{dir: t.TempDir(), flags: flags}
	s.url = "http://" + porttest.Address(t)
	s.start(t)
	t.Cleanup(func() { s.end() })
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	listening, ended := make(chan string, 1), make(chan error, 1)
	var out strings.Builder
	go func() {
		ended <- influxd.Run(ctx, command.Process{
			Args: append([]string{"--http-bind-address", strings.TrimPrefix(s.url, "http://"), "--bolt-path",
				filepath.Join(s.dir, "influxd.bolt"), "--log-level", "error", "--shutdown-timeout", "2s"}, s.flags...),
			Env: []string{"HOME=" + s.dir}, Stdout: &out, Stderr: os.Stderr, Listening: func(url string) {
				listening <- url
			},
		})
	}()
	select {
	case <-listening:
	case err := <-ended:
		cancel()
		t.Fatalf("the server ended: %v", err)
	}
	s.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with: %v", err)
		}
	})
}

// tab is one tab of the browser, in a context of its own: other tests' cookies are not in it.
type tab struct {
	*testing.T
	ctx context.Context
	srv *server

	mu      sync.Mutex
	wrong   []string // what the CSP and the page's own errors reported
	dialogs []string // the kinds of the browser's own dialogs that opened
}

// openTab opens an incognito tab.
func openTab(t *testing.T, s *server) *tab {
	t.Helper()
	chromium.once.Do(findChromium)
	if chromium.err != nil {
		t.Fatal(chromium.err)
	}
	ctx, cancel := chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	return newTab(t, s, ctx)
}

// another opens a second tab with the same cookies.
func (b *tab) another() *tab {
	b.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.Cleanup(cancel)
	return newTab(b.T, b.srv, ctx)
}

func newTab(t *testing.T, s *server, ctx context.Context) *tab {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, limit)
	t.Cleanup(cancel)
	b := &tab{T: t, ctx: ctx, srv: s}
	check(t, chromedp.Listen(ctx, b.listen))
	call(b, log.Enable, cdp.Empty{})
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watcher})
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, w := range b.wrong {
			t.Error(w)
		}
	})
	return b
}

// watcher runs before each page's own scripts, outside the page's CSP.
const watcher = `window.cspViolations = [];
document.addEventListener('securitypolicyviolation', (e) => window.cspViolations.push(e.violatedDirective + ' ' + e.blockedURI));
if (navigator.clipboard) navigator.clipboard.writeText = async (t) => { window.copied = t; };`

// listen keeps what the browser finds wrong, and agrees to leave a page.
func (b *tab) listen(ev any) {
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		text := ev.ExceptionDetails.Text
		if e := ev.ExceptionDetails.Exception; e != nil {
			text += " " + e.Description
		}
		b.report("exception: " + text)
	case *log.EventEntryAdded:
		// A failed request is shown here too, and some tests cause them.
		if ev.Entry.Source == log.EntrySourceSecurity || strings.Contains(ev.Entry.Text, "Content Security Policy") {
			b.report("CSP: " + ev.Entry.Text)
		}
	case *page.EventJavascriptDialogOpening:
		b.mu.Lock()
		b.dialogs = append(b.dialogs, string(ev.Type))
		b.mu.Unlock()
		go func() {
			_, _ = chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		}()
	}
}

func (b *tab) report(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = append(b.wrong, what)
}

// call runs a command of the browser's protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.Fatal(err)
	}
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.Fatalf("%v\nthe page: %s", err, b.shown())
	}
}

// shown is what the page says, for failures.
func (b *tab) shown() string {
	s, err := chromedp.Run(b.ctx,
		chromedp.Evaluate[string](`location.href + '\n' + document.body.innerText.slice(0, 1500)`))
	if err != nil {
		return err.Error()
	}
	return s
}

func (b *tab) open(path string) {
	b.Helper()
	b.run(chromedp.Navigate(b.srv.url + path))
}

// js evaluates an expression in the page, and waits for a promise.
func js[T any](b *tab, expression string) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("%s: %v\nthe page: %s", expression, err, b.shown())
	}
	return v
}

// until waits for an expression to be true, over navigations.
func (b *tab) until(expression string) {
	b.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("!!("+expression+")")); err == nil && ok {
			return
		}
	}
	b.Fatalf("it never became true: %s\nthe page: %s", expression, b.shown())
}

// see waits until the page shows a text, in whichever case the style sheet gives it.
func (b *tab) see(text string) {
	b.Helper()
	b.until(fmt.Sprintf("document.body?.innerText.toLowerCase().includes(%q)", strings.ToLower(text)))
}

// at waits until the browser is at a path and the page has been loaded.
func (b *tab) at(path string) {
	b.Helper()
	b.until(fmt.Sprintf("location.pathname + location.search === %q && document.readyState === 'complete'", path))
}

// click clicks with the mouse, once what is to be clicked stands still: a click goes to a place, and misses what moves.
func (b *tab) click(selector string) {
	b.Helper()
	b.until(fmt.Sprintf(`document.querySelector(%q)?.checkVisibility()`, selector))
	place := fmt.Sprintf("JSON.stringify(document.querySelector(%q)?.getBoundingClientRect() ?? 0)", selector)
	for before := ""; ; time.Sleep(30 * time.Millisecond) {
		now := js[string](b, place)
		if now == before {
			break
		}
		before = now
	}
	b.run(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

func (b *tab) typeIn(selector, text string) {
	b.Helper()
	b.until(fmt.Sprintf(`document.querySelector(%q)?.checkVisibility()`, selector))
	js[bool](b, fmt.Sprintf(`document.querySelector(%q).value = ''; true`, selector))
	if len(text) > 20 { // three messages a key: a long text is put in at once, as a paste or another keyboard does
		js[bool](b, fmt.Sprintf(`document.querySelector(%q).focus(), true`, selector))
		call(b, input.InsertText, input.InsertTextParams{Text: text})
		return
	}
	b.run(chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (b *tab) keys(text string) {
	b.Helper()
	b.run(chromedp.KeyEvent(text))
}

// setUp sets the server up by its page and gives the organisation's path.
func (b *tab) setUp() string {
	b.Helper()
	b.open("/")
	b.at("/setup")
	b.typeIn("#username", operator)
	b.typeIn("#password", password)
	b.typeIn("#again", password)
	b.typeIn("#org", acme)
	b.click("main .button")
	b.see("is ready")
	b.click("main a.button")
	b.until("location.pathname.endsWith('/secrets') && document.readyState === 'complete'")
	return strings.TrimSuffix(js[string](b, "location.pathname"), "/secrets")
}

// add makes a secret by its page.
func (b *tab) add(org, key, value string) {
	b.Helper()
	b.open(org + "/secrets/new")
	b.typeIn("#key", key)
	b.typeIn("#value", value)
	b.click("main form .button")
	b.see("The value is saved")
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
