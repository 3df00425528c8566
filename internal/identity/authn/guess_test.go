package authn_test

import (
	"fmt"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/identitytest"
)

// TestGuessedTokens guesses given tokens from one address until it may no more: the right one is then refused, too.
func TestGuessedTokens(t *testing.T) {
	f := identitytest.Onboarded(t)
	given := "a-given-token-of-some-length"
	_, _, err := f.Authorize(t.Context(), f.Root, authorizations.Wanted{OrgID: f.First.Org.ID, Token: given,
		Permissions: []access.Permission{access.To(access.Read, access.Resource{Type: access.Secrets,
			OrgID: f.First.Org.ID})}})
	if err != nil {
		t.Fatal(err)
	}
	const here, elsewhere = "192.0.2.1", "192.0.2.2"
	tries := 0
	for ; err == nil || errs.Is(err, errs.Unauthorized); tries++ {
		if tries > 10_000 {
			t.Fatal("nothing ends the guessing")
		}
		_, err = f.ByTokenFrom(t.Context(), fmt.Sprint("guess-", tries), here)
	}
	if !errs.Is(err, errs.TooManyRequests) {
		t.Fatal(err)
	}
	_, err = f.ByTokenFrom(t.Context(), given, here)
	identitytest.WantCode(t, err, errs.TooManyRequests)
	if _, err := f.ByTokenFrom(t.Context(), f.First.Token, here); err != nil {
		t.Errorf("a token that was made is locked out: %v", err)
	}
	_, err = f.ByTokenFrom(t.Context(), authn.NewToken(), here)
	identitytest.WantCode(t, err, errs.Unauthorized)
	for range 2 * tries { // what is known costs nothing
		if _, err := f.ByTokenFrom(t.Context(), given, elsewhere); err != nil {
			t.Fatalf("from elsewhere: %v", err)
		}
	}
	if _, err := f.ByTokenFrom(t.Context(), given, here); err != nil {
		t.Errorf("used elsewhere, and so known: %v", err)
	}
	f.Forget()
	f.Clock.Add(time.Hour)
	if _, err := f.ByTokenFrom(t.Context(), given, here); err != nil {
		t.Errorf("later: %v", err)
	}
}
