// Package pairs reads names and values out of the files that people keep them in: a flat JSON object, or a dotenv file.
// No error holds a value: each names the line, or the name.
package pairs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"strongroom/internal/errs"
)

// Pair is one name with its value.
type Pair struct {
	Name  string
	Value []byte
}

// Parse reads JSON where the text begins with a brace, and dotenv otherwise. The pairs come in the order of the text; a
// name that comes twice is an error, since it is not known which value was meant.
func Parse(text []byte) ([]Pair, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("the text is not valid UTF-8")
	}
	switch bare := bytes.TrimLeft(text, " \t\r\n"); {
	case bytes.HasPrefix(bare, []byte("{")):
		return parseJSON(text)
	case bytes.HasPrefix(bare, []byte("[")):
		return nil, fmt.Errorf("a JSON list has no names; an object is needed, {\"name\": \"value\"}")
	}
	return parseDotenv(string(text))
}

func parseJSON(text []byte) ([]Pair, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	line := func() int { return 1 + bytes.Count(text[:min(int(dec.InputOffset()), len(text))], []byte("\n")) }
	wrong := func() error { return fmt.Errorf("the JSON is broken near line %d", line()) }
	if _, err := dec.Token(); err != nil { // the opening brace
		return nil, wrong()
	}
	var pairs []Pair
	seen := make(map[string]bool)
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, wrong()
		}
		name, ok := t.(string)
		if !ok {
			return nil, wrong()
		}
		if t, err = dec.Token(); err != nil {
			return nil, wrong()
		}
		value, ok := t.(string)
		if !ok {
			return nil, fmt.Errorf("line %d: the value of %q must be a string in quotes", line(), errs.Clip(name))
		}
		if seen[name] {
			return nil, fmt.Errorf("line %d: %q comes a second time", line(), errs.Clip(name))
		}
		seen[name] = true
		pairs = append(pairs, Pair{name, []byte(value)})
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, wrong()
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("line %d: there is more text after the JSON object", line())
	}
	return pairs, nil
}

// parseDotenv reads lines NAME=value, as the dotenv libraries of Ruby, JavaScript and Python agree on them: an "export
// " before the name and lines that begin with # are passed over; a value in single quotes stands as it is, one in
// double quotes may have \n, \r, \t, \", \\ and \$; both may go over several lines; one without quotes ends at " #" or
// the line's end and loses the spaces around it. Nothing is expanded: $NAME stays as it is.
func parseDotenv(text string) ([]Pair, error) {
	var pairs []Pair
	var wrong []string
	seen := make(map[string]bool)
	line := 1
	for text != "" && len(wrong) < mostWrong {
		first, rest, _ := strings.Cut(text, "\n")
		bare := strings.TrimSpace(first)
		if bare == "" || strings.HasPrefix(bare, "#") {
			text, line = rest, line+1
			continue
		}
		name, _, ok := strings.Cut(first, "=")
		if !ok {
			wrong = append(wrong, fmt.Sprintf("line %d has no = between a name and a value", line))
			text, line = rest, line+1
			continue
		}
		value := text[len(name)+1:]
		if n, ok := strings.CutPrefix(strings.TrimSpace(name), "export "); ok {
			name = n
		}
		name = strings.TrimSpace(name)
		if name == "" {
			wrong = append(wrong, fmt.Sprintf("line %d has no name before the =", line))
		} else if seen[name] {
			wrong = append(wrong, fmt.Sprintf("line %d: %q comes a second time", line, errs.Clip(name)))
		}
		seen[name] = true
		v, after, err := dotenvValue(value)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("line %d: the value of %q %s", line, errs.Clip(name), err))
			after = rest // where it ends is not known
		}
		pairs = append(pairs, Pair{name, []byte(v)})
		line += strings.Count(text[:len(text)-len(after)], "\n")
		text = after
	}
	if len(wrong) > 0 {
		return nil, errors.New(strings.Join(wrong, "; "))
	}
	return pairs, nil
}

// mostWrong bounds the mistakes that are told at once.
const mostWrong = 20

// dotenvValue reads one value and gives what follows its line.
func dotenvValue(s string) (value, after string, err error) {
	s = strings.TrimLeft(s, " \t")
	if s == "" || s[0] != '"' && s[0] != '\'' {
		value, after, _ = strings.Cut(s, "\n")
		if i := strings.Index(value, " #"); i >= 0 {
			value = value[:i]
		}
		return strings.TrimSpace(value), after, nil
	}
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			tail, after, _ := strings.Cut(s[i+1:], "\n")
			if tail = strings.TrimSpace(tail); tail != "" && tail[0] != '#' {
				return "", "", fmt.Errorf("has more text after its closing quote")
			}
			return b.String(), after, nil
		case c == '\\' && quote == '"' && i+1 < len(s):
			i++
			b.WriteString(unescape(s[i]))
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("has no closing quote")
}

// unescape is what a backslash and c stand for; other pairs stand as they are.
func unescape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case '"', '\\', '$':
		return string(c)
	}
	return `\` + string(rune(c))
}
