package httpapi

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"strongroom/internal/errs"
)

var update = flag.Bool("update", false, "write docs/api.md anew")

// The parts of openapi.json that the page shows.
type (
	apiDocument struct {
		Tags       []struct{ Name string }
		Paths      map[string]json.RawMessage
		Components struct {
			Parameters map[string]apiParameter
			Responses  map[string]apiResponse
			Schemas    map[string]struct{ Enum []string }
		}
	}
	apiOperation struct {
		Tags                 []string
		Summary, Description string
		Parameters           []apiParameter
		RequestBody          *struct {
			Description string
			Content     map[string]apiContent
		}
		Responses map[string]apiResponse
	}
	apiParameter struct {
		Ref                   string `json:"$ref"`
		Name, In, Description string
		Required              bool
	}
	apiResponse struct {
		Ref         string `json:"$ref"`
		Description string
		Content     map[string]apiContent
	}
	apiContent struct {
		Example json.RawMessage
		Schema  struct {
			AllOf []struct {
				Properties struct{ Code struct{ Enum []errs.Code } }
			}
		}
	}
)

// TestReference holds docs/api.md against openapi.json.
func TestReference(t *testing.T) {
	const page, generated = "../../docs/api.md", "<!-- generated: do not edit -->\n"
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	written, below, found := strings.Cut(string(raw), generated)
	if !found {
		t.Fatalf("%s has no line %q", page, generated)
	}
	var d apiDocument
	if err := json.Unmarshal(openAPI, &d); err != nil {
		t.Fatal(err)
	}
	want := d.errors(t) + d.operations(t)
	if *update {
		if err := os.WriteFile(page, []byte(written+generated+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(want, below); diff != "" {
		t.Errorf("%s is not of this API; run make reference (-want +got):\n%s", page, diff)
	}
}

// errors is the table of the codes: each with the status that goes with it, and what it is answered for.
func (d apiDocument) errors(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprint(&b, "\n## Errors\n\n| status | code | when |\n|---|---|---|\n")
	type row struct {
		status      int
		codes, when string
	}
	var rows []row
	described := 0
	for _, response := range d.Components.Responses {
		for _, of := range response.Content["application/json"].Schema.AllOf {
			var codes []string
			for _, code := range of.Properties.Code.Enum {
				codes = append(codes, "`"+string(code)+"`")
			}
			if described += len(codes); len(codes) > 0 {
				rows = append(rows, row{of.Properties.Code.Enum[0].Status(), strings.Join(codes, ", "), response.Description})
			}
		}
	}
	if all := len(d.Components.Schemas["Code"].Enum); described != all {
		t.Errorf("%d codes are described, and there are %d", described, all)
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.status, b.status) })
	for _, r := range rows {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", r.status, r.codes, cell(r.when))
	}
	return b.String()
}

// operations is a heading for each part of the API, and below it a paragraph for each path and method.
func (d apiDocument) operations(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, tag := range d.Tags {
		fmt.Fprintf(&b, "\n## %s\n", tag.Name)
		for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
			var item map[string]json.RawMessage
			if err := json.Unmarshal(d.Paths[path], &item); err != nil {
				t.Fatal(err)
			}
			var shared []apiParameter
			if raw, ok := item["parameters"]; ok {
				if err := json.Unmarshal(raw, &shared); err != nil {
					t.Fatal(err)
				}
			}
			for _, method := range []string{"get", "post", "put", "patch", "delete"} {
				raw, ok := item[method]
				if !ok {
					continue
				}
				var op apiOperation
				if err := json.Unmarshal(raw, &op); err != nil {
					t.Fatalf("%s %s: %v", method, path, err)
				}
				if slices.Contains(op.Tags, tag.Name) {
					d.operation(&b, strings.ToUpper(method), path, append(shared, op.Parameters...), op)
				}
			}
		}
	}
	return b.String()
}

func (d apiDocument) operation(b *strings.Builder, method, path string, parameters []apiParameter, op apiOperation) {
	fmt.Fprintf(b, "\n### %s %s\n\n%s.", method, path, strings.TrimSuffix(op.Summary, "."))
	if op.Description != "" {
		fmt.Fprintf(b, " %s", op.Description)
	}
	fmt.Fprintln(b)
	var rows strings.Builder
	for _, p := range parameters {
		if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
			p = d.Components.Parameters[name]
		}
		in := p.In
		if p.Required && in != "path" {
			in += ", required"
		}
		if p.In != "path" || p.Description != "" {
			fmt.Fprintf(&rows, "| `%s` | %s | %s |\n", p.Name, in, cell(p.Description))
		}
	}
	if rows.Len() > 0 {
		fmt.Fprintf(b, "\n| parameter | in | |\n|---|---|---|\n%s", rows.String())
	}
	if body := op.RequestBody; body != nil {
		fmt.Fprintln(b)
		if body.Description != "" {
			fmt.Fprintf(b, "Body: %s\n", body.Description)
		} else {
			fmt.Fprintln(b, "Body:")
		}
		for _, kind := range slices.Sorted(maps.Keys(body.Content)) {
			example(b, body.Content[kind].Example)
		}
	}
	var codes []string
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		if strings.HasPrefix(status, "2") || status == "304" {
			if name, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
				r = d.Components.Responses[name]
			}
			fmt.Fprintf(b, "\n%s: %s\n", status, strings.TrimSpace(r.Description))
			for _, kind := range slices.Sorted(maps.Keys(r.Content)) {
				example(b, r.Content[kind].Example)
			}
			continue
		}
		codes = append(codes, status)
	}
	if len(codes) > 0 {
		fmt.Fprintf(b, "\nErrors: %s.\n", strings.Join(codes, ", "))
	}
}

// example is shown as JSON.
func example(b *strings.Builder, raw json.RawMessage) {
	var v any
	if json.Unmarshal(raw, &v) != nil || v == nil {
		return
	}
	if s, ok := v.(string); ok {
		fmt.Fprintf(b, "\n    %s\n", strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    "))
		return
	}
	pretty, err := json.MarshalIndent(json.RawMessage(raw), "    ", "  ")
	if err == nil {
		fmt.Fprintf(b, "\n    %s\n", pretty)
	}
}

// cell is a text as it stands in a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}
