// Package config has the command influx config, about the profiles.
package config

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/output"
	"strongroom/cmd/influx/internal/profile"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/usage"
)

// Command is the command influx config.
func Command(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:      "config",
		Usage:     "Config management commands",
		ArgsUsage: "[config name]",
		Description: `Without a name, shows the profile in use; with one, makes that the profile in use; with -, the one
used before.

Profiles are the server's URL, the token and the organization under a name. They are kept in
~/.influxdbv2/configs, which the original influx CLI reads and writes, too. Tables do not show
tokens; --json does.`,
		Flags:        append([]cli.Flag{session.ConfigsPathFlag()}, session.PrintFlags()...),
		ArgValidator: func(context.Context, *cli.Command) error { return nil },
		Action:       showOrSwitch(p),
		Commands: []*cli.Command{
			{
				Name:         "create",
				Usage:        "Create config",
				Flags:        flags("Name for the new config", true),
				ArgValidator: usage.NoArgs,
				Action: func(_ context.Context, cmd *cli.Command) error {
					return apply(p, cmd, "create",
						func(f *profile.File, made profile.Profile) (profile.Profile, error) {
							return made, f.Create(made)
						})
				},
			},
			{
				Name:      "rm",
				Aliases:   []string{"delete", "remove"},
				Usage:     "Delete config",
				ArgsUsage: "[config name]...",
				Description: "The config in use goes with --force, or after a question: it may have the only copy " +
					"of a token.",
				Flags: append(append([]cli.Flag{session.ConfigsPathFlag()}, session.PrintFlags()...),
					&cli.BoolFlag{Name: "force", Aliases: []string{"f"},
						Usage: "Delete the config in use, too, and ask nothing"}),
				Action: remove(p),
			},
			{
				Name:         "set",
				Aliases:      []string{"update"},
				Usage:        "Update config",
				Flags:        flags("Name of the config to update", false),
				ArgValidator: usage.NoArgs,
				Action: func(_ context.Context, cmd *cli.Command) error {
					return apply(p, cmd, "update", (*profile.File).Update)
				},
			},
			{
				Name:         "ls",
				Aliases:      []string{"list"},
				Usage:        "List configs",
				Flags:        append([]cli.Flag{session.ConfigsPathFlag()}, session.PrintFlags()...),
				ArgValidator: usage.NoArgs,
				Action:       list(p),
			},
		},
	}
}

func flags(nameUsage string, hostRequired bool) []cli.Flag {
	return append(
		append([]cli.Flag{session.ConfigsPathFlag()}, session.PrintFlags()...),
		&cli.StringFlag{Name: "config-name", Aliases: []string{"n"}, Usage: nameUsage, Required: true},
		&cli.StringFlag{
			Name:     "host-url",
			Aliases:  []string{"u"},
			Usage:    "Base URL of the InfluxDB server",
			Required: hostRequired,
		},
		&cli.StringFlag{Name: "token", Aliases: []string{"t"},
			Usage: "Auth token to use when communicating with the server"},
		&cli.StringFlag{
			Name:    "username-password",
			Aliases: []string{"p"},
			Usage:   "`USER`, whose password each command then asks for, or USER:PASSWORD, which is kept in the file",
		},
		&cli.StringFlag{Name: "org", Aliases: []string{"o"}, Usage: "Default organization name"},
		&cli.BoolFlag{Name: "active", Aliases: []string{"a"}, Usage: "Set the config as active"},
	)
}

func showOrSwitch(proc *session.Process) cli.ActionFunc {
	return func(_ context.Context, cmd *cli.Command) error {
		f, err := proc.LoadProfiles(cmd)
		if err != nil {
			return err
		}
		switch cmd.Args().Len() {
		case 0:
			p, ok := f.Active()
			if !ok {
				// As the original does: what commands would use.
				p = profile.Profile{Name: profile.DefaultName, URL: session.DefaultHost, Active: true}
			}
			return printConfig(proc.Printer(cmd), p)
		case 1:
			p, err := f.Switch(cmd.Args().First())
			if err != nil {
				return err
			}
			if err := f.Save(); err != nil {
				return err
			}
			return printConfig(proc.Printer(cmd), p)
		}
		return usage.WithHint(cmd, "influx config takes one name at most")
	}
}

// apply makes the change of the flags.
func apply(
	proc *session.Process,
	cmd *cli.Command,
	verb string,
	change func(*profile.File, profile.Profile) (profile.Profile, error),
) error {
	up := profile.Profile{
		Name:   cmd.String("config-name"),
		URL:    cmd.String("host-url"),
		Token:  cmd.String("token"),
		Org:    cmd.String("org"),
		Active: cmd.Bool("active"),
	}
	if up.URL != "" {
		if _, err := client.New(client.Config{Host: up.URL}); err != nil {
			return usage.Mistake("%w", err)
		}
	}
	if login := cmd.String("username-password"); login != "" {
		if up.Token != "" {
			return usage.Mistake("give either --token or --username-password, not both")
		}
		if strings.Contains(login, ":") {
			proc.Term.Warn(
				"Warning: a password on the command line shows in the process list and in the shell's history; give " +
					"the username alone to be asked",
			)
		}
		up.Cookie = base64.StdEncoding.EncodeToString([]byte(login))
	}
	f, err := proc.LoadProfiles(cmd)
	if err != nil {
		return err
	}
	p, err := change(f, up)
	if err != nil {
		return fmt.Errorf("failed to %s config %q: %w", verb, up.Name, err)
	}
	if err := f.Save(); err != nil {
		return err
	}
	return printConfig(proc.Printer(cmd), p)
}

func remove(proc *session.Process) cli.ActionFunc {
	return func(ctx context.Context, cmd *cli.Command) error {
		if !cmd.Args().Present() {
			return usage.WithHint(cmd, "name at least one config to delete")
		}
		f, err := proc.LoadProfiles(cmd)
		if err != nil {
			return err
		}
		if err := mayRemoveActive(ctx, proc, cmd, f); err != nil {
			return err
		}
		var deleted []profile.Profile
		for _, name := range cmd.Args().Slice() {
			p, err := f.Delete(name)
			if err != nil {
				return err // nothing is saved yet
			}
			deleted = append(deleted, p)
		}
		if err := f.Save(); err != nil {
			return err
		}
		return printConfigs(proc.Printer(cmd), deleted, true)
	}
}

// mayRemoveActive asks before the config in use is deleted, whose token is shown nowhere else.
func mayRemoveActive(ctx context.Context, proc *session.Process, cmd *cli.Command, f *profile.File) error {
	active, ok := f.Active()
	if !ok || cmd.Bool("force") || !slices.Contains(cmd.Args().Slice(), active.Name) {
		return nil
	}
	if !proc.Term.Interactive() {
		return usage.Mistake(
			"config %q is the one in use, and may have the only copy of its token: give --force to delete it",
			active.Name,
		)
	}
	yes, err := proc.Term.Confirm(
		ctx,
		fmt.Sprintf("Config %q is the one in use, and may have the only copy of its token. Delete it?", active.Name),
	)
	if err == nil && !yes {
		err = errors.New("nothing was deleted")
	}
	return err
}

func list(proc *session.Process) cli.ActionFunc {
	return func(_ context.Context, cmd *cli.Command) error {
		f, err := proc.LoadProfiles(cmd)
		if err != nil {
			return err
		}
		return printConfigs(proc.Printer(cmd), f.List(), false)
	}
}

func printConfig(out output.Printer, p profile.Profile) error {
	if out.AsJSON {
		return out.JSON(p)
	}
	return printConfigs(out, []profile.Profile{p}, false)
}

func printConfigs(out output.Printer, all []profile.Profile, deleted bool) error {
	if out.AsJSON {
		byName := map[string]profile.Profile{}
		for _, p := range all {
			byName[p.Name] = p
		}
		return out.JSON(byName)
	}
	headers := []string{"Active", "Name", "URL", "Org"}
	if deleted {
		headers = append(headers, "Deleted")
	}
	rows := make([][]string, len(all))
	for i, p := range all {
		active := ""
		if p.Active {
			active = "*"
		}
		rows[i] = []string{active, p.Name, p.URL, p.Org}
		if deleted {
			rows[i] = append(rows[i], "true")
		}
	}
	return out.Table(headers, rows)
}
