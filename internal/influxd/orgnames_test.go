package influxd

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/secret/vault/vaulttest"
)

// lookalikes are names by which somebody may reach for what lies under the first of them, or beside it.
var lookalikes = []string{"globex", "Globex", "GLOBEX", "globex ", " globex", "globex\u00a0", "globex/", "/globex",
	"globex//", "globex.", "globex/.", "globex/x", "./globex", "../team/globex", "globex/../globex", "x/../globex", ".",
	"..", "glob%65x", "globex%20", "globex%2F", "%2e%2e", "%2e%2e%2fteam%2fglobex", "globex?list=true", "globex#x",
	"globex*", "+", "*", "{orgName}", "{org}", "caf\u00e9", "cafe\u0301", "ｇlobex",
	"globex\u200b", "glo\u00a0bex", "glo\u2028bex", "%strongroom",
	"globex/%strongroom", `globex\`, "globex;x", "data/globex", "metadata"}

// namedOrgs is a server whose organisations' secrets lie in a Vault under their names, and what each has set under
// which name: what it is given must be that, and nothing else.
type namedOrgs struct {
	*running
	token string
	name  map[string]string            // of each organisation that there is
	agent map[string]string            // its token
	set   map[string]map[string]string // by organisation and name: the value of k
	n     int
	did   map[string]int
	rest  bool // look is not asked to
}

// overNames starts a server whose organisations' names are places in Vault.
func overNames(t *testing.T, v *vaulttest.Server, layout string) *namedOrgs {
	t.Helper()
	o := &namedOrgs{name: map[string]string{}, agent: map[string]string{}, did: map[string]int{},
		set: map[string]map[string]string{},
		running: start(t, t.TempDir(), "--secret-store=vault", "--vault-addr", v.Address, "--vault-token", v.RootToken,
			"--vault-mount", v.MountKV(t), "--vault-path", "team/{orgName}", "--vault-layout", layout,
			"--vault-cache-ttl=0")}
	o.token, _ = o.onboard(t)
	return o
}

// TestNamesOfOthers makes organisations, renames and ends them under names that are others' or look like them, while
// secrets lie in a real Vault under those names. None ever reads, overwrites, lists or destroys another's.
func TestNamesOfOthers(t *testing.T) {
	v := vaulttest.Shared(t)
	for _, layout := range []string{"org", "secret"} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			o := overNames(t, v, layout)
			o.lookalike(t)
			o.chain(t)
			o.swap(t)
			o.again(t)
			o.atRandom(t)
			t.Log(o.did)
			for _, what := range []string{"made", "not made", "renamed", "not renamed", "ended", "set", "not set"} {
				if o.did[what] == 0 {
					t.Errorf("nothing was ever %s", what)
				}
			}
		})
	}
}

// ask makes a request and gives the answer.
func (o *namedOrgs) ask(t *testing.T, method, path, token string, body any) (int, string) {
	t.Helper()
	var text []byte
	if body != nil {
		var err error
		text, err = json.Marshal(body)
		must(t, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, o.url+path, strings.NewReader(string(text)))
	must(t, err)
	req.Header.Set("Authorization", "Token "+token)
	res, err := o.do(req)
	must(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	must(t, err)
	if res.StatusCode >= 500 {
		t.Errorf("%s %s %s: %d %s", method, path, text, res.StatusCode, answer)
	}
	return res.StatusCode, string(answer)
}

func (o *namedOrgs) count(what string, is bool) bool {
	if !is {
		what = "not " + what
	}
	o.did[what]++
	return is
}

// make makes an organisation; "" where the name is refused.
func (o *namedOrgs) make(t *testing.T, name string) string {
	t.Helper()
	status, answer := o.ask(t, "POST", "/api/v2/orgs", o.token, map[string]string{"name": name})
	if !o.count("made", status == 201) {
		return ""
	}
	var made struct{ ID string }
	must(t, json.Unmarshal([]byte(answer), &made))
	o.name[made.ID], o.set[made.ID] = name, map[string]string{}
	o.agent[made.ID], _ = o.running.agent(t, o.token, "/api/v2/orgs/"+made.ID+"/secrets")
	o.look(t, "made "+name)
	return made.ID
}

func (o *namedOrgs) rename(t *testing.T, org, name string) bool {
	t.Helper()
	status, _ := o.ask(t, "PATCH", "/api/v2/orgs/"+org, o.token, map[string]string{"name": name})
	if o.count("renamed", status == 200) {
		o.name[org] = name
	}
	o.look(t, fmt.Sprintf("renamed %s to %q: %d", org, name, status))
	return status == 200
}

// put sets the organisation's secret, to a value that names it.
func (o *namedOrgs) put(t *testing.T, org string) bool {
	t.Helper()
	o.n++
	value := fmt.Sprintf("%s %d", org, o.n)
	status, _ := o.ask(t, "PATCH", "/api/v2/orgs/"+org+"/secrets", o.token, map[string]string{"k": value})
	if o.count("set", status == 204) {
		o.set[org][o.name[org]] = value
	}
	o.look(t, "set "+o.name[org])
	return status == 204
}

func (o *namedOrgs) end(t *testing.T, org string) {
	t.Helper()
	name := o.name[org]
	if status, answer := o.ask(t, "DELETE", "/api/v2/orgs/"+org, o.token, nil); !o.count("ended", status == 204) {
		t.Errorf("the end of %q: %d %s", name, status, answer)
	}
	delete(o.name, org)
	delete(o.set, org)
	o.look(t, "ended "+name)
}

// look has each organisation read what it has.
func (o *namedOrgs) look(t *testing.T, when string) {
	t.Helper()
	if o.rest {
		return
	}
	for org, name := range o.name {
		want, has := o.set[org][name]
		status, answer := o.ask(t, "GET", "/api/v2/orgs/"+org+"/secret-values", o.agent[org], nil)
		var got map[string]string
		if status == 200 {
			must(t, json.Unmarshal([]byte(answer), &got))
		}
		if has && status != 200 || status == 200 && (got["k"] != want || len(got) > 1 || !has && len(got) > 0) {
			t.Errorf("%s: %s, called %q, reads %d %q, and has set %q", when, org, name, status, got, want)
		}
		var list struct{ Secrets []string }
		status, answer = o.ask(t, "GET", "/api/v2/orgs/"+org+"/secrets", o.token, nil)
		if status == 200 {
			must(t, json.Unmarshal([]byte(answer), &list))
		}
		if has != (len(list.Secrets) == 1) || len(list.Secrets) > 1 {
			t.Errorf("%s: %s, called %q, lists %d %q", when, org, name, status, list.Secrets)
		}
	}
}

// lookalike has somebody reach for another's secrets by names that look like its name.
func (o *namedOrgs) lookalike(t *testing.T) {
	first, eve := o.make(t, lookalikes[0]), o.make(t, "eve")
	o.put(t, first)
	o.put(t, eve)
	for _, name := range lookalikes {
		if org := o.make(t, name); org != "" {
			o.put(t, org)
			o.rest = true
			o.ask(t, "DELETE", "/api/v2/orgs/"+org+"/secrets/k", o.token, nil)
			o.rest = false
			o.end(t, org)
		}
		if o.rename(t, eve, name) {
			o.rest = true
			o.put(t, eve)
			o.ask(t, "DELETE", "/api/v2/orgs/"+eve+"/secrets/k", o.token, nil)
			delete(o.set[eve], name)
			back := o.rename(t, eve, "eve")
			if o.rest = false; !back {
				t.Fatalf("eve does not come back from %q", name)
			}
			o.look(t, "set and deleted in "+name)
		}
	}
	// Two that are there at once, and differ in form alone.
	for _, pair := range [][2]string{{"Caf\u00e9", "Cafe\u0301"}, {"a b", "a%20b"}, {"Team", "team"},
		{"x%2fy", "x%2Fy"}} {
		one, other := o.make(t, pair[0]), o.make(t, pair[1])
		if one == "" || other == "" || !o.put(t, one) || !o.put(t, other) {
			t.Fatalf("%q cannot be beside one another", pair)
		}
		o.end(t, one)
		o.end(t, other)
	}
	o.end(t, first)
	o.end(t, eve)
}

// chain goes A, B, A and C, B, with secrets under each.
func (o *namedOrgs) chain(t *testing.T) {
	one := o.make(t, "chain a")
	o.put(t, one)
	for _, name := range []string{"chain b", "chain a", "chain c", "chain b"} {
		if !o.rename(t, one, name) {
			t.Fatalf("it cannot be %q", name)
		}
		for _, held := range slices.Sorted(maps.Keys(o.set[one])) {
			if other := o.make(t, held); other != "" {
				t.Errorf("%q can be had, where another's secrets are", held)
				o.put(t, other)
				o.end(t, other)
			}
		}
		o.put(t, one)
	}
	o.end(t, one)
}

// swap has two change names through a third.
func (o *namedOrgs) swap(t *testing.T) {
	for _, full := range []bool{true, false} {
		one, two := o.make(t, "swap a"), o.make(t, "swap b")
		if full {
			o.put(t, one)
			o.put(t, two)
		}
		if o.rename(t, one, "swap b") {
			t.Error("two have one name")
		}
		if !o.rename(t, one, "swap c") {
			t.Error("it cannot be renamed")
		}
		if o.rename(t, two, "swap a") == full {
			t.Errorf("with secrets: %v, and it has the other's name", full)
		}
		if o.rename(t, one, "swap b") == full {
			t.Errorf("with secrets: %v, and they have swapped", full)
		}
		o.put(t, one)
		o.put(t, two)
		o.end(t, two)
		o.put(t, one)
		o.end(t, one)
	}
}

// again makes an organisation of a name whose organisation has ended, under each of the names that it had.
func (o *namedOrgs) again(t *testing.T) {
	one := o.make(t, "again a")
	o.put(t, one)
	o.rename(t, one, "again b")
	o.put(t, one)
	o.end(t, one)
	for _, name := range []string{"again a", "again b"} {
		if two := o.make(t, name); two == "" {
			t.Errorf("%q is never free", name)
		} else {
			o.put(t, two)
			o.end(t, two)
		}
	}
}

// atRandom does any of it in any order; always the same.
func (o *namedOrgs) atRandom(t *testing.T) {
	dice := rand.New(rand.NewPCG(15, 2))
	names := append([]string{"r1", "r2", "r3", "R1", "r1 x"}, lookalikes[:6]...)
	for range 100 {
		all, name := slices.Sorted(maps.Keys(o.name)), names[dice.IntN(len(names))]
		if len(all) < 3 {
			o.make(t, name)
			continue
		}
		org := all[dice.IntN(len(all))]
		switch dice.IntN(8) {
		case 0:
			o.end(t, org)
		case 1, 2, 3:
			o.put(t, org)
		default:
			o.rename(t, org, name)
		}
	}
}
