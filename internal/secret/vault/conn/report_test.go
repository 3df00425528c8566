package conn

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestReports has an outage of three minutes under load, its end, and one that comes and goes.
func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(strings.Builder)
		r := newReports(slog.New(slog.NewTextHandler(l,
			&slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			}})))
		lines := func() (out []string) {
			return strings.Split(strings.TrimSuffix(l.String(), "\n"), "\n")
		}
		r.recovered(time.Now())
		for range 1800 {
			r.failed(failure{Sealed, "status 503"}, Request{Method: "GET", Path: "secret/data/1", Needs: "read"})
			time.Sleep(100 * time.Millisecond)
		}
		r.recovered(time.Now())
		r.recovered(time.Now())
		want := []string{
			`level=ERROR msg="Vault does not serve" state="the secret store is sealed" request="GET secret/data/1" detail="status 503"`,
			`level=ERROR msg="Vault does not serve" state="the secret store is sealed" request="GET secret/data/1" detail="status 503" unlogged=599`,
			`level=ERROR msg="Vault does not serve" state="the secret store is sealed" request="GET secret/data/1" detail="status 503" unlogged=599`,
			`level=INFO msg="Vault serves again" was="the secret store is sealed" for=3m0s`,
		}
		if got := lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("logged:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}

		for range 1000 {
			r.failed(failure{Unreachable, "connection refused"}, Request{Method: "GET", Path: "secret/data/1",
				Needs: "read"})
			r.recovered(time.Now())
		}
		if got := len(lines()) - len(want); got != 2 {
			t.Errorf("what comes and goes is %d lines, want its first and its end:\n%s", got, l.String())
		}

		// What was on its way before Vault was gone is no end; the whole of what failed is one.
		time.Sleep(2 * time.Minute)
		before := len(lines())
		early := time.Now()
		time.Sleep(time.Second)
		r.failed(failure{Unreachable, "connection refused"}, Request{Method: "GET", Path: "secret/data/1", Needs: "read"})
		r.recovered(early)
		time.Sleep(40 * time.Second)
		r.failed(failure{Unreachable, "connection refused"}, Request{Method: "GET", Path: "secret/data/1", Needs: "read"})
		r.failed(failure{Sealed, "status 503"}, Request{Method: "GET", Path: "secret/data/1", Needs: "read"})
		time.Sleep(149 * time.Millisecond)
		r.recovered(time.Now())
		const whole = `level=INFO msg="Vault serves again" was="the secret store cannot be reached; the secret store is ` +
			`sealed" for=40s`
		if got := lines()[before:]; len(got) != 3 || got[2] != whole {
			t.Errorf("an outage of two kinds:\n%s\nwant in the end\n%s", strings.Join(got, "\n"), whole)
		}

		// That one path is served says nothing of another that is refused.
		r.failed(failure{Denied, "status 403"}, Request{Method: "GET", Path: "secret/data/2", Needs: "read"})
		before = len(lines())
		r.recovered(time.Now())
		if len(lines()) != before {
			t.Errorf("the end of a refusal is told:\n%s", l.String())
		}
	})
}
