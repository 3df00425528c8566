package login

import (
	"fmt"
	"time"
)

// Words is a time as people say it, rounded down: "59 minutes", "1 hour", "90 minutes", "31 days". It is in the largest
// unit of which there are two, or in which it is exact.
func Words(d time.Duration) string {
	for _, unit := range []struct {
		name string
		of   time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		switch {
		case d >= 2*unit.of:
			return fmt.Sprintf("%d %ss", d/unit.of, unit.name)
		case d == unit.of:
			return "1 " + unit.name
		}
	}
	if d /= time.Second; d == 1 {
		return "1 second"
	}
	return fmt.Sprintf("%d seconds", d)
}
