package command

import (
	"context"
	"errors"
	"testing"
)

func TestAnswers(t *testing.T) {
	var a Answers
	asked := 0
	answer, fails := "one", error(nil)
	ask := func(context.Context, bool) ([]byte, error) { asked++; return []byte(answer), fails }
	want := func(file string, fresh bool, text string, times int) {
		t.Helper()
		got, err := a.Once(file, ask)(t.Context(), fresh)
		if err != nil || string(got) != text || asked != times {
			t.Errorf("%s: %q after %d questions, %v; want %q after %d", file, got, asked, err, text, times)
		}
		clear(got) // as whoever asks does
	}
	fails = errors.New("interrupted")
	if _, err := a.Once("a", ask)(t.Context(), false); !errors.Is(err, fails) {
		t.Errorf("an interrupted question: %v", err)
	}
	fails = nil
	want("a", false, "one", 2)
	answer = "two"
	want("a", false, "one", 2)
	want("b", false, "two", 3) // of another file
	want("a", true, "two", 4)  // a new one
	want("a", false, "one", 4)
	a.Forget()
	want("a", false, "two", 5)
}
