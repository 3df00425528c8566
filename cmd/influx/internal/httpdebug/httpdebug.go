// Package httpdebug prints requests and answers for --http-debug, without what is secret in them.
package httpdebug

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

const redacted = "[redacted]"

// Transport prints each exchange to Out and passes it on to Next.
//
// Redacted are the headers that authenticate, every value of a body that sets secrets or gives them out, and in other
// bodies every string whose name speaks of a token, password, passphrase, secret or cookie. A body that is not JSON
// is not printed at all.
type Transport struct {
	Next http.RoundTripper
	Out  io.Writer
}

// RoundTrip is that of http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "> %s %s\n", req.Method, req.URL.Redacted())
	headers(&b, '>', req.Header)
	sets := req.Method == http.MethodPatch && strings.HasSuffix(req.URL.Path, "/secrets")
	gives := strings.Contains(req.URL.Path, "/secret-values")
	printBody(&b, '>', body, sets || gives)

	resp, err := t.Next.RoundTrip(req)
	if err != nil {
		fmt.Fprintf(&b, "! %v\n", err)
		_, _ = t.Out.Write(b.Bytes())
		return resp, err
	}
	answer, readErr := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	// What could be read goes on to the caller, and the error after it.
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(answer), failing{readErr}))
	fmt.Fprintf(&b, "< %s\n", resp.Status)
	headers(&b, '<', resp.Header)
	// an error has no value, and is what is looked for
	printBody(&b, '<', answer, sets || gives && resp.StatusCode < 300)
	_, _ = t.Out.Write(b.Bytes())
	return resp, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

func headers(b *bytes.Buffer, mark rune, h http.Header) {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range h[name] {
			if secretName(name) || strings.EqualFold(name, "Authorization") ||
				strings.EqualFold(name, "Proxy-Authorization") {
				v = redacted
			}
			fmt.Fprintf(b, "%c %s: %s\n", mark, name, v)
		}
	}
}

func printBody(b *bytes.Buffer, mark rune, body []byte, allSecret bool) {
	if len(bytes.TrimSpace(body)) == 0 {
		return
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		fmt.Fprintf(b, "%c [%d bytes that are not JSON]\n", mark, len(body))
		return
	}
	text, err := json.Marshal(redact(v, allSecret))
	if err != nil {
		return
	}
	fmt.Fprintf(b, "%c %s\n", mark, text)
}

func redact(v any, secret bool) any {
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			v[key] = redact(item, secret || secretName(key) && isString(item))
		}
	case []any:
		for i := range v {
			v[i] = redact(v[i], secret)
		}
	default:
		if secret {
			return redacted
		}
	}
	return v
}

func isString(v any) bool {
	_, ok := v.(string)
	return ok
}

func secretName(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"token", "password", "passphrase", "secret", "cookie"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
