package vault

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/login"
	"strongroom/internal/secret/vault/vaulttest"
)

// carryOut does in Vault what advice says, where it is one of Vault's commands.
func carryOut(t *testing.T, v *vaulttest.Server, advice string) {
	t.Helper()
	for _, c := range []struct {
		form *regexp.Regexp
		do   func(m []string) (method, path string, body any)
	}{
		{regexp.MustCompile(`vault secrets enable -path=([\w/-]+) -version=2 kv`),
			func(m []string) (string, string, any) {
				return "POST", "sys/mounts/" + m[1],
					map[string]any{"type": "kv", "options": map[string]string{"version": "2"}}
			}},
		{regexp.MustCompile(`vault kv enable-versioning ([\w-]+)/`), func(m []string) (string, string, any) {
			return "POST", "sys/mounts/" + m[1] + "/tune", map[string]any{"options": map[string]string{"version": "2"}}
		}},
		{regexp.MustCompile(`vault write ([\w-]+/config) (\w+)=(\w+)`), func(m []string) (string, string, any) {
			return "POST", m[1], map[string]any{m[2]: m[3]}
		}},
		{regexp.MustCompile(`vault operator unseal`), func([]string) (string, string, any) {
			return "PUT", "sys/unseal", map[string]any{"key": v.UnsealKey}
		}},
	} {
		m := c.form.FindStringSubmatch(advice)
		if m == nil {
			continue
		}
		method, path, body := c.do(m)
		if status, answer := v.Do(t, method, path, body); status >= 300 {
			t.Fatalf("%s: %d %s", m[0], status, answer)
		}
		return
	}
	t.Fatalf("there is no command in: %s", advice)
}

// printedPolicy is the one at the end of what Examine writes.
func printedPolicy(t *testing.T, out string) string {
	t.Helper()
	_, text, found := strings.Cut(out, "The smallest policy that serves")
	if !found {
		t.Fatalf("no policy in:\n%s", out)
	}
	_, text, _ = strings.Cut(text, "\n")
	return text
}

// onSocket serves Vault at a socket, and returns its address.
func onSocket(t *testing.T, v *vaulttest.Server) string {
	t.Helper()
	u, err := url.Parse(v.Address)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "s") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "v")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(u)
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	s := httptest.NewUnstartedServer(proxy)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return "unix://" + socket
}

// broken is a set-up that does not work, what is said of it, and what whoever reads that does.
type broken struct {
	conf  Config
	error string // part of the error that the check ends with; "" where it ends well
	says  string // part of what it writes before
	never string // what it must not speak of; "|" between
	mend  func(t *testing.T, c *Config, out string, err error)
	works bool // before it is mended: it is a warning
}

// TestUnprotected tells where others on the network can read what is sent.
func TestUnprotected(t *testing.T) {
	for address, want := range map[string]bool{
		"http://vault:8200": true, "http://192.0.2.1:8200": true, "https://vault:8200": false,
		"http://127.0.0.1:8200": false, "http://localhost": false, "http://[::1]:8200": false,
		"unix:///run/vault": false,
	} {
		if got := (&conn.Conn{Address: address}).Unprotected(); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
}

// TestAdviceLeadsToAStart has the set-ups in which people find themselves. What the check says of each, once followed,
// makes a start that keeps secrets; and a start says the same where it fails.
func TestAdviceLeadsToAStart(t *testing.T) {
	v := vaulttest.Shared(t)
	servers, clients := vaulttest.NewAuthority(t, "servers"), vaulttest.NewAuthority(t, "clients")
	dir := t.TempDir()
	ca := servers.File(t, dir)
	cert, key := clients.Issue(t, dir, "us")
	strangeCert, strangeKey := vaulttest.NewAuthority(t, "strangers").Issue(t, dir, "stranger")
	secured := vaulttest.Start(t, vaulttest.WithTLS(t, servers, clients))
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<html>")
	}))
	t.Cleanup(page.Close)
	json := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
	t.Cleanup(json.Close)
	missing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(missing.Close)

	const tokens = "--vault-token|VAULT_TOKEN"
	mounts := func() string { return v.MountKV(t) }
	token := func(policy string) string { return v.Token(t, policy, time.Hour) }
	give := func(c *Config) func(t *testing.T, c *Config, out string, err error) {
		fixed := *c
		return func(_ *testing.T, c *Config, _ string, _ error) { *c = fixed }
	}
	follow := func(t *testing.T, _ *Config, out string, err error) { carryOut(t, v, out+fmt.Sprint(err)) }
	// approle is a log-in for the mount; change spoils it.
	approle := func(mount, policy string, change func(*login.Config)) (good, bad login.Config) {
		good = appRoleWith(t, v, policy, "1h")
		bad = good
		change(&bad)
		return good, bad
	}
	all := map[string]broken{}

	m := mounts()
	good := Config{Place: Place{Mount: m}, Token: token(vaulttest.Policy(m))}
	spoilt := func(change func(c *Config)) Config {
		c := good
		change(&c)
		return c
	}
	all["no token"] = broken{conf: spoilt(func(c *Config) {
		c.Token = ""
	}), error: "there is no token for Vault; give one with --vault-token or VAULT_TOKEN", mend: give(&good)}
	all["a wrong token"] = broken{conf: spoilt(func(c *Config) {
		c.Token = "nonsense"
	}), error: "refuses the token: it is wrong, expired or revoked, or has no policy", mend: give(&good)}
	all["half a token"] = broken{conf: spoilt(func(c *Config) {
		c.Token = c.Token[:20]
	}), error: "give another with --vault-token or VAULT_TOKEN", mend: give(&good)}
	revoked := token(vaulttest.Policy(m))
	v.Revoke(t, revoked)
	all["a revoked token"] = broken{conf: spoilt(func(c *Config) {
		c.Token = revoked
	}), error: "refuses the token", mend: give(&good)}
	file := func(text string) (conf Config, mend func(*testing.T, *Config, string, error)) {
		path := vaulttest.File(t, "token", text)
		conf = spoilt(func(c *Config) { c.Token, c.Login.TokenFile = "", path })
		return conf, func(t *testing.T, _ *Config, _ string, _ error) {
			if err := os.WriteFile(path, []byte(good.Token), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tt := range map[string]struct{ text, error string }{
		"an empty token file":          {"", "--vault-token-file"},
		"a token file with half a one": {good.Token[:20], "write another to the file of --vault-token-file"},
	} {
		conf, mend := file(tt.text)
		all[name] = broken{conf: conf, error: tt.error, never: "--vault-token or|VAULT_TOKEN", mend: mend}
	}
	all["no token file"] = broken{conf: spoilt(func(c *Config) {
		c.Token, c.Login.TokenFile = "", "/nowhere/token"
	}), error: "--vault-token-file: ", mend: give(&good)}

	// Policies, by what the token has and in which layout. The policy that is written serves.
	for title, tt := range map[string]struct {
		has         func(mount string) string
		layout      Layout
		error, says string
		works       bool
	}{
		"no policy": {has: func(string) string {
			return vaulttest.Policy("elsewhere")
		}, error: "or the token's policies do not show it"},
		"a policy without update": {has: func(m string) string {
			return vaulttest.PolicyOf(m, "create", "read")
		}, error: "MISSING", says: "update on "},
		"a policy without metadata": {has: func(m string) string {
			return vaulttest.PolicyOf(m, "create", "read", "update")
		}, error: "MISSING", says: "delete on "},
		"a policy to read with": {has: func(m string) string {
			return vaulttest.PolicyOf(m, "read")
		}, error: "MISSING", says: "create, update on "},
		"a policy of another layout": {has: vaulttest.Policy, layout: LayoutSecret, error: "MISSING",
			says: "list, read on "},
		"no look at itself": {has: func(m string) string {
			return vaulttest.Policy(m) + "\n" + `path "auth/token/lookup-self" { capabilities = ["deny"] }`
		}, says: "its end is not known", works: true},
		"no question after capabilities": {has: func(m string) string {
			return vaulttest.Policy(m) + "\n" + `path "sys/capabilities-self" { capabilities = ["deny"] }`
		}, says: "create, read, update on %s/data/0000000000000001: not known, since the token may not ask",
			works: true},
		"no question after the mount": {has: func(m string) string {
			return vaulttest.Policy(m) + "\n" + `path "sys/internal/ui/mounts/*" { capabilities = ["deny"] }`
		}, says: "create, read, update on %s/data/0000000000000001: yes", works: true},
		"single organisations": {has: func(m string) string {
			return fmt.Sprintf(
				`path "%[1]s/data/%[2]s" { capabilities = ["create", "read", "update"] } path "%[1]s/metadata/%[2]s" { capabilities = ["delete"] }`, m, org)
		}, says: "create, read, update on %s/data/0000000000000001: no, but for organisations that the policies " +
			"name one by one", works: true},
	} {
		m := mounts()
		p := Place{Mount: m, Path: "{org}", Layout: tt.layout}
		policy := v.WritePolicy(t, tt.has(m))
		conf := Config{Place: p, Token: v.NewToken(t, map[string]any{"policies": []string{policy}, "ttl": "1h"})}
		says := tt.says
		if strings.Contains(says, "%s") {
			says = fmt.Sprintf(says, m)
		}
		all[title] = broken{conf: conf, error: tt.error, says: says, works: tt.works,
			never: "nothing is mounted at " + m + "/ in Vault; ", mend: func(t *testing.T, _ *Config, out string,
				err error) {
				if err != nil && strings.Contains(err.Error(), "give the token a policy: ") {
					_, out, _ = strings.Cut(err.Error(), "give the token a policy")
					out = "The smallest policy that serves\n" + strings.ReplaceAll(strings.TrimPrefix(out, ": "),
						"} path", "}\npath")
				}
				v.ConfigurePolicy(t, policy, printedPolicy(t, out))
			}}
	}

	// Mounts.
	all["nothing is mounted"] = broken{conf: Config{Place: Place{Mount: "t" + id.ID(7).String()}, Token: v.RootToken},
		error: "nothing is mounted at", mend: follow}
	all["KV version 1"] = broken{conf: Config{Place: Place{Mount: v.Mount(t, map[string]any{"type": "kv"})},
		Token: v.RootToken}, error: "KV version 1", mend: follow}
	all["another engine"] = broken{conf: Config{Place: Place{Mount: "cubbyhole"}, Token: v.RootToken},
		error: `of the type "cubbyhole"`, mend: func(t *testing.T, c *Config, out string, err error) {
			c.Place.Mount = "t" + id.ID(8).String()
			carryOut(t, v, strings.ReplaceAll(err.Error(), "<another path>", c.Place.Mount))
		}}
	all["below the mount"] = broken{conf: spoilt(func(c *Config) {
		c.Place.Mount += "/team"
		c.Token = v.RootToken
	}), error: "name the mount as it is, and what follows it in --vault-path",
		mend: func(_ *testing.T, c *Config, _ string, _ error) { c.Place.Mount, c.Place.Path = m, "team/{org}" }}
	for name, tt := range map[string]struct{ setting, value, says string }{
		"values end":  {"delete_version_after", "1h", "Vault deletes a value 1 hour after it was written"},
		"one version": {"max_versions", "1", "so that no earlier one can be brought back"},
	} {
		m := mounts()
		v.ConfigureMount(t, m, tt.setting, tt.value)
		all[name] = broken{conf: Config{Place: Place{Mount: m, Layout: LayoutSecret}, Token: v.RootToken},
			says: tt.says, works: true, mend: follow}
	}
	uses := mounts()
	all["a token for some uses"] = broken{conf: Config{Place: Place{Mount: uses}, Token: v.NewToken(t,
		map[string]any{"policies": []string{v.WritePolicy(t, vaulttest.Policy(uses))}, "num_uses": 1000})},
		says: "more uses", works: true, mend: func(_ *testing.T, c *Config, _ string, _ error) {
			c.Token = token(vaulttest.Policy(uses))
		}}
	all["a namespace that there is not"] = broken{conf: spoilt(func(c *Config) {
		c.Place.Namespace = "team"
	}), says: "has no namespaces", works: true, mend: give(&good)}

	// Log-ins.
	for name, change := range map[string]func(*login.Config){
		"a wrong secret ID": func(c *login.Config) { c.SecretID = "11111111-2222-3333-4444-555555555555" },
		"a wrong role ID":   func(c *login.Config) { c.RoleID = "11111111-2222-3333-4444-555555555555" },
		"a wrong mount":     func(c *login.Config) { c.Mount = "approle-elsewhere" },
	} {
		fine, bad := approle(m, vaulttest.Policy(m), change)
		all[name] = broken{conf: Config{Place: Place{Mount: m}, Login: bad},
			error: "check --vault-auth-role-id, --vault-auth-secret-id (or the files) and --vault-auth-mount",
			never: tokens, mend: func(_ *testing.T, c *Config, _ string, _ error) { c.Login = fine }}
	}
	weak, _ := approle(m, vaulttest.Policy("elsewhere"), func(*login.Config) {})
	all["a role without a policy"] = broken{conf: Config{Place: Place{Mount: m}, Login: weak},
		error: "or the token's policies do not show it", never: tokens, mend: func(t *testing.T, _ *Config, _ string,
			err error) {
			_, text, _ := strings.Cut(err.Error(), "give the token a policy: ")
			v.ConfigureAuth(t, weak.Mount, "role/r",
				map[string]any{"token_policies": v.WritePolicy(t, strings.ReplaceAll(text, "} path", "}\npath"))})
		}}
	few, _ := approle(m, vaulttest.Policy(m), func(*login.Config) {})
	v.ConfigureAuth(t, few.Mount, "role/r", map[string]any{"token_num_uses": 500})
	all["a role whose tokens have uses"] = broken{conf: Config{Place: Place{Mount: m}, Login: few},
		says: "token_num_uses", never: tokens + "|lose its secrets", works: true,
		mend: func(t *testing.T, _ *Config, _ string, _ error) {
			v.ConfigureAuth(t, few.Mount, "role/r", map[string]any{"token_num_uses": 0})
		}}
	wrap := func(c login.Config) string { return v.Wrap(t, "POST", "auth/"+c.Mount+"/role/r/secret-id") }
	fresh, _ := approle(m, vaulttest.Policy(m), func(*login.Config) {})
	fresh.SecretID = wrap(fresh)
	all["a wrapped secret ID"] = broken{conf: Config{Place: Place{Mount: m}, Login: fresh},
		says: "it can be unwrapped once, which is left to the start", never: tokens}
	used, _ := approle(m, vaulttest.Policy(m), func(*login.Config) {})
	used.SecretID = wrap(used)
	v.DoAs(t, used.SecretID, "POST", "sys/wrapping/unwrap", nil)
	all["a wrapped secret ID that was unwrapped"] = broken{conf: Config{Place: Place{Mount: m}, Login: used},
		error: "has been unwrapped before, or has expired", never: tokens,
		mend: func(_ *testing.T, c *Config, _ string, _ error) {
			c.Login.SecretID = wrap(c.Login)
		}}
	users := v.EnableAuth(t, "userpass")
	v.ConfigureAuth(t, users, "users/u",
		map[string]any{"password": "right", "token_policies": v.WritePolicy(t, vaulttest.Policy(m))})
	password := vaulttest.File(t, "password", "wrong")
	all["a wrong password"] = broken{conf: Config{Place: Place{Mount: m}, Login: login.Config{Method: login.Userpass,
		Mount: users, Username: "u", PasswordFile: password}},
		error: "check --vault-auth-username, --vault-auth-password-file", never: tokens,
		mend: func(t *testing.T, _ *Config, _ string, _ error) {
			if err := os.WriteFile(password, []byte("right"), 0o600); err != nil {
				t.Fatal(err)
			}
		}}

	// Addresses.
	all["TLS for none"] = broken{conf: spoilt(func(c *Config) {
		c.Address = strings.Replace(v.Address, "http:", "https:", 1)
	}), error: "write http:// in --vault-addr", mend: give(&good)}
	all["a page"] = broken{conf: spoilt(func(c *Config) {
		c.Address = page.URL
	}), error: "correct --vault-addr", never: "initialise", mend: give(&good)}
	all["a server of other JSON"] = broken{conf: spoilt(func(c *Config) {
		c.Address = json.URL
	}), error: "correct --vault-addr", never: "initialise", mend: give(&good)}
	all["not found"] = broken{conf: spoilt(func(c *Config) {
		c.Address = missing.URL
	}), error: "status 404", mend: give(&good)}
	for status, says := range map[int]string{429: "takes no more requests for now", 502: "does not reach Vault",
		503: "does not reach Vault"} {
		f := newFront(t, v)
		f.set(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { http.Error(w, "<html>", status) })
		all[fmt.Sprintf("a balancer's %d", status)] = broken{conf: spoilt(func(c *Config) {
			c.Address = f.URL
		}), error: says, never: "initialise",
			mend: func(*testing.T, *Config, string, error) { f.set(nil) }}
	}
	gone := vaulttest.Start(t, vaulttest.Persistent(t))
	all["nobody there"] = broken{conf: Config{Address: gone.Address, Token: gone.RootToken},
		error: "start it, or correct --vault-addr", mend: func(t *testing.T, _ *Config, _ string, _ error) {
			gone.Restart(t)
		}}
	gone.Kill()
	shut := vaulttest.Start(t)
	shut.Seal(t)
	all["sealed"] = broken{conf: Config{Address: shut.Address, Token: shut.RootToken},
		error: "unseal it with: vault operator unseal", mend: func(t *testing.T, _ *Config, out string, err error) {
			carryOut(t, shut, err.Error())
			shut.Unseal(t)
		}}
	socket := onSocket(t, v)
	all["no socket"] = broken{conf: spoilt(func(c *Config) {
		c.Address = socket + "-elsewhere"
	}), error: "Vault at " + socket + "-elsewhere cannot be reached", never: "http://localhost|network",
		mend: func(_ *testing.T, c *Config, _ string, _ error) { c.Address = socket }}
	all["a wrong token at a socket"] = broken{conf: spoilt(func(c *Config) {
		c.Address, c.Token = socket, "nonsense"
	}), error: "Vault at " + socket + " refuses the token", never: "http://localhost|network",
		mend: func(_ *testing.T, c *Config, _ string, _ error) { c.Token = good.Token }}
	_, badSecret := approle(m, vaulttest.Policy(m), func(c *login.Config) {
		c.SecretID = "11111111-2222-3333-4444-555555555555"
	})
	all["a wrong secret ID at a socket"] = broken{conf: Config{Address: socket, Place: Place{Mount: m},
		Login: badSecret}, error: "Vault at " + socket + " refuses the log-in",
		never: "http://localhost|network|" + tokens, mend: func(_ *testing.T, c *Config, _ string, _ error) {
			c.Token, c.Login = good.Token, login.Config{}
		}}

	// Certificates.
	tls := Config{Address: secured.Address, Token: secured.RootToken, CACert: ca, ClientCert: cert, ClientKey: key}
	tlsWith := func(change func(c *Config)) Config {
		c := tls
		change(&c)
		return c
	}
	all["no TLS for some"] = broken{conf: tlsWith(func(c *Config) {
		c.Address = strings.Replace(c.Address, "https:", "http:", 1)
	}), error: "write https:// in --vault-addr", mend: give(&tls)}
	all["an unknown authority"] = broken{conf: tlsWith(func(c *Config) {
		c.CACert = clients.File(t, dir)
	}), error: "name its file with --vault-cacert or VAULT_CACERT", mend: give(&tls)}
	all["another name"] = broken{conf: tlsWith(func(c *Config) {
		c.TLSServerName = "elsewhere"
	}), error: "--vault-tls-server-name or VAULT_TLS_SERVER_NAME", mend: give(&tls)}
	all["no client certificate"] = broken{conf: tlsWith(func(c *Config) {
		c.ClientCert, c.ClientKey = "", ""
	}), error: "name one with --vault-client-cert and --vault-client-key", never: "start it", mend: give(&tls)}
	all["a stranger's certificate"] = broken{conf: tlsWith(func(c *Config) {
		c.ClientCert, c.ClientKey = strangeCert, strangeKey
	}), error: "does not take our certificate", never: "start it", mend: give(&tls)}

	maps.Copy(all, loginAdvice(t, v, secured, tls, clients, m))
	for name, b := range all {
		t.Run(name, func(t *testing.T) { t.Parallel(); b.test(t, v) })
	}
}

func (b broken) test(t *testing.T, v *vaulttest.Server) {
	conf := b.conf
	if conf.Address == "" {
		conf.Address = v.Address
	}
	conf.ClientTimeout = new(20 * time.Second)
	examine := func() (string, error) {
		var out bytes.Buffer
		err := Examine(t.Context(), conf, &out)
		return out.String(), err
	}
	out, err := examine()
	if (err == nil) != (b.error == "") || err != nil && !strings.Contains(err.Error(), b.error) {
		t.Fatalf("the check: %v, want %q\n%s", err, b.error, out)
	}
	if !strings.Contains(out, b.says) {
		t.Errorf("the check does not say %q:\n%s", b.says, out)
	}
	started := func() (string, error) {
		l := new(logs)
		c := conf
		c.Logger = l.logger()
		s, err := New(t.Context(), c)
		if err != nil {
			return "", err
		}
		defer s.Close()
		apply(t, s, set("a", "1"))
		wantKeys(t, s, "a")
		return l.String(), nil
	}
	if b.mend == nil {
		if _, err := started(); err != nil {
			t.Errorf("a start after the check: %v", err)
		}
		return
	}
	var log string
	// What is missing of the policies alone does not end a start.
	if b.works || b.error != "MISSING" {
		var startErr error
		if log, startErr = started(); (startErr == nil) != b.works || !b.works && startErr.Error() != err.Error() {
			t.Errorf("a start: %v, the check: %v", startErr, err)
		}
	}
	for never := range strings.SplitSeq(b.never, "|") {
		if text := out + fmt.Sprint(err) + log; never != "" && strings.Contains(text, never) {
			t.Errorf("it speaks of %q:\n%s%v\n%s", never, out, err, log)
		}
	}
	b.mend(t, &conf, out, err)
	if conf.Address == "" {
		conf.Address = v.Address
	}
	conf.ClientTimeout = new(20 * time.Second)
	if out, err := examine(); err != nil {
		t.Errorf("the check, once its advice was followed: %v\n%s", err, out)
	}
	if _, err := started(); err != nil {
		t.Errorf("a start, once the advice was followed: %v", err)
	}
}
