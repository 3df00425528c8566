package words

import (
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/errs"
)

func TestAgo(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	for d, want := range map[time.Duration]string{
		0: "just now", 44 * time.Second: "just now", 50 * time.Second: "1 minute ago", 3 * time.Minute: "3 minutes ago",
		59*time.Minute + 45*time.Second: "1 hour ago", 23 * time.Hour: "23 hours ago", day: "1 day ago",
		59 * day: "59 days ago", 90 * day: "3 months ago", 365 * day: "12 months ago", 730 * day: "2 years ago",
		-10 * time.Second: "in a moment", -30 * day: "in 30 days", -89*day - 23*time.Hour: "in 3 months",
		-2 * time.Minute: "in 2 minutes",
	} {
		if got := Ago(now.Add(-d), now); got != want {
			t.Errorf("%v ago is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 secrets", 1: "1 secret", 1000: "1,000 secrets",
		1234567: "1,234,567 secrets"} {
		if got := Count(n, "secret"); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestContains(t *testing.T) {
	for pair, want := range map[[2]string]bool{{"db/Password", "PASS"}: true, {"db", ""}: true, {"", "db"}: false,
		{"db", "dba"}: false} {
		if got := Contains(pair[0], pair[1]); got != want {
			t.Errorf("%q contains %q: %v", pair[0], pair[1], got)
		}
	}
}

func TestUnseen(t *testing.T) {
	for text, want := range map[string]string{"": "", "db/password é 密码": "", "a\u200bb": "U+200B",
		"a\u202e\u200b\u202eb": "U+202E, U+200B", "no\u00a0break": "U+00A0", "\u3164": "U+3164",
		"\U000e0041": "U+E0041"} {
		if got := Unseen(text); got != want {
			t.Errorf("%q has %q, want %q", text, got, want)
		}
	}
}

func TestTried(t *testing.T) {
	for did, want := range map[string]string{"deleted it": "tried to delete it", "set": "tried to set",
		"looked at a user": "tried to look at a user", "came with a token": "came with a token",
		"secrets.new": "secrets.new", "": ""} {
		if got := Tried(did); got != want {
			t.Errorf("of %q it says %q, want %q", did, got, want)
		}
	}
}

// TestActionsHaveWords: whatever can stand in the audit log is said in words, also when it was tried in vain, and there
// are no words for what cannot.
func TestActionsHaveWords(t *testing.T) {
	for _, a := range audit.Actions {
		did := Did(a)
		if did == a || Tried(did) == did {
			t.Errorf("%s is told as %q, in vain as %q", a, did, Tried(did))
		}
		if group, act, _ := strings.Cut(a, "."); group == "secrets" && act != "list" && act != "deleted" &&
			act != "export" {
			it := DidIt(a)
			if !strings.Contains(it+" ", " it ") || Tried(it) == it {
				t.Errorf("%s is told of one secret as %q, in vain as %q", a, it, Tried(it))
			}
		}
	}
	for _, table := range []map[string]string{past, pastIt} {
		for a := range table {
			if !slices.Contains(audit.Actions, a) {
				t.Errorf("there are words for %q, which nothing puts on record", a)
			}
		}
	}
}

// TestCodesHaveWords: each code of an error has a reason in words, which is not the code.
func TestCodesHaveWords(t *testing.T) {
	for _, c := range errs.Codes() {
		why := Why("", string(c))
		if why == "" || strings.Contains(why, string(c)) && c != errs.Conflict {
			t.Errorf("the code %q is told as %q", c, why)
		}
	}
	if why := Why("", "no such code"); why != "" {
		t.Errorf("a code that is not known is told as %q", why)
	}
	for a, of := range reasonsOf {
		if !slices.Contains(audit.Actions, a) {
			t.Errorf("there are reasons for %q, which nothing puts on record", a)
		}
		for c := range of {
			if reasons[c] == "" {
				t.Errorf("%s has a reason for %q, which is no code", a, c)
			}
		}
	}
}

func TestSentence(t *testing.T) {
	for s, want := range map[string]string{"": "", "it is sealed": "it is sealed.", "why?": "why?", "done.": "done.",
		"and so on…": "and so on…"} {
		if got := Sentence(s); got != want {
			t.Errorf("%q became %q, want %q", s, got, want)
		}
	}
}
