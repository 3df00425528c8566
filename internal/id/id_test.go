package id

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestParseRefuses(t *testing.T) {
	for s, want := range map[string]error{
		"": ErrLength, "abc": ErrLength, "my-org": ErrLength, "0123456789abcdefff": ErrLength,
		strings.Repeat("0", 17): ErrLength, "0000000000000000": ErrInvalid, "nothexnothexnoth": ErrInvalid,
		"0x23456789abcdef": ErrInvalid, " 123456789abcdef": ErrInvalid, "é123456789abcde": ErrInvalid,
	} {
		if v, err := Parse(s); !errors.Is(err, want) || v.Valid() {
			t.Errorf("Parse(%q) is %v, %v; want %v", s, v, err, want)
		}
	}
	if _, err := ID(0).MarshalText(); !errors.Is(err, ErrInvalid) {
		t.Errorf("the zero ID can be written: %v", err)
	}
	var v struct{ ID ID }
	for _, body := range []string{`{"ID":"x"}`, `{"ID":"0000000000000000"}`, `{"ID":5}`} {
		if err := json.Unmarshal([]byte(body), &v); err == nil {
			t.Errorf("%s is taken as %v", body, v.ID)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for _, s := range []string{"031c8cbefe101000", "0000000000000001", "ffffffffffffffff"} {
		v, err := Parse(s)
		if err != nil || v.String() != s {
			t.Errorf("Parse(%q) is %v, %v", s, v, err)
		}
	}
	if v, err := Parse("0123456789ABCDEF"); err != nil || v.String() != "0123456789abcdef" {
		t.Errorf("upper case: %v, %v", v, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("031c8cbefe101000")
	f.Add("0000000000000000")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := Parse(s)
		if (err == nil) != v.Valid() {
			t.Fatalf("%q: %v, %v", s, v, err)
		}
		if err == nil && v.String() != strings.ToLower(s) {
			t.Fatalf("%q came back as %s", s, v)
		}
	})
}

func TestGenerator(t *testing.T) {
	g := NewGenerator()
	var mu sync.Mutex
	seen := make(map[ID]bool)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			last := ID(0)
			for range 20_000 { // more than one millisecond's sequence
				n := g.Next()
				if n <= last {
					t.Errorf("%s comes after %s", n, last)
				}
				last = n
				mu.Lock()
				if seen[n] {
					t.Errorf("%s was given twice", n)
				}
				seen[n] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestGeneratorWhenTheClockGoesBack(t *testing.T) {
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	g := NewGenerator()
	g.now = func() time.Time { return now }
	first := g.Next()
	now = now.Add(-time.Hour)
	if second := g.Next(); second <= first {
		t.Errorf("%s comes after %s", second, first)
	}
	now = time.Time{} // before the epoch
	g = &Generator{now: g.now}
	if n := g.Next(); !n.Valid() {
		t.Error("a clock before the epoch gives the zero ID")
	}
}
