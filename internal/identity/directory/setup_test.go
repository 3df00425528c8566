package directory_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/directory"
	"strongroom/internal/identity/identitytest"
)

func TestOnboardRefuses(t *testing.T) {
	f := identitytest.Open(t, nil)
	ctx := t.Context()
	good := directory.Setup{User: "u", Password: "password", Org: "o", Bucket: "b"}
	for name, tc := range map[string]struct {
		change func(*directory.Setup)
		code   errs.Code
	}{
		"no user":           {func(s *directory.Setup) { s.User = "" }, errs.EmptyValue},
		"no org":            {func(s *directory.Setup) { s.Org = "" }, errs.EmptyValue},
		"no bucket":         {func(s *directory.Setup) { s.Bucket = "" }, errs.EmptyValue},
		"short password":    {func(s *directory.Setup) { s.Password = "short" }, errs.Invalid},
		"long password":     {func(s *directory.Setup) { s.Password = strings.Repeat("x", 73) }, errs.Invalid},
		"blank org":         {func(s *directory.Setup) { s.Org = "  " }, errs.EmptyValue},
		"control character": {func(s *directory.Setup) { s.User = "a\nb" }, errs.Invalid},
		"long name": {func(s *directory.Setup) {
			s.Org = strings.Repeat("x", identity.MaxName+1)
		}, errs.Invalid},
		"system bucket":      {func(s *directory.Setup) { s.Bucket = "_tasks" }, errs.Invalid},
		"short retention":    {func(s *directory.Setup) { s.Retention = time.Minute }, errs.Unprocessable},
		"token with a space": {func(s *directory.Setup) { s.Token = "not a token" }, errs.Invalid},
		"short token":        {func(s *directory.Setup) { s.Token = "short" }, errs.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			w := good
			tc.change(&w)
			_, err := f.Onboard(ctx, identitytest.Nobody(), w)
			identitytest.WantCode(t, err, tc.code)
			if allowed, err := f.SetupAllowed(ctx); err != nil || !allowed {
				t.Errorf("after a refusal the setup is not allowed any more (%v)", err)
			}
		})
	}
	rs, err := f.KV.List(ctx, "", "", 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if !strings.HasPrefix(r.Key, "core/") { // the keyring's
			t.Errorf("refused setups left %s behind", r.Key)
		}
	}
}

func TestOnboardOnlyOnce(t *testing.T) {
	f := identitytest.Open(t, nil)
	var wg sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		wg.Go(func() {
			name := string(rune('a' + i))
			_, results[i] = f.Onboard(t.Context(), identitytest.Nobody(), directory.Setup{User: "user " + name,
				Password: "password", Org: "org " + name, Bucket: "b"})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else {
			identitytest.WantCode(t, err, errs.Conflict)
		}
	}
	if won != 1 {
		t.Errorf("%d setups succeeded at the same time, want 1", won)
	}
}
