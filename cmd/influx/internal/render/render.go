// Package render has the command that writes a file with secrets in it, after a template.
package render

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/duration"
	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/follow"
	"strongroom/cmd/influx/internal/launch"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/terminal"
	"strongroom/cmd/influx/internal/usage"
)

const (
	maxTemplate = 4 << 20
	// maxKeys is how many secrets one request names.
	maxKeys = 1000
	// commandTime is how long the command of --exec has.
	commandTime = 5 * time.Minute
	// firstAgain and lastAgain are how long after a command that failed it is run again: twice as long each time.
	firstAgain = time.Second
	lastAgain  = 5 * time.Minute
)

// Command is the command influx secret render.
func Command(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "render",
		Usage: "Write a file with secrets in it, after a template",
		Description: `   influx secret render --template app.conf.tmpl --out /run/app/app.conf --mode 0640 --owner app
   influx secret render --template app.conf.tmpl --out /run/app/app.conf --watch --exec 'systemctl reload app'
   influx secret render --template url.tmpl --out - | psql-login

A template is one of Go's text/template, and has these functions:

   {{ secret "db/password" }}                  the value
   {{ secret "db/password" | json }}           as a string of JSON, which is one of YAML, too
   {{ secret "tls/key" | indent 4 }}           each line behind four spaces
   {{ secret "token" | base64 }}  {{ secret "token" | trim }}

The file is replaced whole, when it would be another one: who reads it sees the old or the new,
and nothing between. What --mode and --owner do not say stays as it is; a new file is its user's
alone (0600). A file on a disk keeps values where they can be found again: prefer one in memory,
below /run.

With --watch this goes on until it is ended by SIGTERM or Ctrl-C, and then ends with 0. The file
is written anew when one of its secrets has another value, and stays as it is while the server is
away or a secret is gone; then so does a file that is there at the start. The command of --exec is
run by sh -c when the file has been written, for five minutes at the longest, without the token of
INFLUX_TOKEN. With --watch, one that fails is run again, after a second at first and at last every
five minutes, until it ends with 0; without it, its exit code is this command's.`,
		Flags: session.CommonFlags(session.OrgFlags(
			&cli.StringFlag{Name: "template", TakesFile: true, Required: true,
				Usage: "Read the template from this `file`, or from standard input where it is - (required)"},
			&cli.StringFlag{Name: "out", TakesFile: true, Required: true,
				Usage: "Write this `file`, or standard output where it is - (required)"},
			&cli.StringFlag{Name: "mode", Usage: "The file's `mode`, such as 0640",
				DefaultText: "as it is; 0600 for a new file",
				Validator:   func(s string) error { _, err := parseMode(s); return err }},
			&cli.StringFlag{Name: "owner", Usage: "The file's owner: `USER`, USER:GROUP or :GROUP",
				DefaultText: "as it is"},
			&cli.BoolFlag{Name: "watch", Usage: "Go on, and write the file anew when one of its secrets changes"},
			&cli.StringFlag{Name: "exec", Usage: "Run this `command` when the file has been written"},
			&cli.BoolFlag{Name: "show", Usage: "With --out -: show the values on a terminal, too"},
		)...),
		ArgValidator: usage.NoArgs,
		Action: p.Connected(session.Authenticated, func(ctx context.Context, cmd *cli.Command,
			s *session.Session) error {
			return render(ctx, cmd, s, p.Out, p.Err)
		}),
	}
}

// job is one file that is kept as its template says.
type job struct {
	*session.Session
	orgID string
	page  *page
	keys  []string // those that the template names, and those that it has made
	file  target
	exec  string
	env   []string
	err   io.Writer

	again time.Time     // when a command that failed is run again; the zero time where none did
	pause time.Duration // before that
}

func render(ctx context.Context, cmd *cli.Command, s *session.Session, out, errs io.Writer) error {
	path := cmd.String("out")
	toFile := path != "-"
	switch {
	case !toFile && (cmd.IsSet("mode") || cmd.IsSet("owner") || cmd.Bool("watch") || cmd.IsSet("exec")):
		return usage.WithHint(cmd, "--mode, --owner, --watch and --exec are for a file")
	case toFile && cmd.Bool("show"):
		return usage.WithHint(cmd, "--show is for --out -")
	case !toFile && terminal.Is(out) && !cmd.Bool("show"):
		return usage.Mistake("standard output is a terminal; --show shows the values there, --out makes a file")
	}
	j := &job{Session: s, exec: cmd.String("exec"), err: errs, file: target{path: path, uid: -1, gid: -1},
		env: launch.List(launch.Inherited(cmd.String("token")))}
	var err error
	if cmd.IsSet("mode") {
		if j.file.mode, err = parseMode(cmd.String("mode")); err != nil {
			return err
		}
		j.file.hasMode = true
	}
	if cmd.IsSet("owner") {
		if j.file.uid, j.file.gid, err = parseOwner(cmd.String("owner")); err != nil {
			return usage.WithHint(cmd, "flag --owner: "+err.Error())
		}
	}
	text, err := s.Term.ReadFile(cmd.String("template"), maxTemplate)
	if err != nil {
		return usage.Mistake("cannot read the template: %w", err)
	}
	if !utf8.Valid(text) {
		return usage.Mistake("the template is not text in UTF-8")
	}
	name := filepath.Base(cmd.String("template"))
	if name == "-" {
		name = "template"
	}
	if j.page, err = newPage(name, string(text)); err != nil {
		return usage.Mistake("%w", err)
	}
	j.keys = j.page.literals
	if j.orgID, err = s.Org(ctx, cmd, "org-id", "org"); err != nil {
		return err
	}
	set, rendered, err := j.first(ctx)
	unknown := cmd.Bool("watch") && len(j.keys) > 0 && err != nil && exit.Of(err) == exit.Unreachable
	switch {
	case unknown:
		s.Term.Warn("Warning: what is there stays as it is: %s", err)
	case err != nil:
		return err
	case !toFile && s.Print.AsJSON:
		return s.Print.JSON(map[string]string{"text": string(rendered)})
	case !toFile:
		_, err := out.Write(rendered)
		return err
	}
	if !unknown {
		if err := j.put(ctx, rendered); err != nil && (!cmd.Bool("watch") || ctx.Err() != nil || !ran(err)) {
			return err
		} else if err != nil && len(j.keys) > 0 {
			j.failed(err)
		}
	}
	switch {
	case !cmd.Bool("watch"):
		return nil
	case len(j.keys) == 0:
		return usage.Mistake("the template names no secret: there is nothing to watch")
	}
	return j.watch(ctx, set)
}

// first renders the file for the first time.
func (j *job) first(ctx context.Context) (client.SecretSet, []byte, error) {
	if len(j.keys) == 0 { // all the keys are made by the template, or it has none
		return j.complete(ctx, client.SecretSet{})
	}
	set, err := j.Client.SecretSet(ctx, j.orgID, j.keys...)
	if err != nil {
		return set, nil, fmt.Errorf("failed to get the secrets: %w", session.WhoMayUse(j.page.missing(err)))
	}
	return j.complete(ctx, set)
}

// complete renders what the values give, and asks for those that only the template itself could name.
func (j *job) complete(ctx context.Context, set client.SecretSet) (client.SecretSet, []byte, error) {
	for {
		text, err := j.page.execute(set.Values)
		var unknown *errUnknown
		switch {
		case err == nil:
			return set, text, nil
		case !errors.As(err, &unknown):
			return set, nil, usage.Mistake("%w", err)
		case slices.Contains(j.keys, unknown.key):
			return set, nil, exit.With(exit.NotFound, err)
		case len(j.keys) >= maxKeys:
			return set, nil, usage.Mistake("the template takes more than %d secrets", maxKeys)
		}
		keys := append(slices.Clone(j.keys), unknown.key)
		next, asked := j.Client.SecretSet(ctx, j.orgID, keys...)
		var refused *client.Error
		switch {
		case errors.As(asked, &refused) && refused.Code == client.CodeNotFound:
			return set, nil, exit.With(exit.NotFound, err) // which says where it stands
		case asked != nil:
			return set, nil, fmt.Errorf("failed to get the secrets: %w", session.WhoMayUse(asked))
		}
		j.keys, set = keys, next
	}
}

// commandFailed is what the command of --exec ended with.
type commandFailed struct{ error }

func (c commandFailed) Unwrap() error { return c.error }

func ran(err error) bool {
	var failed commandFailed
	return errors.As(err, &failed)
}

// put writes the file and, where that has changed it, runs the command.
func (j *job) put(ctx context.Context, text []byte) error {
	changed, err := j.file.write(text)
	if err != nil {
		return fmt.Errorf("cannot write the file %s: %w", j.file.path, err)
	}
	if err := j.tell(changed); err != nil {
		return err
	}
	if !changed || j.exec == "" {
		return nil
	}
	j.again, j.pause = time.Time{}, 0
	return j.run(ctx)
}

// run runs the command.
func (j *job) run(ctx context.Context) error {
	shell, err := launch.Find([]string{"sh", "-c", j.exec})
	if err != nil {
		return commandFailed{err}
	}
	task := launch.Task{Program: shell, Env: j.env, Limit: commandTime, Out: j.err, Err: j.err}
	// Who ends us does not end it: the next start would find the file as it is, and not run it.
	if _, err := task.Run(context.WithoutCancel(ctx)); err != nil {
		if code := exit.Of(launch.Passed(err)); code > 0 && exit.IsPassed(launch.Passed(err)) {
			return commandFailed{exit.With(code, fmt.Errorf("the command of --exec ended with %d", code))}
		}
		return commandFailed{fmt.Errorf("the command of --exec failed: %w", err)}
	}
	return nil
}

// failed has a command that failed run again, later.
func (j *job) failed(err error) {
	j.pause = min(max(2*j.pause, firstAgain), lastAgain)
	j.again = time.Now().Add(j.pause)
	j.Term.Warn("Warning: %s; it is run again in %s", err, duration.Text(j.pause))
}

// runAgain runs the command that has failed.
func (j *job) runAgain(ctx context.Context) {
	j.again = time.Time{}
	if err := j.run(ctx); err != nil {
		j.failed(err)
		return
	}
	j.pause = 0
	j.Term.Warn("The command of --exec has ended with 0 now.")
}

// tell says what became of the file.
func (j *job) tell(changed bool) error {
	if j.Print.AsJSON {
		return j.Print.JSON(map[string]any{"path": j.file.path, "changed": changed})
	}
	return nil
}

// watch keeps the file as the secrets are, until ctx ends.
func (j *job) watch(ctx context.Context, set client.SecretSet) error {
	values := &follow.Values{Client: j.Client, OrgID: j.orgID, Warn: j.Term.Warn}
	values.Keys = func() []string { return j.keys }
	values.Gone = func() { // it may be one that the template names no more
		if len(j.page.literals) > 0 {
			j.keys = j.page.literals
		}
	}
	values.Take = func(next client.SecretSet) (client.SecretSet, error) {
		whole, text, err := j.complete(ctx, next)
		if err != nil {
			values.Gone()
			return next, err
		}
		if err = j.put(ctx, text); ran(err) { // the file is written all the same
			j.failed(err)
			err = nil
		}
		return whole, err
	}
	values.Due = func() time.Time { return j.again }
	values.Again = func() { j.runAgain(ctx) }
	values.Follow(ctx, set)
	if !j.again.IsZero() {
		j.Term.Warn("Warning: the command of --exec has failed, and is not run again: the next start finds the file " +
			"as it is")
	}
	return nil // we were told to end
}
