package browser

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// useToken makes a token that may use secrets, by its page.
func (b *tab) useToken(org string) string {
	b.Helper()
	b.open(org + "/tokens/new")
	b.typeIn("#description", "to use")
	b.click("[name=use]")
	b.click("main form .button")
	b.see("Your new token")
	return js[string](b, "document.querySelector('.token code').textContent")
}

// snippet is the text of a kind that the page of a secret has to paste.
func (b *tab) snippet(kind string) string {
	b.Helper()
	return js[string](b, "document.querySelector('[aria-label="+quoted(kind)+"] code')?.textContent ?? ''")
}

// TestSecretIsUsed runs what the page of a secret says to paste, for names that could turn it around: each gets the
// value.
func TestSecretIsUsed(t *testing.T) {
	influx, err := filepath.Abs(filepath.Join("../../bin", "influx"))
	if bin := os.Getenv("STRONGROOM_BIN"); bin != "" {
		influx = filepath.Join(bin, "influx")
	}
	check(t, err)
	if _, err := os.Stat(influx); err != nil {
		t.Fatalf("there is no %s: run make build", influx)
	}
	b := openTab(t, startServer(t))
	org := b.setUp()
	keys := []string{"db/password", "telegraf_db", "-e 'a' \"$(touch /tmp/hacked)\" & ", "ßé", "x y=z+%2F"}
	for _, key := range keys {
		b.add(org, key, secretValue)
	}
	token := b.useToken(org)
	for i, key := range keys {
		b.open(org + "/secret?key=" + url.QueryEscape(key))
		run := func(kind, script string) {
			t.Helper()
			c := exec.CommandContext(t.Context(), "sh", "-c", script)
			c.Env = append(os.Environ(), "INFLUX_TOKEN="+token, "HOME="+t.TempDir(), "GOCACHE="+os.Getenv("GOCACHE"))
			c.Dir = t.TempDir()
			check(t, os.WriteFile(filepath.Join(c.Dir, "app"), []byte("#!/bin/sh\nenv\n"), 0o755))
			if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), secretValue) {
				t.Errorf("%q: %s gives %q, %v, of\n%s", key, kind, out, err, script)
			}
		}
		run("curl", strings.Replace(b.snippet("curl"), "curl ", "curl --silent --fail-with-body ", 1))
		run("exec", strings.Replace(b.snippet("A program that has it as a variable"), "influx secret", influx+" secret", 1))
		if telegraf := b.snippet("Telegraf"); strings.Contains(telegraf, "@{strongroom:telegraf_db}") != (key == "telegraf_db") {
			t.Errorf("%q: for Telegraf: %s", key, telegraf)
		}
		external := b.snippet("External Secrets in Kubernetes")
		if spaced := strings.Contains(key, " "); spaced != (external == "") ||
			!spaced && !strings.HasSuffix(external, "key: "+quoted(key)) {
			t.Errorf("%q: for External Secrets: %s", key, external)
		}
		if i == 0 || i == 2 { // a build takes seconds
			b.runGo(key, token)
		}
	}
	if _, err := os.Stat("/tmp/hacked"); err == nil {
		t.Error("a name ran as a command")
	}
}

// runGo builds and runs the page's text in Go.
func (b *tab) runGo(key, token string) {
	b.Helper()
	file := filepath.Join(b.TempDir(), "main.go")
	check(b.T, os.WriteFile(file, []byte("package main\n\nimport (\n\"context\"\n\"fmt\"\n\"log\"\n\"os\"\n\n"+
		"\"strongroom/client\"\n)\n\nfunc use(s string) { fmt.Println(s) }\n\nfunc main() {\n"+b.snippet("Go")+"\n}\n"), 0o600))
	c := exec.CommandContext(b.Context(), "go", "run", file)
	c.Env = append(os.Environ(), "INFLUX_TOKEN="+token)
	if out, err := c.CombinedOutput(); err != nil || string(out) != secretValue+"\n" {
		b.Errorf("%q: Go gives %q, %v, of\n%s", key, out, err, b.snippet("Go"))
	}
}

// TestRenameAndCopy gives a secret a new name, with its versions, and copies it into another organisation.
func TestRenameAndCopy(t *testing.T) {
	b := openTab(t, startServer(t))
	org := b.setUp()
	b.open(org + "/secrets/new")
	b.typeIn("#key", "old")
	b.typeIn("#value", "1")
	b.click("details:has(#description) summary")
	b.typeIn("#description", "rings whoever is on call")
	js[bool](b, "document.querySelector('#expires').value = '2030-01-31'; true")
	b.click("main form .button:not([type=button])")
	b.see("The value is saved")
	b.see("rings whoever is on call")
	b.see("replace by 31 January 2030")
	b.typeIn("#value", "2")
	b.click("#replace .button")
	b.see("Version 2 ·")
	b.add(org, "taken", "x")

	b.open(org + "/secret?key=old")
	b.click("#more summary")
	b.click("#more a")
	b.typeIn("#to", "taken")
	b.click("[value=move]")
	b.see("there is a secret named \"taken\" already")
	b.typeIn("#to", "new/name")
	b.click("[value=move]")
	b.see("“old” is moved, with 1 earlier version.")
	b.at(org + "/secret?key=new%2Fname")
	b.see("Version 2 ·")
	b.see("rings whoever is on call")
	b.open(org + "/secret?key=old")
	b.see("This secret was deleted")

	b.open("/orgs")
	b.typeIn("#name", "Other")
	b.click("main section .button")
	b.see("No secret yet")
	other := js[string](b, "location.pathname.replace('/orgs/', '').replace('/secrets', '')")
	b.open(org + "/secret/copy?key=new%2Fname")
	js[bool](b, "document.querySelector('#org').value = "+quoted(other)+"; true")
	b.click("[value=copy]")
	b.see("“new/name” is copied, with 1 earlier version.")
	b.at("/orgs/" + other + "/secret?key=new%2Fname")
	b.open(org + "/secret?key=new%2Fname")
	b.see("Version 2 ·")
	b.hides(secretValue)
}
