package login

import (
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                "0 seconds",
		999 * time.Millisecond:           "0 seconds",
		time.Second:                      "1 second",
		59*time.Second + 1:               "59 seconds",
		time.Minute:                      "1 minute",
		time.Minute + time.Second:        "61 seconds",
		2*time.Minute - 1:                "119 seconds",
		2 * time.Minute:                  "2 minutes",
		59*time.Minute + 55*time.Second:  "59 minutes",
		time.Hour:                        "1 hour",
		90*time.Minute + 59*time.Second:  "90 minutes",
		47 * time.Hour:                   "47 hours",
		24 * time.Hour:                   "1 day",
		768 * time.Hour:                  "32 days",
		768*time.Hour - time.Millisecond: "31 days",
	} {
		if got := Words(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
