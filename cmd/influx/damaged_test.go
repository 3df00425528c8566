package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// TestDeleteDamaged deletes what the server cannot show, since its record does not open.
func TestDeleteDamaged(t *testing.T) {
	const id = "0000000000000001"
	for _, what := range []string{"auth", "user", "org"} {
		deleted := false
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/"+id) {
				http.NotFound(w, r)
				return
			}
			if deleted = r.Method == http.MethodDelete; deleted {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"code":"internal error","message":"an internal error has occurred"}`))
		}))
		t.Setenv("HOME", t.TempDir())
		stdin, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		var stdout, stderr strings.Builder
		code := run(t.Context(), []string{"influx", what, "delete", "--id", id, "--host", srv.URL, "--token", "t"}, stdin,
			&stdout, &stderr)
		if code != 0 || !deleted || !strings.Contains(stdout.String(), id) {
			t.Errorf("%s: exit %d, deleted: %v, %q, %q", what, code, deleted, stdout.String(), stderr.String())
		}
		_ = stdin.Close()
		srv.Close()
	}
}
