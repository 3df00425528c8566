// Package porttest gives tests addresses on loopback for servers that are ended and started again at the same one.
//
// A port that was merely free a moment ago may be taken by any connection that goes out meanwhile, of this test or of
// another: Linux takes the near end of those from the same range. So the port is held by a socket of the test, which is
// bound and never listens. It keeps others away and lets the server in; where no server listens, connections are
// refused.
package porttest

import (
	"testing"
)

// Address is a host and port that is held until the test has ended.
func Address(t testing.TB) string {
	t.Helper()
	address, release, err := Hold()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return address
}
