package paste

import "testing"

func TestShellQuote(t *testing.T) {
	if got, want := shellQuote(`it's $HOME`), `'it'\''s $HOME'`; got != want {
		t.Errorf("shellQuote gives %s, want %s", got, want)
	}
}
