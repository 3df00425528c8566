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
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestOwners has two installations that share a Vault, with an organisation of the same name each. The second is
// refused what is the first one's, and told whose it is; its end removes nothing of it; and once it is handed over in
// Vault, it is the second one's.
func TestOwners(t *testing.T) {
	v := vaulttest.Shared(t)
	eachLayout(t, func(t *testing.T, l kv2.Layout) {
		p := Place{Mount: v.MountKV(t), Path: "team/{orgName}", Layout: l}
		named := func(context.Context, id.ID) (string, error) { return "acme", nil }
		conf := Config{Place: p, Token: v.Token(t, hcl(p), time.Hour), OrgName: named}
		first, _ := open(t, v, conf)
		second, _ := open(t, v, conf)
		const other = org + 1
		if l == kv2.LayoutOrg { // another program's, which stays
			v.Write(t, p.Mount, "team/acme", `{"n":1}`)
			v.Do(t, "POST", p.Mount+"/metadata/team/acme",
				map[string]any{"custom_metadata": map[string]string{"by": "hand"}})
		}
		apply(t, first, set("a", "1"))
		apply(t, first, set("a", "2", "b", "1"))
		refused := map[string]error{
			"Apply":  errOf(second.Apply(t.Context(), other, set("a", "3"))),
			"Keys":   errOf(second.Keys(t.Context(), other)),
			"Get":    errOf(secret.Get(t.Context(), second, other, "a")),
			"use":    errOf(useOne(t.Context(), second, other, "a")),
			"two":    errOf(second.Apply(t.Context(), other, set("c", "3", "d", "3"))),
			"delete": errOf(second.Apply(t.Context(), other, secret.Change{Delete: []string{"a"}})),
		}
		for call, err := range refused {
			if !errs.Is(err, errs.Unprocessable) || !strings.Contains(errs.Message(err), org.String()) ||
				strings.Contains(errs.Message(err), "team/") {
				t.Errorf("%s: %v", call, err)
			}
		}
		if holds, err := second.Holds(t.Context(), other); holds || err != nil {
			t.Errorf("it holds something there: %v, %v", holds, err)
		}
		if err := second.Purge(t.Context(), other); err != nil {
			t.Errorf("its end: %v", err)
		}
		wantKeys(t, first, "a", "b")
		if l == kv2.LayoutOrg {
			if got := v.Read(t, p.Mount, "team/acme").Metadata.CustomMetadata; got["by"] != "hand" ||
				got["strongroom_org"] != org.String() {
				t.Errorf("custom metadata %v", got)
			}
			v.Do(t, "POST", p.Mount+"/metadata/team/acme",
				map[string]any{"custom_metadata": map[string]string{"strongroom_org": other.String()}})
		} else if status, answer := v.Do(t, http.MethodDelete, p.Mount+"/metadata/team/acme/%25strongroom/state",
			nil); status >= 300 {
			t.Fatalf("%d %s", status, answer)
		}
		if _, err := second.Apply(t.Context(), other, set("a", "3")); err != nil {
			t.Errorf("once it was handed over: %v", err)
		}
		third, _ := open(t, v, conf)
		if _, err := third.Keys(t.Context(), org); !errs.Is(err, errs.Unprocessable) {
			t.Errorf("the first one's: %v", err)
		}
	})
}

// TestOwnersUntold has a policy that lets entries say nothing: all goes on as without.
func TestOwnersUntold(t *testing.T) {
	v := vaulttest.Shared(t)
	p := Place{Mount: v.MountKV(t), Path: "team/{orgName}"}
	named := func(context.Context, id.ID) (string, error) { return "acme", nil }
	s, log := open(t, v, Config{Place: p, Token: v.Token(t, vaulttest.Policy(p.Mount), time.Hour), OrgName: named})
	apply(t, s, set("a", "1"))
	apply(t, s, set("b", "1"))
	wantKeys(t, s, "a", "b")
	if got := v.Read(t, p.Mount, "team/acme").Metadata.CustomMetadata; len(got) > 0 {
		t.Errorf("custom metadata %v", got)
	}
	if strings.Contains(log.String(), "ERROR") {
		t.Errorf("the log:\n%s", log)
	}
}
