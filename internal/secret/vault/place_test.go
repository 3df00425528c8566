package vault

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/vaulttest"
)

const otherOrg id.ID = 0x031c8cbefe101001

func TestPlacesRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		conf Config
		want string
	}{
		"one entry for all":   {Config{Place: Place{Path: "influxdb"}}, "puts all organisations into one entry"},
		"another brace":       {Config{Place: Place{Path: "{org}/{bucket}"}}, "braces"},
		"an empty segment":    {Config{Place: Place{Path: "a//{org}"}}, "--vault-path"},
		"a line break":        {Config{Place: Place{Path: "a\n/{org}"}}, "--vault-path"},
		"a route's bad mount": {Config{Routes: map[id.ID]Place{org: {Mount: "a/../b"}}}, "031c8cbefe101000"},
		"names without names": {Config{Place: Place{Path: "{orgName}"}}, "{orgName} cannot be used"},
		"no such layout":      {Config{Place: Place{Layout: "flat"}}, "--vault-layout"},
		"all below one": {Config{Place: Place{Path: "x/{org}", Layout: LayoutSecret},
			Routes: map[id.ID]Place{org: {Path: "x"}}}, "lies below"},
		"one below another": {Config{Routes: map[id.ID]Place{org: {Path: "x", Layout: LayoutSecret},
			otherOrg: {Path: "x/y"}}}, "lies below"},
		"below a folder of IDs": {Config{Place: Place{Layout: LayoutSecret},
			Routes: map[id.ID]Place{org: {Path: otherOrg.String() + "/x"}}}, "lies below"},
		"two routes, one path": {Config{Routes: map[id.ID]Place{org: {Path: "x"},
			otherOrg: {Path: "x", ReadOnly: true}}}, "can be one place"},
		"two routes, one path, two layouts": {Config{Routes: map[id.ID]Place{org: {Path: "x", Layout: LayoutSecret},
			otherOrg: {Path: "/x/"}}},
			"can be one place"},
		"another's ID": {Config{Routes: map[id.ID]Place{org: {Path: otherOrg.String()}}}, "can be one place"},
		"another's ID, deeper": {Config{Place: Place{Path: "a/{org}/b"},
			Routes: map[id.ID]Place{org: {Path: "a/" + otherOrg.String() + "/b"}}}, "can be one place"},
		"another's ID in a word": {Config{Place: Place{Path: "a/x-{org}-y"},
			Routes: map[id.ID]Place{org: {Path: "a/x-" + otherOrg.String() + "-y"}}}, "can be one place"},
		"the ID of a route": {Config{Routes: map[id.ID]Place{org: {Path: otherOrg.String()},
			otherOrg: {Path: "{org}"}}}, "can be one place"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.conf.Address, tt.conf.Token = "http://127.0.0.1:1", "t"
			if _, err := New(t.Context(), tt.conf); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// Places that look alike and are not one below another's.
func TestPlacesApart(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	for name, c := range map[string]Config{
		"one's own folder": {Place: Place{Layout: LayoutSecret}, Routes: map[id.ID]Place{org: {Path: "{org}/x"}}},
		"a longer name": {Place: Place{Path: "x/{org}"},
			Routes: map[id.ID]Place{org: {Path: "xx", Layout: LayoutSecret}}},
		"its own ID": {Routes: map[id.ID]Place{org: {Path: org.String()}}},
		"no ID":      {Routes: map[id.ID]Place{org: {Path: "team"}, otherOrg: {Path: "{org}"}}},
		"names, which tell": {Place: Place{Path: "{orgName}"}, Routes: map[id.ID]Place{org: {Path: "team"}},
			OrgName: named(nil)},
		"another namespace": {Place: Place{Path: "x/{org}"},
			Routes: map[id.ID]Place{org: {Path: "x", Layout: LayoutSecret, Mount: "other"}}},
	} {
		c.Address, c.Token, c.Place.Mount = v.Address, v.RootToken, mount
		if s, err := c.store(); err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			s.Close()
		}
	}
}

// named finds names in a map.
func named(names map[id.ID]string) func(context.Context, id.ID) (string, error) {
	return func(_ context.Context, org id.ID) (string, error) { return names[org], nil }
}

// A server that takes no heed of namespaces keeps what they would tell apart in one place.
func TestNamespacesThatAreNone(t *testing.T) {
	v := vaulttest.Shared(t)
	c := Config{Address: v.Address, Token: v.RootToken, Place: Place{Mount: v.MountKV(t), Path: "x/{org}"},
		Routes: map[id.ID]Place{org: {Path: "team", Namespace: "a"}, otherOrg: {Path: "team", Namespace: "b"}}}
	if _, err := New(t.Context(), c); err == nil || !strings.Contains(err.Error(), "without them") ||
		!strings.Contains(err.Error(), "can be one place") {
		t.Errorf("it starts: %v", err)
	}
}

// What depends on names is told for names.
func TestPlacesMeet(t *testing.T) {
	v := vaulttest.Shared(t)
	const third id.ID = 0x031c8cbefe101002
	s, _ := open(t, v, Config{Place: Place{Mount: v.MountKV(t), Path: "t/{orgName}"}, OrgName: named(nil),
		Routes: map[id.ID]Place{
			org: {Path: "t/team"}, otherOrg: {Path: "t/{orgName}/x", Layout: LayoutOrg},
		}})
	for _, tt := range []struct {
		a     id.ID
		aName string
		b     id.ID
		bName string
		meet  bool
	}{
		{third, "team", org, "other", true},
		{org, "other", third, "team", true},
		{third, "Team", org, "team", false},
		{third, "team/x", org, "team", false}, // it has no secrets
		{org, "team", org, "team", false},
		{otherOrg, "a", third, "a", false}, // an entry beside a folder
	} {
		if s.Meet(tt.a, tt.aName, tt.b, tt.bName) != tt.meet {
			t.Errorf("%s %q and %s %q meet: %v, want %v", tt.a, tt.aName, tt.b, tt.bName, !tt.meet, tt.meet)
		}
	}
	if !s.Routed() || s.Named(org) || !s.Named(otherOrg) || !s.Named(third) {
		t.Error("which places depend on names is not told")
	}
}

func TestNamesInPaths(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	name := "../" + otherOrg.String()
	var ended []string
	s, log := open(t, v, Config{Place: Place{Mount: mount, Path: "db/{orgName}/{org}"},
		OrgName: func(context.Context, id.ID) (string, error) { return name, nil },
		EndedNames: func(_ context.Context, of id.ID) ([]string, error) {
			if of != org {
				return nil, nil
			}
			return ended, nil
		}})
	for _, name = range []string{"..", ".", "a/b", "../x", "a\x00", " a", "a*", "+", "{org}", "a\u200b", "a\u00a0b",
		"a\u2028b"} {
		if _, err := s.Keys(t.Context(), org); !errs.Is(err, errs.Invalid) {
			t.Errorf("the name %q: %v", name, err)
		}
	}
	for _, name = range []string{"Ärzte & Söhne", "a%2Fb", "a b", "100%"} {
		apply(t, s, set("k", name))
		wantKeys(t, s, "k")
	}
	name = ""
	if _, err := s.Apply(t.Context(), org, set("k", "v")); !errs.Is(err, errs.NotFound) {
		t.Errorf("a change after the organisation's end: %v", err)
	}
	ended = []string{"a b", "../x", "100%"} // the names that it had
	if err := s.Purge(t.Context(), org); err != nil {
		t.Errorf("Purge of an organisation that is gone: %v", err)
	}
	for _, name := range []string{"100%25", "a%20b"} {
		if status, body := v.Do(t, "GET", mount+"/metadata/db/"+name+"/"+org.String(),
			nil); status != http.StatusNotFound {
			t.Errorf("its secrets are still there: %d %s", status, body)
		}
	}
	if e := v.Read(t, mount, "db/a%252Fb/"+org.String()); len(e.Data) != 1 {
		t.Errorf("what is under a name that is not its own is gone: %v", e.Data)
	}
	if _, err := s.Keys(t.Context(), otherOrg); !errs.Is(err, errs.NotFound) {
		t.Errorf("an organisation that never had a name: %v", err)
	}
	if err := s.Purge(t.Context(), otherOrg); err != nil {
		t.Errorf("Purge of it: %v", err)
	}
	log.want(t, "remove them in Vault by hand")
}

func TestRoutes(t *testing.T) {
	v := vaulttest.Shared(t)
	mount, other := v.MountKV(t), v.MountKV(t)
	v.Write(t, other, "team/a", `{"theirs":"x"}`)
	token := v.Token(t, vaulttest.Policy(mount)+"\n"+vaulttest.PolicyOf(other, "read"), time.Hour)
	s, log := open(t, v, Config{Token: token, Place: Place{Mount: mount, Path: "p/{org}"},
		Routes: map[id.ID]Place{otherOrg: {Mount: other, Path: "team/a", ReadOnly: true}}})
	if strings.Contains(log.String(), "may not suffice") {
		t.Errorf("policies that suffice are doubted:\n%s", log)
	}
	apply(t, s, set("k", "v"))
	if e := v.Read(t, mount, "p/"+org.String()); string(e.Data["k"]) != `"v"` {
		t.Errorf("the entry holds %s", e.Data)
	}
	keys, err := s.Keys(t.Context(), otherOrg)
	if err != nil || strings.Join(keys, " ") != "theirs" {
		t.Errorf("keys of the route: %q, %v", keys, err)
	}
	if _, err := s.Apply(t.Context(), otherOrg, set("k", "v")); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a change of what is read only: %v", err)
	}
	if err := s.Purge(t.Context(), otherOrg); err != nil {
		t.Errorf("the end of an organisation whose secrets are others': %v", err)
	}
	if e := v.Read(t, other, "team/a"); string(e.Data["theirs"]) != `"x"` {
		t.Errorf("others' entry holds %s", e.Data)
	}
}

// TestNamespaces is against the header alone: Vault has namespaces in its Enterprise edition only, which is not to be
// had, and OpenBao takes them in the same header (X-Vault-Namespace, its API's documentation says).
func TestNamespaces(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	mount := v.MountKV(t)
	s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: mount, Namespace: "/team/"},
		Routes: map[id.ID]Place{otherOrg: {Namespace: "team/b"}}})
	seen := make(map[string]string)
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		seen[r.URL.Path] = r.Header.Get("X-Vault-Namespace") + " " + r.Header.Get("X-Vault-Token")
		r.Header.Del("X-Vault-Namespace")
		vault.ServeHTTP(w, r)
	})
	for _, o := range []id.ID{org, otherOrg} {
		if _, err := secret.Get(t.Context(), s, o, "k"); !errs.Is(err, errs.NotFound) {
			t.Fatal(err)
		}
	}
	f.set(nil)
	for o, want := range map[id.ID]string{org: "team ", otherOrg: "team/b "} {
		if got := seen["/v1/"+mount+"/data/"+o.String()]; got != want+v.RootToken {
			t.Errorf("the request for %s went out in %q", o, strings.Fields(got)[0])
		}
	}
}

func TestPolicyOfPlaces(t *testing.T) {
	for path, want := range map[string]string{
		"{org}": `"m/data/*"`, "a/{org}": `"m/data/a/*"`, "a/{org}/b": `"m/data/a/+/b"`, "org-{org}": `"m/data/org-*"`,
		"a/x{org}/b": `"m/data/a/x*"`, "{orgName}/{org}": `"m/data/+/*"`,
	} {
		if got := policy(Place{Mount: "m", Path: path}); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	p := Place{Mount: mount, Path: "a/{org}/b"}
	s, _ := open(t, v, Config{Place: p, Token: v.Token(t, policy(p), time.Hour)})
	apply(t, s, set("k", "v"))
	if err := s.Purge(t.Context(), org); err != nil {
		t.Error(err)
	}
	if _, err := s.Apply(t.Context(), org, secret.Change{Delete: []string{"k"}}); err != nil {
		t.Error(err)
	}
}

func TestParseRoute(t *testing.T) {
	for _, text := range []string{"", "031c8cbefe101000", "x mount=a", "031c8cbefe101000 mount=",
		"031c8cbefe101000 mount", "031c8cbefe101000 readonly", "031c8cbefe101000 layout=flat"} {
		if _, _, err := ParseRoute(text); err == nil {
			t.Errorf("%q is taken for a route", text)
		}
	}
	o, p, err := ParseRoute(" 031c8cbefe101000  mount=a/b path=c/{org} namespace=d layout=secret read-only ")
	if want := (Place{Mount: "a/b", Path: "c/{org}", Namespace: "d", ReadOnly: true,
		Layout: LayoutSecret}); err != nil || o != org || p != want {
		t.Errorf("got %s %+v, %v", o, p, err)
	}
}
