package authn

import (
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// An unknown user must cost what a known one does: the hash compared with has the same cost.
func TestUnknownUsersCostTheSame(t *testing.T) {
	for _, cost := range []int{bcrypt.MinCost, bcryptCost} {
		p, err := newPasswords(cost)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := bcrypt.Cost(p.dummy); err != nil || got != cost {
			t.Errorf("the stand-in's cost is %d (%v), want %d", got, err, cost)
		}
		// One that is refused for its form would cost nothing.
		if err := bcrypt.CompareHashAndPassword(p.dummy,
			[]byte("a password")); err != bcrypt.ErrMismatchedHashAndPassword {
			t.Errorf("comparing with the stand-in: %v, want %v", err, bcrypt.ErrMismatchedHashAndPassword)
		}
	}
}
