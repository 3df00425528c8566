// Package rotate has the command that lets a program make a secret's next value of the present one.
package rotate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/duration"
	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/launch"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/terminal"
	"strongroom/cmd/influx/internal/usage"
)

const (
	// maxValue is over what the server takes with its default limits for a body; the server has the last word.
	maxValue = 4 << 20
	// programTime is how long the program has where no flag says it.
	programTime = 5 * time.Minute
	// patience is how long we go on where the server cannot be reached once the program has made the new value.
	patience = time.Minute
)

// nameVariable tells the program which secret it is.
const nameVariable = "SECRET_KEY"

// Command is the command influx secret rotate.
func Command(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:      "rotate",
		Usage:     "Let a program make the next value of a secret from the present one",
		ArgsUsage: "[KEY]",
		Description: `   influx secret rotate db/password --exec ./new-password --expires 90d

The program of --exec is run by sh -c. It reads the present value from its standard input, sees to
it that the new one counts where it is used, and writes that, and nothing else, to its standard
output. Its standard error is this command's. The name of the secret is in SECRET_KEY; no value is
in a variable, nor on a command line.

The new value is stored only where the program ends with 0, and only where nobody has changed the
secret meanwhile (6). It loses a line break at its end where it has one line, unless
--keep-newline is given. A program that fails changes nothing, and its exit code is this
command's; so does one that writes nothing, the same value, or what is no text (1), and one that
takes longer than --exec-timeout.

Where the new value cannot be stored, it counts somewhere and is nowhere kept: --rescue names a
new file (0600) that it is written to then. While the server is away, a minute is waited for it
before that.

It takes a token that may use, write and read the secret, and a store in which a secret has a
version.`,
		Flags: session.CommonFlags(session.OrgFlags(
			&cli.StringFlag{Name: "key", Aliases: []string{"k"}, Usage: "The secret key, where no argument is"},
			&cli.StringFlag{Name: "exec", Required: true,
				Usage: "The `command` that is given the old value and gives the new one (required)"},
			&cli.StringFlag{Name: "exec-timeout", Usage: "The longest `time` that it may take, such as 30s or 10m",
				DefaultText: "5m", Validator: func(s string) error { _, err := seconds(s); return err }},
			&cli.BoolFlag{Name: "keep-newline", Usage: "Keep the line break at the end of a value of one line"},
			&cli.StringFlag{Name: "expires", Usage: "When the new value should be replaced: " + duration.Forms,
				Validator: duration.ValidUntil},
			&cli.StringFlag{Name: "rescue", TakesFile: true,
				Usage: "Write the new value to this new `file` where it cannot be stored"},
		)...),
		ArgValidator: func(_ context.Context, cmd *cli.Command) error {
			if cmd.Args().Len() > 1 {
				return usage.WithHint(cmd, "give the key of one secret")
			}
			return nil
		},
		Action: p.Connected(session.Authenticated, func(ctx context.Context, cmd *cli.Command,
			s *session.Session) error {
			return rotate(ctx, cmd, s, p.Err)
		}),
	}
}

func seconds(s string) (time.Duration, error) {
	n, err := duration.Seconds(s)
	if err == nil && n == 0 {
		err = errors.New("give a time such as 30s or 10m")
	}
	return time.Duration(n) * time.Second, err
}

func rotate(ctx context.Context, cmd *cli.Command, s *session.Session, errs io.Writer) error {
	key, err := session.OneKey(cmd)
	if err != nil {
		return err
	}
	limit, expires := programTime, time.Time{}
	if cmd.IsSet("exec-timeout") {
		if limit, err = seconds(cmd.String("exec-timeout")); err != nil {
			return err
		}
	}
	if cmd.IsSet("expires") {
		if expires, err = duration.Until(cmd.String("expires"), time.Now()); err != nil {
			return err
		}
	}
	rescue := cmd.String("rescue")
	if _, err := os.Lstat(rescue); rescue != "" && err == nil {
		return usage.Mistake("%s exists; name a file that does not", rescue)
	}
	shell, err := launch.Find([]string{"sh", "-c", cmd.String("exec")})
	if err != nil {
		return err
	}
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	// The version first: a value that is newer is refused in the end, and an older one cannot come.
	info, err := s.Client.Secret(ctx, orgID, key)
	if err != nil {
		return fmt.Errorf("failed to find secret with key %q: %w", key, err)
	}
	old, err := s.Client.SecretValue(ctx, orgID, key)
	if err != nil {
		return fmt.Errorf("failed to get secret with key %q: %w", key, session.WhoMayUse(err))
	}
	env := launch.Inherited(cmd.String("token"))
	env[nameVariable] = key
	task := launch.Task{Program: shell, Env: launch.List(env), Limit: limit, In: []byte(old.Reveal()), Err: errs,
		MaxOut: maxValue}
	made, err := task.Run(ctx)
	defer clear(made)
	if err != nil {
		if passed := launch.Passed(err); exit.IsPassed(passed) {
			return exit.With(exit.Of(passed), fmt.Errorf("the program ended with %d; secret with key %q is as it was",
				exit.Of(passed), key))
		}
		return fmt.Errorf("the program failed, and secret with key %q is as it was: %w", key, err)
	}
	if !cmd.Bool("keep-newline") {
		made = terminal.TrimSingleLine(made)
	}
	switch {
	case len(made) == 0:
		return fmt.Errorf("the program has written no value; secret with key %q is as it was", key)
	case string(made) == old.Reveal():
		return fmt.Errorf("the program has written the value that there was; secret with key %q is as it was", key)
	case !utf8.Valid(made):
		return fmt.Errorf("what the program has written is not text in UTF-8; secret with key %q is as it was", key)
	}
	// From here on the new value may count already: Ctrl-C does not lose it.
	ctx = context.WithoutCancel(ctx)
	version, err := set(ctx, s.Client, orgID, key, string(made), info.Version)
	if err != nil {
		return lost(rescue, made, fmt.Errorf("failed to store the new value of secret with key %q: %w", key, err))
	}
	if cmd.IsSet("expires") {
		if err := s.Client.DescribeSecret(ctx, orgID, key, info.Description, expires); err != nil {
			return fmt.Errorf("secret with key %q has its new value; failed to note when it expires: %w", key, err)
		}
	}
	if s.Print.AsJSON {
		return s.Print.JSON(map[string]any{"key": key, "orgID": orgID, "version": version})
	}
	return s.Print.Table([]string{"Key", "Organization ID", "Version"}, [][]string{{key, orgID, fmt.Sprint(version)}})
}

// set stores the new value. Where it is not known whether that was done, it is asked for: who finds the value there has
// stored it.
func set(ctx context.Context, c *client.Client, orgID, key, value string, at int) (int, error) {
	end := time.Now().Add(patience)
	for pause := time.Second; ; pause = min(2*pause, 10*time.Second) {
		version, err := c.SetSecretAt(ctx, orgID, key, value, at)
		if err == nil {
			return version, nil
		}
		switch exit.Of(err) {
		case exit.Conflict:
			if now, got := c.SecretValue(ctx, orgID, key); got == nil && now.Reveal() == value {
				return at + 1, nil
			}
			return 0, err
		case exit.Unreachable:
			if time.Now().After(end) {
				return 0, err
			}
		default:
			return 0, err
		}
		time.Sleep(pause)
	}
}

// lost keeps a value that could not be stored, where that was asked for.
func lost(path string, value []byte, err error) error {
	if path == "" {
		return fmt.Errorf("%w\nThe program's new value is lost; --rescue keeps it in a file", err)
	}
	f, made := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if made == nil {
		_, made = f.Write(value)
		made = errors.Join(made, f.Sync(), f.Close())
	}
	if made != nil {
		return fmt.Errorf("%w\nThe program's new value is lost: %w", err, made)
	}
	return fmt.Errorf("%w\nThe program's new value is in %s", err, path)
}
