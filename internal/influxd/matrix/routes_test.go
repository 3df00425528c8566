//go:build !race

package matrix

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// routesAreThere fails the test for every route of the server that no action tries.
func routesAreThere(t *testing.T, w *world) {
	t.Helper()
	// A test of package httpapi holds the document to the routes.
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(w.send("", "GET", "/api/v2/swagger.json", "", nil).body), &document); err != nil {
		t.Fatal(err)
	}
	if len(document.Paths) < 30 {
		t.Fatalf("the document has %d paths", len(document.Paths))
	}
	for path, item := range document.Paths {
		for field := range item {
			method := strings.ToUpper(field)
			if slices.Contains([]string{"PARAMETERS", "SUMMARY", "DESCRIPTION", "SERVERS"}, method) {
				continue
			}
			if !tried(apiActions, method, path) {
				t.Errorf("no row tries %s %s", method, path)
			}
		}
	}
}

// literals finds what a pattern's group matches in a file of the product.
func literals(t *testing.T, file, pattern string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(b), -1) {
		found = append(found, m[1])
	}
	if len(found) == 0 {
		t.Fatalf("there is nothing like %s in %s", pattern, file)
	}
	return found
}

// vaultRoutesAreThere is routesAreThere for the API of Vault, which has no document: its paths are read from the code.
// What no row tries of a path that one does must be refused to whoever may do most.
func vaultRoutesAreThere(t *testing.T, w *world) {
	t.Helper()
	var paths []string
	for _, p := range literals(t, "../../vaultapi/server.go", `\{path: "([^"]+)"`) {
		paths = append(paths, "/v1/"+p)
	}
	for _, kind := range strings.Split(literals(t, "../../vaultapi/mount/mount.go",
		`case ("data", "metadata"[^:]*):`)[0], ", ") {
		paths = append(paths, "/v1/secret/"+strings.Trim(kind, `"`)+"/")
	}
	for _, what := range literals(t, "../../vaultapi/approle/approle.go", `what == "([^"]+)"`) {
		paths = append(paths, role+"/{role}/"+what)
	}
	for _, p := range paths {
		if !slices.ContainsFunc(vaultActions, func(a action) bool {
			return a.path == p || strings.HasSuffix(p, "/") && strings.HasPrefix(a.path, p)
		}) {
			t.Errorf("no row tries %s", p)
		}
	}
	has := make(map[string]bool)
	for _, a := range vaultActions {
		method, _, _ := strings.Cut(a.name, " ")
		pattern := parameter.ReplaceAllString(a.path, "{}")
		has[method+" "+pattern] = true
		if strings.HasSuffix(pattern, "?list=true") {
			continue
		}
		if method == "PATCH" {
			has["PATCH "+strings.TrimSuffix(pattern, "/web")+"/{}"] = true
		}
	}
	done := make(map[string]bool)
	for _, a := range vaultActions {
		pattern := parameter.ReplaceAllString(a.path, "{}")
		for _, method := range []string{"GET", "LIST", "POST", "PATCH", "DELETE"} {
			// A secret by its name, or of the other organisation, is the same route.
			general := strings.NewReplacer("/web", "/{}", "/db/x", "/{}", "/x", "/{}", "/db", "/{}").Replace(pattern)
			key := method + " " + general
			if done[key] || has[key] || has[method+" "+pattern] || strings.Contains(pattern, "?") {
				continue
			}
			done[key] = true
			if b := w.send(maker, method, w.fill(maker, a.path, nil), `{}`, nil); b.status < 400 {
				t.Errorf("no row tries %s %s, which is answered %d %s", method, a.path, b.status, b.body)
			}
		}
	}
}

// pageRoutesAreThere is routesAreThere for the web page.
func pageRoutesAreThere(t *testing.T) {
	t.Helper()
	for _, part := range []string{"accounts", "secrets", "system"} {
		for _, rt := range literals(t, "../../ui/"+part+"/routes.go", `"((?:GET|POST) /[^"]*)":`) {
			method, path, _ := strings.Cut(strings.ReplaceAll(rt, "{$}", ""), " ")
			if !tried(pageActions, method, path) {
				t.Errorf("no row tries %s", rt)
			}
		}
	}
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// tried reports whether an action has the method and the path, whatever stands in the place of its parameters.
func tried(actions []action, method, path string) bool {
	pattern := regexp.MustCompile("^" + parameter.ReplaceAllString(path, `[^/]+`) + "$")
	return slices.ContainsFunc(actions, func(a action) bool {
		asked, _, _ := strings.Cut(a.path, "?")
		return strings.HasPrefix(a.name, method+" ") && pattern.MatchString(parameter.ReplaceAllString(asked, "x"))
	})
}
