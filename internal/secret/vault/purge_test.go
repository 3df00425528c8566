package vault

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestEndRefused has a policy that does not let an organisation's secrets be removed at its end. Nobody sees them any
// more; it is told what is to be done; and once that has been done, in either way, the end comes to its own.
func TestEndRefused(t *testing.T) {
	v := vaulttest.Shared(t)
	eachLayout(t, func(t *testing.T, l kv2.Layout) {
		for _, byHand := range []bool{false, true} {
			for _, may := range []string{"delete", "read"} { // the latest versions, or nothing
				t.Run(map[bool]string{false: "policy", true: "by hand"}[byHand]+" "+may, func(t *testing.T) {
					t.Parallel()
					endRefused(t, v, Place{Mount: v.MountKV(t), Path: "team/{org}", Layout: l}, byHand, may)
				})
			}
		}
	})
}

func endRefused(t *testing.T, v *vaulttest.Server, p Place, byHand bool, may string) {
	whole := hcl(p)
	without := strings.ReplaceAll(whole, `"delete", `, "")
	switch {
	case may == "delete":
		without = strings.Replace(without, `"create", `, `"create", "delete", `, 1)
	case p.Layout == kv2.LayoutSecret:
		without = strings.ReplaceAll(without, p.Mount+"/delete/", p.Mount+"/nothing/")
	}
	policy := v.WritePolicy(t, without)
	conf := Config{Place: p, Token: v.NewToken(t, map[string]any{"policies": []string{policy}, "ttl": "1h"})}
	s, _ := open(t, v, conf)
	apply(t, s, set("a", "1", "b/c", "1"))
	for range 2 {
		err := s.Purge(t.Context(), org)
		wantUnavailable(t, "Purge", err, "permission denied", v)
		if text := errs.Message(err); !strings.Contains(text, "vault check") || !strings.Contains(text, "by hand") {
			t.Errorf("it is not told what to do: %s", text)
		}
	}
	if may == "delete" || p.Layout == kv2.LayoutSecret {
		wantKeys(t, s)
	}
	check := conf
	check.Address, check.ClientTimeout = v.Address, new(30*time.Second)
	var out bytes.Buffer
	if err := Examine(t.Context(), check, &out); err == nil || !strings.Contains(out.String(), "MISSING; ") ||
		!strings.Contains(out.String(), "waits for it") ||
		p.Layout == kv2.LayoutSecret && !strings.Contains(out.String(), "the organisation has ended, and not all") {
		t.Errorf("the check: %v\n%s", err, &out)
	}
	at := path.Join(p.Mount, "metadata", "team", org.String())
	if byHand {
		entries := []string{""}
		if p.Layout == kv2.LayoutSecret {
			entries = []string{"/a", "/b/c", "/%25strongroom/state"}
			var parts struct{ Data struct{ Keys []string } }
			_, answer := v.Do(t, "LIST", at+"/%25strongroom/journal", nil)
			if err := json.Unmarshal(answer, &parts); err != nil {
				t.Fatal(err)
			}
			// The one in which the two were set is there still, since it could not be removed either.
			for _, part := range parts.Data.Keys {
				status, answer := v.Do(t, http.MethodGet, p.Mount+"/data/team/"+org.String()+
					"/%25strongroom/journal/"+part, nil)
				if may == "delete" && status != http.StatusNotFound {
					t.Errorf("values are left in a journal: %d %s", status, answer)
				}
				entries = append(entries, "/%25strongroom/journal/"+part)
			}
			if len(parts.Data.Keys) == 0 {
				t.Error("there is no journal")
			}
		}
		for _, e := range entries {
			if status, answer := v.Do(t, http.MethodDelete, at+e, nil); status >= 300 {
				t.Fatalf("%d %s", status, answer)
			}
		}
	} else {
		v.ConfigurePolicy(t, policy, whole)
	}
	if err := s.Purge(t.Context(), org); err != nil {
		t.Errorf("once that was done: %v", err)
	}
	for _, method := range []string{"LIST", http.MethodGet} {
		if status, answer := v.Do(t, method, at, nil); status != http.StatusNotFound {
			t.Errorf("%s: what is left: %d %s", method, status, answer)
		}
	}
}
