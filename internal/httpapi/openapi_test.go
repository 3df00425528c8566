package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/rotation"
)

// document is what the tests read of openapi.json.
type document struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas map[string]struct {
			Enum []string `json:"enum"`
		} `json:"schemas"`
	} `json:"components"`
}

func readDocument(t *testing.T) document {
	t.Helper()
	var d document
	if err := json.Unmarshal(openAPI, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Paths) == 0 {
		t.Fatal("the document describes no path")
	}
	return d
}

// TestDocumentHasEveryRoute holds the document's paths and methods against the table of routes.
func TestDocumentHasEveryRoute(t *testing.T) {
	described := make(map[string][]string)
	for path, item := range readDocument(t).Paths {
		for field := range maps.Keys(item) {
			switch method := strings.ToUpper(field); method {
			case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
				http.MethodOptions, http.MethodTrace:
				described[path] = append(described[path], method)
			}
		}
		slices.Sort(described[path])
	}
	served := make(map[string][]string)
	c := Config{Gather: prometheus.NewRegistry(), Seals: (*rotation.Service)(nil), Data: (*bolt.DB)(nil)}
	for _, table := range c.tables() {
		for path, methods := range table {
			served[path] = slices.Sorted(maps.Keys(methods))
		}
	}
	if diff := cmp.Diff(served, described); diff != "" {
		t.Errorf("served (-) and described (+) differ:\n%s", diff)
	}
}

// TestDocumentListsAreWhole holds the document's enumerations against those of the code.
func TestDocumentListsAreWhole(t *testing.T) {
	schemas := readDocument(t).Components.Schemas
	types := schemas["ResourceType"].Enum
	if len(types) < len(access.ResourceTypes) {
		t.Fatalf("ResourceType lists %d types, there are at least %d", len(types), len(access.ResourceTypes))
	}
	for _, name := range types {
		if err := access.To(access.Read, access.Resource{Type: access.ResourceType(name)}).Valid(); err != nil {
			t.Errorf("ResourceType lists %q, which is refused: %v", name, err)
		}
	}
	for _, rt := range access.ResourceTypes {
		if !slices.Contains(types, string(rt)) {
			t.Errorf("ResourceType does not list %q", rt)
		}
	}
	codes := []errs.Code{errs.Internal, errs.NotImplemented, errs.Invalid, errs.Unprocessable, errs.EmptyValue,
		errs.Conflict, errs.NotFound, errs.Unavailable, errs.Forbidden, errs.TooManyRequests, errs.Unauthorized,
		errs.MethodNotAllowed, errs.RequestTooLarge, errs.InsufficientStorage, errs.PreconditionFailed}
	var listed []errs.Code
	for _, c := range schemas["Code"].Enum {
		listed = append(listed, errs.Code(c))
	}
	if diff := cmp.Diff(codes, listed); diff != "" {
		t.Errorf("codes of package errs (-) and of the document (+) differ:\n%s", diff)
	}
}
