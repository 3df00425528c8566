package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"strongroom/client"
)

// TestPaste: what influx auth create says to paste does what it says, in bash, with curl and in Go. It holds no token.
func TestPaste(t *testing.T) {
	u := newUser(t, map[string]string{"db/password": "hunter2"})
	operator, err := u.admin.CreateAuthorization(t.Context(), client.NewAuthorization{OrgID: u.org,
		Permissions: []client.Permission{
			{Action: "read", Resource: client.Resource{Type: "authorizations", OrgID: u.org}},
			{Action: "write", Resource: client.Resource{Type: "authorizations", OrgID: u.org}},
			{Action: "read", Resource: client.Resource{Type: "secrets", OrgID: u.org}},
			{Action: "write", Resource: client.Resource{Type: "secrets", OrgID: u.org}},
		}})
	if err != nil {
		t.Fatal(err)
	}
	create := func(args ...string) (token string, said string) {
		t.Helper()
		cmd := u.influx(append([]string{"auth", "create", "--hide-headers", "--token", operator.Token}, args...)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, &errs)
		}
		token = regexp.MustCompile(`[\w-]{40,}=*`).FindString(string(out))
		if token == "" || strings.Contains(errs.String(), token) {
			t.Fatalf("the token %q: %s%s", token, out, &errs)
		}
		return token, errs.String()
	}
	if _, said := create("--use-secrets"); said != "" {
		t.Errorf("without being asked it said %s", said)
	}
	if _, said := create("--read-authorizations", "--paste"); said != "" {
		t.Errorf("of a token for no secret it said %s", said)
	}
	if _, said := create("--write-secret", "app/*", "--paste"); !strings.Contains(said, "--key 'app/NAME'") ||
		strings.Contains(said, "curl") {
		t.Errorf("of a token that writes it said %s", said)
	}
	const turned = `a'; touch turned; '"`
	if _, said := create("--write-secret", turned, "--use-secret", turned, "--paste"); !strings.Contains(said,
		`--key 'a'\''; touch turned; '\''"'`) || !strings.Contains(said, `"a'; touch turned; '\"")`) {
		t.Errorf("of a name that would turn the line around it said %s", said)
	}
	token, said := create("--use-secret", "db/password", "--paste")
	texts := map[string]string{} // by the first word of what they are for
	for _, part := range strings.Split(said, "\n# ")[1:] {
		what, text, _ := strings.Cut(part, "\n")
		texts[strings.Fields(what)[0]] = text
	}
	dir := t.TempDir()
	app := "#!/bin/sh\necho \"the program has $DB_PASSWORD\"\n"
	if err := os.WriteFile(filepath.Join(dir, "app"), []byte(app), 0o755); err != nil {
		t.Fatal(err)
	}
	bash := func(script string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "bash", "-e", "-c", texts["First,"]+script)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(token+"\n")
		cmd.Env = []string{"HOME=" + dir, "PATH=" + programDir(t) + ":" + os.Getenv("PATH")}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s\n%s", err, script, out)
		}
		return string(out)
	}
	if got := bash(texts["Run"]); !strings.Contains(got, "the program has hunter2\n") {
		t.Errorf("the program says %s", got)
	}
	if got := bash(texts["Get"]); !strings.Contains(got, `{"value":"hunter2"}`) {
		t.Errorf("curl says %s", got)
	}
	program := filepath.Join(dir, "main.go")
	if err := os.WriteFile(program, []byte(texts["Go"]), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "go", "run", program)
	run.Env = append(os.Environ(), "INFLUX_HOST="+u.admin.Host(), "INFLUX_TOKEN="+token, "INFLUX_ORG_ID="+u.org)
	if out, err := run.CombinedOutput(); err != nil || string(out) != "7\n" {
		t.Errorf("the program in Go: %v\n%s", err, out)
	}
	for _, what := range []string{"Telegraf,", "External"} {
		if !strings.Contains(texts[what], u.admin.Host()+"/api/v2/orgs/"+u.org+"/secret-values") {
			t.Errorf("%s %s", what, texts[what])
		}
	}
}
