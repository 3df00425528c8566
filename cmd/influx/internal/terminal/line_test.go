package terminal

import "testing"

func TestTrimSingleLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                    "",
		"\n":                  "",
		"\r\n":                "",
		"one":                 "one",
		"one\n":               "one",
		"one\r\n":             "one",
		"one\r":               "one\r",
		" one \n":             " one ",
		"one\n\n":             "one\n\n",
		"first\nsecond":       "first\nsecond",
		"first\nsecond\n":     "first\nsecond\n",
		"first\r\nsecond\r\n": "first\r\nsecond\r\n",
	} {
		if got := string(TrimSingleLine([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
