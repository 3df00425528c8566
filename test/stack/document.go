package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Document is the OpenAPI document, and what was seen of it.
type Document struct {
	spec   *openapi3.T
	router routers.Router

	mu   sync.Mutex
	seen map[string]map[int]bool // statuses by "METHOD /path"
}

// ReadDocument reads and validates the product's document.
func ReadDocument(t *testing.T) *Document {
	t.Helper()
	file, err := os.ReadFile("../../internal/httpapi/openapi.json") // from the folder of any package of test/
	must(t, err)
	spec, err := openapi3.NewLoader().LoadFromData(file)
	must(t, err)
	must(t, spec.Validate(t.Context(), openapi3.EnableExamplesValidation()))
	router, err := gorillamux.NewRouter(spec)
	must(t, err)
	return &Document{spec: spec, router: router, seen: make(map[string]map[int]bool)}
}

// Watch passes requests on to the API and fails the test where one of them, or its answer, is not
// what the document says.
func (d *Document) Watch(t *testing.T, api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var sent bytes.Buffer
		q := r.Clone(r.Context())
		q.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, &sent), r.Body}
		answer := httptest.NewRecorder()
		api.ServeHTTP(recorder{answer, w}, q)
		if err := d.check(r, sent.Bytes(), answer); err != nil {
			t.Errorf("%s %s answered %d: %v", r.Method, r.URL.EscapedPath(), answer.Code, err)
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // a client that has gone
	})
}

// recorder keeps an answer, and lets its deadlines reach the connection.
type recorder struct {
	*httptest.ResponseRecorder
	w http.ResponseWriter
}

func (r recorder) Unwrap() http.ResponseWriter { return r.w }

func (d *Document) check(r *http.Request, body []byte, answer *httptest.ResponseRecorder) error {
	for _, h := range []string{"X-Influxdb-Build", "X-Influxdb-Version"} {
		if answer.Header().Get(h) == "" {
			return fmt.Errorf("without the header %s", h)
		}
	}
	if answer.Code >= 400 {
		if err := checkError(r, answer); err != nil {
			return err
		}
	}
	r = r.Clone(context.Background())
	if r.URL.RawPath = r.URL.EscapedPath(); strings.HasSuffix(r.URL.RawPath, "/") {
		r.URL.Path, r.URL.RawPath = strings.TrimSuffix(r.URL.Path, "/"), strings.TrimSuffix(r.URL.RawPath, "/")
	}
	route, params, err := d.router.FindRoute(r)
	switch {
	case errors.Is(err, routers.ErrMethodNotAllowed):
		return d.checkNotAllowed(r, answer)
	case err != nil && strings.HasPrefix(r.URL.Path, "/api/") && strings.Contains(r.URL.Path, "//"):
		return want(answer, http.StatusBadRequest)
	case err != nil:
		return want(answer, http.StatusNotFound)
	}
	d.note(route, answer.Code)
	if r.Method == http.MethodHead {
		answer.Body.Reset() // as net/http does
	}
	for name, v := range params { // the router leaves them escaped
		if params[name], err = url.PathUnescape(v); err != nil {
			return err
		}
	}
	return d.validate(r, body, answer, route, params)
}

// validate holds the answer against the document, and, where it is a success, the request too: what the document
// refuses, the server must refuse.
func (d *Document) validate(r *http.Request, body []byte, answer *httptest.ResponseRecorder, route *routers.Route,
	params map[string]string) error {
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json") // whatever it is called, as the document says
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: authenticated}}
	if answer.Code < 300 {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			return fmt.Errorf("the document would refuse the request: %w", err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: answer.Code,
		Header: answer.Header(), Options: &openapi3filter.Options{IncludeResponseStatus: true}}
	if err := openapi3filter.ValidateResponse(context.Background(), out.SetBodyBytes(answer.Body.Bytes())); err != nil {
		return fmt.Errorf("the answer is not as documented: %w", err)
	}
	documented := route.Operation.Responses.Status(answer.Code).Value
	if len(documented.Content) == 0 && answer.Body.Len() > 0 {
		return errors.New("the document knows no body")
	}
	return nil
}

// authenticated reports whether the request shows who sends it in the way that the security scheme says.
func authenticated(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	r := in.RequestValidationInput.Request
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	_, noCookie := r.Cookie("influxdb-oss-session")
	ok := false
	switch in.SecuritySchemeName {
	case "token":
		ok = strings.EqualFold(scheme, "Token") || strings.EqualFold(scheme, "Bearer")
	case "session":
		ok = noCookie == nil && scheme == ""
	case "password":
		ok = strings.EqualFold(scheme, "Basic")
	}
	if !ok {
		return errors.New("it does not show who sends it")
	}
	return nil
}

// checkError holds an error against the form that all of them have.
func checkError(r *http.Request, answer *httptest.ResponseRecorder) error {
	if t, _, err := mime.ParseMediaType(answer.Header().Get("Content-Type")); err != nil || t != "application/json" {
		return fmt.Errorf("an error with the content type %q", answer.Header().Get("Content-Type"))
	}
	if (r.URL.Path == "/health" || r.URL.Path == "/ready") && answer.Code == http.StatusServiceUnavailable {
		return nil // they answer in a form of their own
	}
	var e struct{ Code, Message string }
	if err := json.Unmarshal(answer.Body.Bytes(), &e); err != nil {
		return fmt.Errorf("an error without the form of errors: %w", err)
	}
	if e.Code == "" || e.Message == "" || answer.Header().Get("X-Platform-Error-Code") != e.Code {
		return fmt.Errorf("code %q, message %q, header %q", e.Code, e.Message,
			answer.Header().Get("X-Platform-Error-Code"))
	}
	return nil
}

func want(answer *httptest.ResponseRecorder, status int) error {
	preflight := answer.Code == http.StatusNoContent && answer.Header().Get("Access-Control-Allow-Methods") != ""
	if answer.Code != status && !preflight {
		return fmt.Errorf("the document does not know this; it should be %d", status)
	}
	return nil
}

func (d *Document) checkNotAllowed(r *http.Request, answer *httptest.ResponseRecorder) error {
	if err := want(answer, http.StatusMethodNotAllowed); err != nil || answer.Code == http.StatusNoContent {
		return err
	}
	var allowed []string
	for _, m := range []string{"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"} {
		other := r.Clone(r.Context())
		other.Method = m
		if _, _, err := d.router.FindRoute(other); err == nil {
			allowed = append(allowed, m)
		}
	}
	if got, want := answer.Header().Get("Allow"), strings.Join(allowed, ", "); got != want {
		return fmt.Errorf("allow: %q, documented are %q", got, want)
	}
	return nil
}

func (d *Document) note(route *routers.Route, status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := route.Method + " " + route.Path
	if d.seen[k] == nil {
		d.seen[k] = make(map[int]bool)
	}
	d.seen[k][status] = true
}

// Unseen lists the operations of which no success was seen, and the refusals (4xx) that the document promises and that
// were not seen.
func (d *Document) Unseen() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var missing []string
	for _, op := range d.Operations() {
		k := op.Method + " " + op.Path
		if !slices.ContainsFunc(slices.Collect(maps.Keys(d.seen[k])), func(status int) bool { return status < 300 }) {
			missing = append(missing, k+" never succeeded")
		}
		for _, status := range op.Refusals {
			if !d.seen[k][status] {
				missing = append(missing, fmt.Sprintf("%s was never answered %d", k, status))
			}
		}
	}
	return missing
}

// Operation is one method of one path, as the document has it.
type Operation struct {
	Method, Path string
	Open         bool // nobody needs to be signed in
	Password     bool // Basic authentication
	Body         bool // takes one
	Refusals     []int
}

// Operations lists them all, by path and method.
func (d *Document) Operations() []Operation {
	var all []Operation
	for _, path := range slices.Sorted(maps.Keys(d.spec.Paths.Map())) {
		operations := d.spec.Paths.Value(path).Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			op := operations[method]
			o := Operation{Method: method, Path: path, Open: len(*op.Security) == 0, Body: op.RequestBody != nil}
			for _, s := range *op.Security {
				_, basic := s["password"]
				o.Password = o.Password || basic
			}
			for status := range op.Responses.Map() {
				var n int
				if _, err := fmt.Sscan(status, &n); err == nil && n >= 400 && n < 500 {
					o.Refusals = append(o.Refusals, n)
				}
			}
			all = append(all, o)
		}
	}
	return all
}
