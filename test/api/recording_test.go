package api

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// exchange is one request to a real InfluxDB and its answer, as recorded.
type exchange struct {
	name         string // made unique by a number behind it
	method, path string
	headers      map[string]string
	body         string
	status       int
	answered     map[string]string // headers
	answer       string
}

// cut marks where the recorder left something out, and says how long the whole is.
var cut = regexp.MustCompile(`…\[(\d+) bytes in all\]…`)

// readRecording reads the exchanges of a file in testdata/recordings. Each begins with "### name"; "> " is the request,
// "< " the answer's head, and the answer's body follows.
func readRecording(t *testing.T, name string) []exchange {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/recordings", name))
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	seen := make(map[string]int)
	for _, block := range strings.Split("\n"+string(text), "\n### ")[1:] {
		x := readExchange(t, block)
		if seen[x.name]++; seen[x.name] > 1 {
			x.name = fmt.Sprintf("%s (%d)", x.name, seen[x.name])
		}
		all = append(all, x)
	}
	if len(all) != 154 {
		t.Fatalf("%s holds %d exchanges, not 154", name, len(all))
	}
	return all
}

func readExchange(t *testing.T, block string) exchange {
	t.Helper()
	lines := strings.Split(block, "\n")
	x := exchange{name: lines[0], headers: make(map[string]string), answered: make(map[string]string)}
	var body, answer []string
	const head, sent, came = 0, 1, 2
	part := head
	for i, l := range lines[1:] {
		switch {
		case i == 0:
			x.method, x.path, _ = strings.Cut(strings.TrimPrefix(l, "> "), " ")
		case strings.HasPrefix(l, "< HTTP/1.1 "):
			if _, err := fmt.Sscanf(l, "< HTTP/1.1 %d", &x.status); err != nil {
				t.Fatalf("%s: %v", x.name, err)
			}
			part = came
		case part == head && l == "> ":
			part = sent
		case part == head && strings.HasPrefix(l, "> "):
			k, v, _ := strings.Cut(l[2:], ": ")
			x.headers[k] = v
		case part == sent && strings.HasPrefix(l, "> "):
			body = append(body, l[2:])
		case part == came && strings.HasPrefix(l, "< "):
			k, v, _ := strings.Cut(l[2:], ": ")
			x.answered[k] = v
		case part == came && !strings.HasPrefix(l, "[lengths of keys: ") && !strings.HasPrefix(l, "[ids: "):
			answer = append(answer, l)
		}
	}
	x.body, x.answer = strings.Join(body, "\n"), strings.TrimSpace(strings.Join(answer, "\n"))
	if x.status == 0 || x.method == "" {
		t.Fatalf("%s cannot be read", x.name)
	}
	return x
}

// whole gives a request's body with what the recorder left out: as many times the letter beside the gap as it takes.
// The bodies made of several keys are made anew by their exchange's name; listed are the keys to delete.
func (x exchange) whole(t *testing.T, listed []string) string {
	t.Helper()
	at := cut.FindStringSubmatchIndex(x.body)
	var size int
	if at != nil {
		if _, err := fmt.Sscan(x.body[at[2]:at[3]], &size); err != nil {
			t.Fatal(err)
		}
	}
	switch {
	case x.name == "PATCH invalid UTF-8": // the recorder wrote the bytes as U+FFFD
		return strings.ReplaceAll(x.body, "\ufffd", "\xff")
	case at == nil:
		return x.body
	case x.name == "delete all of them":
		var b strings.Builder
		for i, k := range listed {
			fmt.Fprintf(&b, `%s%q`, map[bool]string{true: ","}[i > 0], k)
		}
		return `{"secrets":[` + b.String() + `]}`
	case x.name == "PATCH 2000 keys at once":
		parts := make([]string, 2000)
		for i := range parts {
			parts[i] = fmt.Sprintf(`"m%05d": "v"`, i)
		}
		body := "{" + strings.Join(parts, ", ") + "}"
		if len(body) != size {
			t.Fatalf("%s: %d bytes, not %d", x.name, len(body), size)
		}
		return body
	}
	before, after := x.body[:at[0]], x.body[at[1]:]
	return before + strings.Repeat(before[len(before)-1:], size-len(before)-len(after)) + after
}

var (
	isID       = regexp.MustCompile(`^[0-9a-f]{16}$`)
	isToken    = regexp.MustCompile(`^[A-Za-z0-9_-]{86}==$`)
	isTime     = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`)
	isDuration = regexp.MustCompile(`^[0-9.]+(ms|µs|s)$`)
)

// ours maps the recorded IDs, tokens and sessions to those that this server gave in their places.
type ours map[string]string

func (o ours) in(s string) string {
	pairs := make([]string, 0, 2*len(o))
	for k, v := range o {
		pairs = append(pairs, k, v)
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

// learn takes note of the IDs and tokens that stand in the same places.
func (o ours) learn(recorded, here any) {
	switch r := recorded.(type) {
	case map[string]any:
		h, _ := here.(map[string]any)
		for k := range r {
			o.learn(r[k], h[k])
		}
	case []any:
		h, _ := here.([]any)
		for i := range min(len(r), len(h)) {
			o.learn(r[i], h[i])
		}
	case string:
		h, _ := here.(string)
		if _, known := o[r]; !known && (isID.MatchString(r) && isID.MatchString(h) || isToken.MatchString(r) &&
			isToken.MatchString(h)) {
			o[r] = h
		}
	}
}

// differences lists where two decoded JSON values differ, one line each, but for times, and IDs and tokens that
// correspond.
func (o ours) differences(at string, recorded, here any) []string {
	switch r := recorded.(type) {
	case map[string]any:
		h, ok := here.(map[string]any)
		if !ok {
			break
		}
		var all []string
		for _, k := range slices.Sorted(maps.Keys(r)) {
			if _, ok := h[k]; !ok {
				all = append(all, at+"."+k+" is only in InfluxDB's")
				continue
			}
			all = append(all, o.differences(at+"."+k, r[k], h[k])...)
		}
		for _, k := range slices.Sorted(maps.Keys(h)) {
			if _, ok := r[k]; !ok {
				all = append(all, at+"."+k+" is only in ours")
			}
		}
		return all
	case []any:
		h, ok := here.([]any)
		if !ok {
			break
		}
		return o.listDifferences(at, r, h)
	case string:
		h, ok := here.(string)
		if ok && (o.in(r) == h || isTime.MatchString(r) && isTime.MatchString(h) || isDuration.MatchString(r) &&
			isDuration.MatchString(h)) {
			return nil
		}
	default:
		if reflect.DeepEqual(recorded, here) {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: %v became %v", at, recorded, here)}
}

func (o ours) listDifferences(at string, r, h []any) []string {
	print := func(list []any) []string {
		var all []string
		for _, v := range list {
			all = append(all, o.in(fmt.Sprint(v)))
		}
		return all
	}
	rs, hs := print(r), print(h)
	if !slices.Equal(rs, hs) && slices.Equal(slices.Sorted(slices.Values(rs)), slices.Sorted(slices.Values(hs))) {
		return []string{at + " is in another order"}
	}
	if len(r) == len(h) {
		var all []string
		for i := range r {
			all = append(all, o.differences(fmt.Sprintf("%s[%d]", at, i), r[i], h[i])...)
		}
		return all
	}
	var all []string
	for _, v := range rs {
		if !slices.Contains(hs, v) {
			all = append(all, fmt.Sprintf("%s has %q only in InfluxDB's", at, v))
		}
	}
	for _, v := range hs {
		if !slices.Contains(rs, v) {
			all = append(all, fmt.Sprintf("%s has %q only in ours", at, v))
		}
	}
	return all
}
