package vault

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestKeeping has Vault delete by itself, for a mount and for an entry: the examination finds that out, and what it
// says to do about it helps.
func TestKeeping(t *testing.T) {
	v := vaulttest.Shared(t)
	eachLayout(t, func(t *testing.T, l kv2.Layout) {
		mount := v.MountKV(t)
		p := Place{Mount: mount, Path: "influxdb/{org}", Layout: l}
		entry := "influxdb/" + org.String()
		if l == LayoutSecret {
			entry += "/db"
		}
		examined := func(token string) string {
			t.Helper()
			var out bytes.Buffer
			if err := Examine(t.Context(), Config{Place: p, Token: token, Address: v.Address}, &out); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		want := func(out string, warnings ...string) {
			t.Helper()
			for _, w := range warnings {
				if !strings.Contains(out, w) {
					t.Errorf("no %q in:\n%s", w, out)
				}
			}
			if n := strings.Count(out, "delete_version_after),"); n != len(warnings) {
				t.Errorf("%d warnings, want %d:\n%s", n, len(warnings), out)
			}
		}
		settings := func(path string, set map[string]any) {
			t.Helper()
			if status, answer := v.Do(t, "POST", mount+"/"+path, set); status >= 300 {
				t.Fatalf("%s: %d: %s", path, status, answer)
			}
		}
		s, log := open(t, v, Config{Place: p})
		apply(t, s, set("db", "1"))
		want(examined(v.RootToken))

		settings("config", map[string]any{"delete_version_after": "26h", "max_versions": 1})
		out := examined(v.RootToken)
		want(out, "warning: "+mount+"/: Vault deletes a value 26 hours after")
		if got := strings.Contains(out, "Vault keeps one version"); got != (l == LayoutSecret) {
			t.Errorf("it speaks of one version: %t\n%s", got, out)
		}
		if strings.Contains(log.String(), "WARN") {
			t.Errorf("the first start warned:\n%s", log)
		}
		if _, log := open(t, v, Config{Place: p}); !strings.Contains(log.String(),
			"Vault deletes a value 26 hours after") {
			t.Errorf("a start does not warn:\n%s", log)
		}
		// As it says.
		settings("config", map[string]any{"delete_version_after": "0s", "max_versions": 10})
		settings("metadata/"+entry, map[string]any{"delete_version_after": "90m"})
		want(examined(v.RootToken), "warning: "+mount+"/data/"+entry+": Vault deletes a value 90 minutes after")
		settings("metadata/"+entry, map[string]any{"delete_version_after": "0s"})
		out = examined(v.RootToken)
		want(out)
		if strings.Contains(out, "not known") {
			t.Errorf("it does not know:\n%s", out)
		}
		apply(t, s, set("db", "2"))
		if status, answer := v.Do(t, "GET", mount+"/data/"+entry, nil); !strings.Contains(string(answer),
			`"deletion_time":""`) {
			t.Errorf("what is written now ends all the same: %d, %s", status, answer)
		}

		// Who may not look is told so.
		if out := examined(v.Token(t, policy(p), time.Hour)); !strings.Contains(out,
			"the token may not read "+mount+"/config") {
			t.Errorf("it does not say that it does not know:\n%s", out)
		}
	})
}
