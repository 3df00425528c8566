package vaultapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// exchange is one request to a real Vault 1.14.1 and its answer, as recorded (testdata/recordings/FORMAT.md).
type exchange struct {
	title        string
	setup        bool
	needs        string
	wait         time.Duration // before it
	unseal       bool          // before it
	method, path string
	headers      [][2]string
	body         string
	status       int
	answered     map[string]string
	answer       string
	save         [][2]string
}

// readRecording reads a file's exchanges.
func readRecording(t *testing.T, path string) []exchange {
	t.Helper()
	raw, err := os.ReadFile(path)
	must(t, err)
	var all []exchange
	var x *exchange
	var wait time.Duration
	unseal := false
	for i, line := range strings.Split(string(raw), "\n") {
		mark, text, _ := strings.Cut(line, " ")
		switch {
		case mark == "##":
			all = append(all, exchange{title: text, wait: wait, unseal: unseal, answered: make(map[string]string)})
			x, wait, unseal = &all[len(all)-1], 0, false
		case mark == "@wait":
			seconds, err := strconv.ParseFloat(text, 64)
			must(t, err)
			wait = time.Duration(seconds * float64(time.Second))
		case line == "@unseal":
			unseal = true
		case line == "" || mark == "#":
		case x == nil:
			t.Fatalf("%s:%d: before the first exchange", path, i+1)
		case line == "@setup":
			x.setup = true
		case mark == "@needs":
			x.needs = text
		case mark == "@save":
			name, place, _ := strings.Cut(text, " ")
			x.save = append(x.save, [2]string{name, place})
		case mark == "@body":
			x.body = longBody(t, text)
		case mark == ">>":
			x.body += text
		case mark == ">" && x.method == "":
			x.method, x.path, _ = strings.Cut(text, " ")
		case mark == ">":
			k, v, _ := strings.Cut(text, ":")
			x.headers = append(x.headers, [2]string{k, strings.TrimSpace(v)})
		case mark == "<" && x.status == 0:
			x.status, err = strconv.Atoi(text)
			must(t, err)
		case mark == "<":
			k, v, _ := strings.Cut(text, ": ")
			x.answered[k] = v
		case mark == "<<":
			x.answer += text
		default:
			t.Fatalf("%s:%d: cannot be read", path, i+1)
		}
	}
	for _, x := range all {
		if x.method == "" || x.status == 0 {
			t.Fatalf("%s: %s cannot be read", path, x.title)
		}
	}
	return all
}

func longBody(t *testing.T, text string) string {
	t.Helper()
	before, rest, ok := strings.Cut(text, "x × ")
	digits, after, ok2 := strings.Cut(rest, `"`)
	n, err := strconv.Atoi(digits)
	if !ok || !ok2 || err != nil {
		t.Fatalf("a body that cannot be made: %s", text)
	}
	return before + strings.Repeat("x", n) + `"` + after
}

// recordings are all files, in their order.
func recordings(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/recordings/*.txt")
	must(t, err)
	slices.Sort(files)
	if len(files) != 14 {
		t.Fatalf("there are %d recordings, not 14", len(files))
	}
	return files
}

// placeholder is what the recorder wrote in the place of what is another each time.
var placeholder = regexp.MustCompile(`\$\{(\w+)\}`)

var forms = map[string]string{
	"uuid": `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
	"time": `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z`, "token": `\S+`,
}

// fits reports whether a text is what was recorded, placeholders filled in.
func fits(recorded, here string) bool {
	if !strings.Contains(recorded, "${") {
		return recorded == here
	}
	pattern := "^"
	last := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(recorded, -1) {
		pattern += regexp.QuoteMeta(recorded[last:m[0]])
		if form, ok := forms[recorded[m[2]:m[3]]]; ok {
			pattern += form
		} else {
			pattern += `.+`
		}
		last = m[1]
	}
	return regexp.MustCompile(pattern + regexp.QuoteMeta(recorded[last:]) + "$").MatchString(here)
}

// differences lists where two JSON values differ.
func differences(path string, recorded, here any) []string {
	name := path[strings.LastIndexByte(path, '.')+1:]
	switch r := recorded.(type) {
	case map[string]any:
		h, ok := here.(map[string]any)
		if !ok {
			break
		}
		var all []string
		for k, v := range r {
			if got, ok := h[k]; ok {
				all = append(all, differences(path+"."+k, v, got)...)
			} else {
				all = append(all, fmt.Sprintf("%s.%s is only in Vault's", path, k))
			}
		}
		for k := range h {
			if _, ok := r[k]; !ok {
				all = append(all, fmt.Sprintf("%s.%s is only in ours", path, k))
			}
		}
		slices.Sort(all)
		return all
	case []any:
		h, ok := here.([]any)
		if !ok || len(h) != len(r) {
			break
		}
		var all []string
		for i := range r {
			all = append(all, differences(fmt.Sprintf("%s[%d]", path, i), r[i], h[i])...)
		}
		return all
	case string:
		if h, ok := here.(string); ok && fits(r, h) {
			return nil
		}
		if _, ok := here.(json.Number); ok && r == "${unix}" {
			return nil
		}
	case json.Number:
		h, ok := here.(json.Number)
		a, err1 := r.Float64()
		b, err2 := h.Float64()
		lives := name == "ttl" || name == "lease_duration"
		if ok && err1 == nil && err2 == nil && (a == b || lives && math.Abs(a-b) <= 3) {
			return nil
		}
	default:
		if recorded == here {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: %s became %s", path, shown(recorded), shown(here))}
}

func shown(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b))
}

func parse(s string) (any, bool) {
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var v any
	return v, dec.Decode(&v) == nil
}
