package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// windows are the sizes that pages must fit, from a desktop's window enlarged four times to a wide screen.
var windows = [][2]int64{{320, 256}, {768, 900}, {1024, 768}, {1440, 900}, {1920, 1080}}

// texts are the sizes of text, in px, that a reader may have set in the browser.
var texts = []int64{16, 32}

// misplaced tells what is too wide, what is too small to be hit, and which entry of the menu lies outside it. A link
// within a sentence may be as high as its line.
const misplaced = `(() => {
	const wrong = [], root = document.documentElement;
	const of = (e) => e.tagName + ' ' + (e.textContent || e.getAttribute('aria-label') || e.name || '').trim().slice(0, 30);
	if (root.scrollWidth > root.clientWidth) wrong.push('the page can be moved sideways by ' + (root.scrollWidth - root.clientWidth) + ' px');
	for (const e of document.querySelectorAll('body *')) {
		const r = e.getBoundingClientRect();
		if (r.width && r.right > root.clientWidth + 1 && e.checkVisibility() && !e.closest('pre, svg, .vh, .skip, h1.long, .sideways > *')) wrong.push('wider than the window: ' + of(e));
	}
	const scope = document.querySelector('dialog[open]') ?? document;
	for (const e of scope.querySelectorAll('a, button, input:not([type=hidden]), select, textarea, summary')) {
		if (!e.checkVisibility({ visibilityProperty: true }) || e.matches('.skip')) continue;
		const box = (e.type === 'checkbox' || e.type === 'radio') && e.closest('label') || e;
		const r = box.getBoundingClientRect(), inline = getComputedStyle(box).display === 'inline';
		const alone = [...box.parentElement.childNodes].every((n) => n === box || !n.textContent.trim());
		if (Math.min(r.width, r.height) < 24 && (!inline || alone)) wrong.push('a target of ' + Math.round(r.width) + ' by ' + Math.round(r.height) + ' px: ' + of(e));
	}
	// A word of ours is not cut in two, and a field has room for one.
	const texts = scope.querySelectorAll('.button, h1:not(.mono), h2, label, legend, thead th, .menu a, .badge');
	for (const e of [...texts].filter((e) => e.checkVisibility())) {
		const walk = document.createTreeWalker(e, NodeFilter.SHOW_TEXT), range = document.createRange();
		for (let node; (node = walk.nextNode());) for (const m of node.textContent.matchAll(/\b[a-z]{2,14}\b/gi)) {
			if (node.parentElement.closest('.vh')) continue;
			range.setStart(node, m.index);
			range.setEnd(node, m.index + m[0].length);
			if (new Set([...range.getClientRects()].map((r) => Math.round(r.top))).size > 1) wrong.push('a word is cut: ' + m[0]);
		}
	}
	for (const e of scope.querySelectorAll('input:not([type=hidden], [type=checkbox], [type=radio], [type=file]), select, textarea')) {
		const em = parseFloat(getComputedStyle(e).fontSize);
		if (e.checkVisibility() && e.offsetWidth < 4 * em) wrong.push('a field is ' + e.offsetWidth + ' px wide: ' + of(e));
	}
	const menu = document.querySelector('.menu');
	if (menu && menu.scrollWidth > menu.clientWidth) wrong.push('the menu is narrower than what is in it');
	const top = document.querySelector('.top'), em = parseFloat(getComputedStyle(root).fontSize);
	if (top && root.clientWidth >= 60 * em && top.offsetHeight > 5 * em) wrong.push('the header is ' + top.offsetHeight + ' px high');
	return [...new Set(wrong)].slice(0, 8);
})()`

// eachSize calls f at every window with every size of text.
func (b *tab) eachSize(f func(name string)) {
	b.Helper()
	for _, text := range texts {
		for _, w := range windows {
			b.resize(text, w[0], w[1])
			f(fmt.Sprintf("%dx%d-text-%d", w[0], w[1], text))
		}
	}
}

// resize sets the size of text, and the window's.
func (b *tab) resize(text, width, height int64) {
	b.Helper()
	call(b, page.SetFontSizes, page.SetFontSizesParams{FontSizes: &page.FontSizes{Standard: text,
		Fixed: text * 13 / 16}})
	b.run(chromedp.EmulateViewport(width, height))
}

// TestLayout looks at pages and states in every window with every size of text, in parts that run side by side.
func TestLayout(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"even", "odd"} {
		t.Run(part, func(t *testing.T) { layOut(t, part) })
	}
}

func layOut(t *testing.T, part string) {
	b := openTab(t, startServer(t))
	b.wear("light", 1440)
	pages := stage(b)
	look := func(state string) {
		b.eachSize(func(size string) {
			b.picture(state + "-" + size)
			for _, w := range js[[]string](b, misplaced) {
				t.Errorf("%s at %s: %s", state, size, w)
			}
		})
	}
	eachOf(part, pages, func(name, path string) {
		b.open(path)
		look(name)
	})
	eachOf(part, statesOf(b, pages), func(name string, reach func()) {
		b.resize(texts[0], 1440, 900)
		reach()
		look(name)
		js[bool](b, "leaving = true")
	})
	if part != "even" {
		return
	}
	b.resize(texts[0], 1440, 900)

	// What is told while a page is looked at moves nothing of it.
	b.open(pages["secrets"])
	place := `JSON.stringify([...document.querySelectorAll('.top, .menu, #main > *')].map((e) => { const r = e.getBoundingClientRect(); return [r.x, r.y, r.width]; }))`
	b.eachSize(func(size string) {
		js[bool](b, "connection.banner.hidden = true")
		before := js[string](b, place)
		js[bool](b, "connection.show('The server cannot be reached. What you typed is still here; trying "+
			"again…'); true")
		if after := js[string](b, place); after != before {
			t.Errorf("at %s the banner moves the page: %s, then %s", size, before, after)
		}
	})
	look("state-unreachable")

	// A question that does not fit is seen from its beginning.
	b.open(pages["org"])
	b.eachSize(func(size string) {
		js[bool](b, "document.querySelector('main .button.bad').click(), true")
		b.until("document.querySelector('#ask').open")
		b.picture("state-question-" + size)
		if y := js[float64](b, "document.querySelector('#ask h1').getBoundingClientRect().top"); y < 0 {
			t.Errorf("at %s the question begins %v px above the window", size, -y)
		}
		for _, w := range js[[]string](b, misplaced) {
			t.Errorf("the question at %s: %s", size, w)
		}
		js[bool](b, "document.querySelector('#ask').close(), true")
	})

	js[bool](b, "document.querySelector('header .me button').click(), true")
	b.at("/signin")
	js[bool](b, "document.querySelector('#username').value = 'ada', document.querySelector('#password').value = "+
		"'wrong', document.querySelector('main .button').click(), true")
	b.until("document.querySelector('main form .note')")
	if gap := js[float64](b, "document.querySelector('main form .note').getBoundingClientRect().top - "+
		"document.querySelector('main h1').getBoundingClientRect().bottom"); gap < 8 {
		t.Errorf("what was refused lies %v px below the heading", gap)
	}
	look("state-signin-refused")
}

// picture keeps what the window shows, if STRONGROOM_PICTURES is set: 300 of them take a minute.
func (b *tab) picture(name string) {
	b.Helper()
	if os.Getenv("STRONGROOM_PICTURES") == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	check(b.T, err)
	check(b.T, os.MkdirAll(shots, 0o755))
	check(b.T, os.WriteFile(filepath.Join(shots, name+".png"), png, 0o644))
}
