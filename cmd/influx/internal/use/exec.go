package use

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/launch"
	"strongroom/cmd/influx/internal/privatedir"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/usage"
)

// dirVariable tells the program where its files are.
const dirVariable = "SECRETS_DIRECTORY"

func execCmd(p *session.Process) *cli.Command {
	afterProgram := 1
	return &cli.Command{
		Name:      "exec",
		Usage:     "Run a program that has secrets as variables or as files",
		ArgsUsage: "-- PROGRAM [ARGUMENT]...",
		Description: `   influx secret exec --env PGPASSWORD=db/password -- psql -h db.example.com
   influx secret exec --prefix db/ -- ./app                     # db/password is the variable DB_PASSWORD
   influx secret exec --file tls.key=tls/key -- sh -c './app --key "$SECRETS_DIRECTORY/tls.key"'

The program takes the place of this command: its terminal, its process group, its signals and its
exit code. It is not given the token, where that came from INFLUX_TOKEN.

A variable's name that is made from a key has capital letters, digits and _ alone. Two secrets
that would have one name are a mistake, and so is a variable that is set already, or one such as
PATH that decides what is run; --env NAME=key is as it says.

Files are in a folder of their own, in memory, for this user alone; SECRETS_DIRECTORY is its path.
The folder goes with the program, also where this command is killed: the program then is killed,
too (on Linux).

With --watch, a change of a secret writes the files anew and restarts the program: it is sent
SIGTERM, and SIGKILL after ten seconds. With --signal HUP it is sent that instead, and reads its
files. While the server is away, or a secret is gone, the program goes on with what it has.

A program that is not found ends with 127, one that cannot be run with 126.`,
		Flags: session.CommonFlags(session.OrgFlags(append(wantedFlags(),
			&cli.StringFlag{
				Name:        "dir",
				TakesFile:   true,
				Usage:       "The `folder` in memory in which the private folder is made",
				DefaultText: "XDG_RUNTIME_DIR or /dev/shm",
			},
			&cli.BoolFlag{Name: "watch", Usage: "When one of the secrets changes, write the files and restart the " +
				"program, or send it --signal"},
			&cli.StringFlag{
				Name: "signal",
				Usage: "With --watch: send the program this `signal` (HUP, INT, TERM, USR1 or USR2) instead, " +
					"once the files are written",
				Validator: validSignal,
			},
			&cli.BoolFlag{Name: "disk", Usage: "Let the folder of --dir be on a disk"},
		)...)...),
		StopOnNthArg: &afterProgram,
		ArgValidator: func(_ context.Context, cmd *cli.Command) error {
			if !cmd.Args().Present() || cmd.Args().First() == "" {
				return usage.WithHint(cmd, "no program: name it behind --")
			}
			return nil
		},
		Action: p.Connected(session.Authenticated, execute),
	}
}

func execute(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	w, err := wantedOf(cmd)
	if err != nil {
		return err
	}
	if len(w.files) == 0 && (cmd.IsSet("dir") || cmd.IsSet("disk")) {
		return usage.WithHint(cmd, "--dir and --disk are for --file")
	}
	if err := watchFlags(cmd, w); err != nil {
		return err
	}
	program, err := launch.Find(cmd.Args().Slice())
	if err != nil {
		return err
	}
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	set, err := s.Client.SecretSet(ctx, orgID, w.keys()...)
	if err != nil {
		return fmt.Errorf("failed to get the secrets: %w", session.WhoMayUse(err))
	}
	base := launch.Inherited(cmd.String("token"))
	taken := func(name string) bool { return base[name] != "" }
	got, err := w.names(set.Values, taken)
	if err != nil {
		return err
	}
	if len(w.files) == 0 && !cmd.Bool("watch") {
		if err := ctx.Err(); err != nil {
			return err
		}
		return program.Replace(environment(base, got.env, ""))
	}
	a := &attendant{program: program, base: base, signal: signals[cmd.String("signal")], warn: s.Term.Warn}
	if len(w.files) > 0 {
		if a.dir, err = privatedir.New(cmd.String("dir"), cmd.Bool("disk")); err != nil {
			return err
		}
		defer func() {
			if err := a.dir.Remove(); err != nil {
				s.Term.Warn("Warning: cannot remove the folder %s: %s", a.dir.Path, err)
			}
		}()
	}
	if cmd.Bool("watch") {
		watching, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		a.changes = changesOf(watching, s, orgID, w, taken, set, got)
	}
	return a.attend(ctx, got)
}

func writeAll(dir *privatedir.Dir, files map[string]client.Secret) error {
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := dir.Write(path, files[path].Reveal()); err != nil {
			return fmt.Errorf("cannot write the file %s: %w", path, err)
		}
	}
	return nil
}

// environment is the program's, as the system takes it.
func environment(base map[string]string, secrets map[string]client.Secret, dir string) []string {
	all := maps.Clone(base)
	for name, value := range secrets {
		all[name] = value.Reveal()
	}
	if dir != "" {
		all[dirVariable] = dir
	}
	return launch.List(all)
}
