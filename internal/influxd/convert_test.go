package influxd

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/id"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/server"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/vaulttest"
	"strongroom/internal/transfer"
	"strongroom/internal/transfer/report"
)

// onStore opens the store as a server with the flags has it.
func onStore(t *testing.T, dir string, flags []string, do func(secret.Store)) {
	t.Helper()
	args, err := config.ParseArgs(append([]string{"--bolt-path", filepath.Join(dir, "influxd.bolt")}, flags...))
	must(t, err)
	var out bytes.Buffer
	p := command.Process{Env: []string{"HOME=/nowhere"}, Stdout: &out, Stderr: &out}
	cfg, err := config.Load(args, p.Env)
	must(t, err)
	s, err := server.Open(t.Context(), cfg, p, slog.New(slog.DiscardHandler))
	must(t, err)
	do(s.Store)
	must(t, s.Close())
}

func valuesIn(t *testing.T, dir string, org id.ID, flags []string) map[string]string {
	t.Helper()
	values := make(map[string]string)
	onStore(t, dir, flags, func(s secret.Store) {
		keys, err := s.Keys(t.Context(), org)
		must(t, err)
		for _, key := range keys {
			v, err := secret.Get(t.Context(), s, org, key)
			must(t, err)
			values[key] = string(v.Bytes())
		}
	})
	return values
}

// totals are the numbers of a copy's report: brought, replaced, deleted, there already, conflict, skipped.
func totals(report string) string {
	for line := range strings.Lines(report) {
		if words := strings.Fields(line); len(words) == 7 && words[0] == "secret" {
			return strings.Join(words[1:], " ")
		}
	}
	return ""
}

// TestConvertWhileServing moves between stores as the docs say, in each direction: convert while the server runs, which
// goes on changing and deleting, stop it, and convert once more. The target then holds what the source does.
func TestConvertWhileServing(t *testing.T) {
	v := vaulttest.Shared(t)
	for _, way := range []struct {
		name     string
		from, to []string // the server's flags
		command  []string
	}{
		{"bolt to vault", []string{"--secret-store=bolt"}, []string{"--secret-store=vault"},
			[]string{"copy", "--from", "bolt", "--to", "vault"}},
		{"vault to bolt", []string{"--secret-store=vault"}, []string{"--secret-store=bolt"},
			[]string{"copy", "--from", "vault", "--to", "bolt"}},
		{"org to secret", []string{"--secret-store=vault"}, []string{"--secret-store=vault", "--vault-layout=secret"},
			[]string{"relayout", "--all", "--to", "secret"}},
		{"secret to org", []string{"--secret-store=vault", "--vault-layout=secret"}, []string{"--secret-store=vault"},
			[]string{"relayout", "--all", "--to", "org"}},
	} {
		t.Run(way.name, func(t *testing.T) {
			dir := t.TempDir()
			common := []string{"--vault-addr", v.Address, "--vault-token", v.RootToken, "--vault-mount", v.MountKV(t)}
			from, to := append(way.from, common...), append(way.to, common...)
			convert := func(args ...string) (string, error) {
				t.Helper()
				out, _, err := influxdOn(t, dir, append(append(append([]string{"secrets"}, way.command...), common...),
					args...)...)
				return out, err
			}
			r := start(t, dir, from...)
			token, secrets := r.onboard(t)
			org, err := id.Parse(strings.Split(secrets, "/")[4])
			must(t, err)
			r.call(t, "PATCH", secrets, token, `{"changed":"1","deleted":"1","kept":"1","late":"1"}`, 204, nil)
			// whose file the server has: the first time it is stopped, too
			if way.command[len(way.command)-1] == "bolt" {
				r.end(t)
			}
			if out, err := convert(); err != nil || totals(out) != "4 0 0 0 0 0" {
				t.Fatalf("first: %v\n%s", err, out)
			}
			if way.command[len(way.command)-1] == "bolt" {
				r = start(t, dir, from...)
			}
			r.call(t, "PATCH", secrets, token, `{"changed":"2","new":"1"}`, 204, nil)
			r.call(t, "DELETE", secrets+"/deleted", token, "", 204, nil)
			r.end(t)
			if out, err := convert("--dry-run"); err != nil || totals(out) != "1 1 1 2 0 0" {
				t.Errorf("tried: %v\n%s", err, out)
			}
			if out, err := convert(); err != nil || totals(out) != "1 1 1 2 0 0" {
				t.Errorf("second: %v\n%s", err, out)
			}
			want := map[string]string{"changed": "2", "kept": "1", "late": "1", "new": "1"}
			if diff := cmp.Diff(want, valuesIn(t, dir, org, to)); diff != "" {
				t.Fatalf("the target (-want +got):\n%s", diff)
			}

			// The server goes on with the target. What changes there is nobody's to undo, by a copy in the same
			// direction least of all.
			set := func(v string) map[string]secret.Value {
				return map[string]secret.Value{"changed": secret.NewValue([]byte(v))}
			}
			onStore(t, dir, to, func(s secret.Store) {
				_, err := s.Apply(t.Context(), org, secret.Change{Set: set("3"), Delete: []string{"late"}})
				must(t, err)
			})
			out, err := convert()
			if err == nil || !strings.Contains(err.Error(), "2 in conflict and 0 skipped") ||
				!strings.Contains(out, `"late": conflict: it was copied before and has been deleted`) {
				t.Errorf("after changes of the target: %v\n%s", err, out)
			}
			want["changed"] = "3"
			delete(want, "late")
			if diff := cmp.Diff(want, valuesIn(t, dir, org, to)); diff != "" {
				t.Errorf("the target after its own changes (-want +got):\n%s", diff)
			}
			if out, err := convert("--overwrite"); err != nil || totals(out) != "1 1 0 2 0 0" {
				t.Errorf("overwriting: %v\n%s", err, out)
			}

			// What was moved is missing in the source, and stays in the target.
			out, err = convert("--delete-source")
			if err != nil || !strings.Contains(out, ": 4; changed there meanwhile, and kept: 0") {
				t.Errorf("with deletion: %v\n%s", err, out)
			}
			if out, err := convert(); err != nil || totals(out) != "" {
				t.Errorf("after the deletion: %v\n%s", err, out)
			}
			want = map[string]string{"changed": "2", "kept": "1", "late": "1", "new": "1"}
			if diff := cmp.Diff(want, valuesIn(t, dir, org, to)); diff != "" {
				t.Errorf("the target after all (-want +got):\n%s", diff)
			}
			if left := valuesIn(t, dir, org, from); len(left) > 0 {
				t.Errorf("in the source: %v", left)
			}
		})
	}
}

// meddled is a store in which somebody does something as soon as it has been written to.
type meddled struct {
	secret.Store
	then func()
}

func (m meddled) Apply(ctx context.Context, org id.ID, c secret.Change) (secret.Outcome, error) {
	out, err := m.Store.Apply(ctx, org, c)
	m.then()
	return out, err
}

// withOrg gives a folder with the data of a server that has an organisation.
func withOrg(t *testing.T, flags []string) (dir string, org id.ID) {
	t.Helper()
	dir = t.TempDir()
	r := start(t, dir, flags...)
	_, secrets := r.onboard(t)
	r.end(t)
	org, err := id.Parse(strings.Split(secrets, "/")[4])
	must(t, err)
	return dir, org
}

// TestDeleteSourceIsConditional changes and deletes in the source while a copy is between reading it and deleting from
// it: what was changed stays.
func TestDeleteSourceIsConditional(t *testing.T) {
	v := vaulttest.Shared(t)
	for _, flags := range [][]string{{}, {"--secret-store=vault"}, {"--secret-store=vault", "--vault-layout=secret"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			flags := append(flags, "--vault-addr", v.Address, "--vault-token", v.RootToken, "--vault-mount",
				v.MountKV(t))
			text := func(s string) secret.Value { return secret.NewValue([]byte(s)) }
			source, org := withOrg(t, flags)
			target, there := withOrg(t, nil)
			onStore(t, source, flags, func(from secret.Store) {
				onStore(t, target, nil, func(to secret.Store) {
					_, err := from.Apply(t.Context(), org,
						secret.Change{Set: map[string]secret.Value{"changed": text("1"), "gone": text("1"),
							"left": text("1")}})
					must(t, err)
					meddle := func() {
						_, err := from.Apply(t.Context(), org,
							secret.Change{Set: map[string]secret.Value{"changed": text("2"), "new": text("1")},
								Delete: []string{"gone"}})
						must(t, err)
					}
					moved, err := transfer.Copy{From: from, To: meddled{to, meddle}, DeleteSource: true,
						PurgeSource: true}.Run(t.Context(), []transfer.Pair{{From: org, To: there}})
					must(t, err)
					if diff := cmp.Diff(&report.SourceCount{Deleted: 1, Kept: 1}, moved.Source); diff != "" {
						t.Errorf("counted (-want +got):\n%s", diff)
					}
					if err := moved.Incomplete("secret"); err == nil {
						t.Error("a secret was left behind, and that is no error")
					}
					keys, err := from.Keys(t.Context(), org)
					must(t, err)
					if diff := cmp.Diff([]string{"changed", "new"}, keys); diff != "" {
						t.Errorf("left in the source (-want +got):\n%s", diff)
					}
					if value, err := secret.Get(t.Context(), from, org, "changed"); err != nil ||
						string(value.Bytes()) != "2" {
						t.Errorf("what was changed meanwhile: %v", err)
					}
				})
			})
		})
	}
}
