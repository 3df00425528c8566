package browser

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// crowd fills an organisation by the API: so many tokens and members, some of them with texts that nobody would like to lay
// out.
const crowd = `(async () => {
	const org = %q, words = %s, n = %d;
	const call = async (method, path, body) => {
		const answer = await fetch('/api/v2' + path, { method, body: body && JSON.stringify(body), headers: path === '/signin' ? { Authorization: 'Basic ' + btoa(%q) } : {} });
		if (!answer.ok) throw new Error(path + ' ' + answer.status + ' ' + await answer.text());
		return answer.status === 204 ? null : answer.json();
	};
	await call('POST', '/signin');
	const each = async (i) => {
		const word = words[i] ?? 'number-' + i;
		await call('POST', '/authorizations', { orgID: org, description: word, permissions: words.map((name) => ({ action: 'use', resource: { type: 'secrets', orgID: org, name } })) });
		const user = await call('POST', '/users', { name: [...word].slice(0, 160).join('').trim() });
		await call('POST', '/orgs/' + org + '/members', { id: user.id });
		if (words[i]) await call('POST', '/orgs', { name: user.name });
	};
	for (let i = 0; i < n; i += 20) await Promise.all([...Array(Math.min(20, n - i)).keys()].map((k) => each(i + k)));
	return true;
})()`

// extremes are texts of all kinds: one long word, many short ones, from right to left, and what is as wide as it can be.
var extremes = []string{
	strings.Repeat("x", 1000), strings.Repeat("a word and ", 90) + "an end", strings.Repeat("ארוך/", 100) + "סוף",
	strings.Repeat("W", 60), strings.Repeat("漢字", 100),
}

// tooHigh tells which heading or row takes more than all of a window that is not a very low one, so that nothing else is seen.
const tooHigh = `innerHeight < 700 ? [] : [...document.querySelectorAll('main h1, main li, main .crumbs')]
	.filter((e) => e.checkVisibility() && e.offsetHeight > 1.5 * innerHeight).map((e) => e.offsetHeight + ' px high: ' + e.tagName)`

// TestLayoutOfExtremes looks at long lists and at texts that are hard to lay out, in every window with every size of text.
func TestLayoutOfExtremes(t *testing.T) {
	b := openTab(t, startServer(t))
	b.wear("light", 1440)
	org := b.setUp()
	b.importNames(org, append(tenThousand()[:1000], extremes...))
	quotedAll, err := json.Marshal(extremes)
	check(t, err)
	js[bool](b, fmt.Sprintf(crowd, strings.TrimPrefix(org, "/orgs/"), quotedAll, 120, operator+":"+password))
	b.describe(org, extremes[0], "2026-01-31")
	b.describe(org, extremes[2], "2026-01-31")
	b.open(org + "/tokens?q=" + url.QueryEscape("xxx"))
	token := js[string](b, "document.querySelector('.token-link').pathname")
	b.open("/users")
	user := js[string](b, "[...document.querySelectorAll('#people a')].find((a) => a.textContent.startsWith('xxx'))?.pathname ?? '/users'")
	key := func(i int) string { return "?key=" + url.QueryEscape(extremes[i]) }
	pages := map[string]string{
		"list": org + "/secrets", "list-due": org + "/secrets?show=due", "due": "/due",
		"tokens": org + "/tokens?q=x", "token": token, "members": org + "/members", "users": "/users", "user": user,
		"activity": "/activity?key=" + url.QueryEscape(extremes[0]), "orgs": "/orgs", "who": org + "/secret/who" + key(0),
		"secret-word": org + "/secret" + key(0), "secret-rtl": org + "/secret" + key(2), "copy": org + "/secret/copy" + key(4),
		"delete": org + "/secrets/delete" + key(1), "search": org + "/secrets?q=" + url.QueryEscape(extremes[2]),
	}
	b.open("/orgs")
	pages["org"] = strings.TrimSuffix(js[string](b, "[...document.querySelectorAll('#orgs a')].find((a) => "+
		"a.textContent.startsWith('xxx')).pathname"), "/secrets")
	for name, path := range pages {
		b.open(path)
		b.eachSize(func(size string) {
			b.picture("extreme-" + name + "-" + size)
			for _, w := range append(js[[]string](b, misplaced), js[[]string](b, tooHigh)...) {
				t.Errorf("%s at %s: %s", name, size, w)
			}
		})
	}
}
