package paste

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"strongroom/internal/id"
)

// hostile are names that could turn a text around, in whichever language it is.
var hostile = []string{`db/password`, `it's $HOME`, `say "hi"`, `back\slash`, `${env}`, `\${x}`, "a`b", `x" + y`, `ßé`, `}}`,
	"-e", `#{y}`, `\`, `"`, `$`, `{`, `\x41`, `%s`}

func TestShellQuote(t *testing.T) {
	if got, want := shellQuote(`it's $HOME`), `'it'\''s $HOME'`; got != want {
		t.Errorf("shellQuote gives %s, want %s", got, want)
	}
}

// readFlux reads what the text says to ask for, by the rules of Flux's specification ("String literals"): it ends at the
// first quotation mark that no backslash is before, ${ begins an expression, and a backslash is before a mark, another
// backslash, a $, n, r, t, or x with two digits.
func readFlux(script string) (string, error) {
	const begins, ends = "import \"influxdata/influxdb/secrets\"\n\nvalue = secrets.get(key: \"", ")"
	literal, ok := strings.CutPrefix(script, begins)
	if !ok {
		return "", fmt.Errorf("it does not begin with %q", begins)
	}
	var b strings.Builder
	for i := 0; i < len(literal); i++ {
		switch c := literal[i]; {
		case c == '"':
			if rest := literal[i+1:]; rest != ends {
				return "", fmt.Errorf("behind the string stands %q", rest)
			}
			return b.String(), nil
		case c == '$' && strings.HasPrefix(literal[i:], "${"):
			return "", fmt.Errorf("an expression begins at %q", literal[i:])
		case c == '\n' || c == '\r':
			return "", fmt.Errorf("a line ends in it")
		case c != '\\':
			b.WriteByte(c)
		case i+1 == len(literal):
			return "", fmt.Errorf("it ends with a backslash")
		default:
			i++
			switch e := literal[i]; e {
			case '"', '\\', '$':
				b.WriteByte(e)
			default:
				return "", fmt.Errorf("a backslash stands before %q", e)
			}
		}
	}
	return "", fmt.Errorf("it has no end")
}

// TestTextsHoldTheName reads back, from each text, the name that it is for, by the rules of its language. Shells, Go,
// Telegraf and External Secrets are tried with the programs elsewhere.
func TestTextsHoldTheName(t *testing.T) {
	at := Place{Origin: "https://secrets.example.com", Org: id.ID(0x31c8cbefa101000)}
	for _, key := range hostile {
		texts := make(map[string]string)
		for _, p := range Secret(at, key) {
			if texts[p.For] = p.Text; (p.Text == "") == (p.Why == "") {
				t.Errorf("%q: %s has a text and a reason for none, or neither", key, p.For)
			}
			if strings.Contains(p.Text, "<origin>") || strings.Contains(p.Text, "<org>") {
				t.Errorf("%q: %s is not filled in: %s", key, p.For, p.Text)
			}
		}
		if got, err := readFlux(texts["Flux"]); err != nil || got != key {
			t.Errorf("%q: Flux asks for %q, %v", key, got, err)
		}
		_, after, _ := strings.Cut(texts["Go"], at.Org.String()+`", `)
		literal, err := strconv.QuotedPrefix(after)
		if got, _ := strconv.Unquote(literal); err != nil || got != key {
			t.Errorf("%q: Go asks for %q, %v", key, got, err)
		}
		if external := texts["External Secrets in Kubernetes"]; external != "" {
			_, after, _ := strings.Cut(external, "remoteRef:\n        key: ")
			var got string
			if err := json.Unmarshal([]byte(after), &got); err != nil || got != key {
				t.Errorf("%q: External Secrets asks for %q, %v", key, got, err)
			}
		}
		if telegraf := texts["Telegraf"]; telegraf != "" && !strings.HasSuffix(telegraf, "@{strongroom:"+key+"}") {
			t.Errorf("%q: Telegraf asks otherwise: %s", key, telegraf)
		}
	}
}
