package vault

import "testing"

func TestPatternsMeet(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"secret/data/*", "secret/data/031c8cbefe101000", true},
		{"secret/data/*", "secret/data/*", true},
		{"secret/data/*", "secret/*", true},
		{"secret/data/*", "*", true},
		{"secret/data/*", "secret/da*", true},
		{"secret/data/*", "secret/metadata/*", false},
		{"secret/data/*", "other/data/x", false},
		{"secret/data/team/*", "secret/data/te*", true},
		{"secret/data/team/*", "secret/data/other/*", false},
		{"secret/data/+/x", "secret/data/a/x", true},
		{"secret/data/+/x", "secret/data/a/y", false},
		{"secret/data/+/x", "secret/data/a", false},
		{"secret/data/+/x*", "secret/data/a/xyz", true},
		{"secret/data/fixed", "secret/data/fixed", true},
		{"secret/data/fixed", "secret/data/fixed/below", false},
		{"secret/data/fixed", "secret/data/f*", true},
	} {
		if meet(tt.a, tt.b) != tt.want || meet(tt.b, tt.a) != tt.want {
			t.Errorf("%s and %s: want %t both ways", tt.a, tt.b, tt.want)
		}
	}
}
