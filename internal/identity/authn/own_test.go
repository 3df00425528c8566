package authn_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity/identitytest"
)

// TestOwnPassword sets one's own password without the old one: no session may, nor a token that one can make in it.
func TestOwnPassword(t *testing.T) {
	f := identitytest.Onboarded(t)
	ann := f.AddUser(t, "ann")
	session := f.CallerBySession(t, f.MustSignIn(t, "ann", identitytest.UserPassword))
	operators := f.CallerBySession(t, f.MustSignIn(t, "admin", identitytest.AdminPassword))
	token := identitytest.Holder(access.Self(ann.ID)...)
	token.UserID = ann.ID
	for who, c := range map[string]*access.Caller{"a session": session, "a token for oneself": token,
		"an operator's session": operators} {
		err := f.SetPassword(t.Context(), c, c.UserID, "taken over now")
		if !errs.Is(err, errs.Forbidden) {
			t.Errorf("%s: %v", who, err)
		}
	}
	f.MustSignIn(t, "ann", identitytest.UserPassword)
	if err := f.SetPassword(t.Context(), operators, ann.ID, "set by an operator"); err != nil {
		t.Errorf("another's: %v", err)
	}
	if err := f.SetPassword(t.Context(), f.Root, f.First.User.ID, "set by their token"); err != nil {
		t.Errorf("an operator's token: %v", err)
	}
	if err := f.ChangePassword(t.Context(), identitytest.Nobody(), "ann", "set by an operator",
		"with the old one"); err != nil {
		t.Errorf("with the old one: %v", err)
	}
}

// TestFloodOfSignIns has many sign in as one user, from one address and from many. Few of them
// wait, and nobody else does.
func TestFloodOfSignIns(t *testing.T) {
	f := identitytest.Onboarded(t)
	f.AddUser(t, "ann")
	release := f.Occupy()
	var wg sync.WaitGroup
	var mu sync.Mutex
	refused := 0
	for i := range 100 {
		wg.Go(func() {
			c := identitytest.Nobody()
			c.Address = "192.0.2." + string(rune('0'+i%10))
			if _, err := f.SignIn(t.Context(), c, "ann", identitytest.UserPassword); errs.Is(err,
				errs.TooManyRequests) {
				mu.Lock()
				defer mu.Unlock()
				refused++
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	for { // until all who are not let in to wait have their answer
		mu.Lock()
		done := refused >= 90
		mu.Unlock()
		if done {
			break
		}
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	admin := make(chan error, 1)
	go func() {
		c := identitytest.Nobody()
		c.Address = "198.51.100.1"
		_, err := f.SignIn(ctx, c, "admin", identitytest.AdminPassword)
		admin <- err
	}()
	release()
	if err := <-admin; err != nil {
		t.Errorf("the operator, meanwhile: %v", err)
	}
	wg.Wait()
	f.MustSignIn(t, "ann", identitytest.UserPassword) // and nothing of it is left
}
