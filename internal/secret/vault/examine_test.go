package vault

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/login"
	"strongroom/internal/secret/vault/vaulttest"
)

func TestExamine(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	for name, tt := range map[string]struct {
		conf Config
		err  string
		want []string
	}{
		"a start would end": {Config{Token: "wrong"}, "refuses the token", []string{"reachable    yes"}},
		"a log-in that fails": {Config{Login: login.Config{Method: login.AppRole, RoleID: "x", SecretID: "y",
			Mount: v.EnableAuth(t, "approle")}},
			"refuses the log-in", []string{"reachable    yes"}},
		"missing": {Config{Token: v.Token(t, vaulttest.PolicyOf(mount, "read", "create"), time.Hour)}, "MISSING",
			[]string{"update on " + mount + "/data/0000000000000001: MISSING",
				"delete on " + mount + "/metadata/0000000000000001: MISSING", "; the token lasts for ",
				" and is renewed"}},
		"enough": {Config{Token: v.Token(t, vaulttest.Policy(mount), time.Hour)}, "",
			[]string{"create, read, update on " + mount + "/data/0000000000000001: yes",
				"patch on " + mount + "/data/0000000000000001: no; works without"}},
		"read only": {Config{Token: v.Token(t, vaulttest.PolicyOf(mount, "read"), time.Hour),
			Place: Place{ReadOnly: true}}, "", []string{"read on " + mount + "/data/0000000000000001: yes"}},
		"a route": {Config{Token: v.RootToken, Routes: map[id.ID]Place{org: {Path: "team/a"}}}, "",
			[]string{`path "` + mount + `/data/team/a" {`, "does not end"}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.conf.Address, tt.conf.Place.Mount, tt.conf.ClientTimeout = v.Address, mount, new(30*time.Second)
			var out bytes.Buffer
			err := Examine(t.Context(), tt.conf, &out)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want %q\n%s", err, tt.err, &out)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in:\n%s", want, &out)
				}
			}
			if tt.conf.Token != "" && strings.Contains(out.String(), tt.conf.Token) {
				t.Error("it shows the token")
			}
		})
	}
}

// The policy that is printed serves, and is the smallest: without any of its lines that may not be
// left out, it does not.
func TestPolicyServes(t *testing.T) {
	v := vaulttest.Shared(t)
	eachLayout(t, func(t *testing.T, l kv2.Layout) {
		p := Place{Mount: v.MountKV(t), Path: "influxdb/{org}", Layout: l}
		var out bytes.Buffer
		if err := Examine(t.Context(), Config{Place: p, Token: v.RootToken, Address: v.Address}, &out); err != nil {
			t.Fatal(err)
		}
		_, policy, _ := strings.Cut(out.String(), "serves all of it:\n")
		s, log := open(t, v, Config{Place: p, Token: v.Token(t, policy, time.Hour)})
		apply(t, s, set("a", "1"))
		apply(t, s, set("b", "1"))
		apply(t, s, secret.Change{Set: set("c", "1").Set, Delete: []string{"a"}})
		wantKeys(t, s, "b", "c")
		if err := s.Purge(t.Context(), org); err != nil {
			t.Error(err)
		}
		if strings.Contains(log.String(), "WARN") || strings.Contains(log.String(), "ERROR") {
			t.Errorf("the log:\n%s", log)
		}
	})
}
