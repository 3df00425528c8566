package tokens

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/duration"
	"strongroom/cmd/influx/internal/permission"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/usage"
)

// appRoleCmd is the command influx auth approle.
func appRoleCmd(p *session.Process) *cli.Command {
	name := &cli.StringFlag{Name: "name", Aliases: []string{"n"}, Usage: "The role's name (required)", Required: true}
	own := []cli.Flag{name,
		&cli.StringFlag{Name: "ttl", Usage: "How long a log-in lasts, such as 20m or 1h", DefaultText: "1h",
			Validator: validSeconds},
		&cli.StringFlag{Name: "max-ttl", Usage: "How long it lasts with all its renewals", DefaultText: "32d",
			Validator: validSeconds},
	}
	for _, action := range []string{permission.Use, "read", "write"} {
		own = append(own,
			&cli.BoolFlag{Name: action + "-secrets", Usage: "Grants to " + action + " all secrets of the organization"},
			&cli.StringSliceFlag{Name: action + "-secret", Validator: someKey(action), Usage: "Grants to " + action +
				" one secret by its `key`, or those that begin so, such as db/*; may be given several times"})
	}
	return &cli.Command{
		Name:  "approle",
		Usage: "Roles that programs log in as over Vault's API",
		Description: `A program logs in with the role's ID and a secret ID, and is given a token for a time:

   influx auth approle create -n telegraf --use-secret 'telegraf/*'
   influx auth approle secret-id -n telegraf --good-for 30d`,
		Commands: []*cli.Command{
			{
				Name:   "create",
				Usage:  "Make a role, or change the one of that name",
				Flags:  session.CommonFlags(session.OrgFlags(own...)...),
				Action: p.Connected(session.Authenticated, createAppRole),
			},
			{
				Name:  "secret-id",
				Usage: "Make a secret ID of a role and show it, this once",
				Flags: session.CommonFlags(name,
					&cli.IntFlag{Name: "uses", Usage: "How many log-ins it is good for", DefaultText: "any number",
						Validator: session.NotNegative},
					&cli.StringFlag{Name: "good-for", Usage: "How long it is good for, such as 12h or 30d",
						DefaultText: "ever", Validator: validSeconds},
					&cli.StringSliceFlag{Name: "network",
						Usage:       "Where it is taken from, such as 10.0.0.0/8; may be given several times",
						DefaultText: "anywhere"},
					&cli.StringFlag{Name: "wrap", Usage: "Shows, in its place, a token by which it is handed over " +
						"once within this time, such as 10m", Validator: validSeconds}),
				Action: p.Connected(session.Authenticated, createSecretID),
			},
			{
				Name:    "list",
				Aliases: []string{"find", "ls"},
				Usage:   "List roles",
				Flags:   session.CommonFlags(),
				Action:  p.Connected(session.Authenticated, listAppRoles),
			},
			{
				Name:   "delete",
				Usage:  "Delete a role with its secret IDs; its tokens are refused from then on",
				Flags:  session.CommonFlags(name),
				Action: p.Connected(session.Authenticated, deleteAppRole),
			},
		},
	}
}

func validSeconds(s string) error {
	_, err := duration.Seconds(s)
	return err
}

func createAppRole(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	org, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	r := client.AppRole{Name: cmd.String("name")}
	for _, action := range []string{permission.Use, "read", "write"} {
		p := client.Permission{Action: action, Resource: permission.OfOrg("secrets", org)}
		if cmd.Bool(action + "-secrets") {
			r.Policies = append(r.Policies, p.String())
		}
		for _, key := range cmd.StringSlice(action + "-secret") {
			p.Resource.Name = key
			r.Policies = append(r.Policies, p.String())
		}
	}
	if len(r.Policies) == 0 {
		return usage.WithHint(cmd, "the role would be allowed nothing: give --use-…, --read-… or --write-… flags")
	}
	if r.TTL, err = duration.Seconds(cmd.String("ttl")); err != nil {
		return err
	}
	if r.MaxTTL, err = duration.Seconds(cmd.String("max-ttl")); err != nil {
		return err
	}
	id, err := s.Client.SetAppRole(ctx, r)
	if err != nil {
		return fmt.Errorf("could not make the role: %w", err)
	}
	if s.Print.AsJSON {
		return s.Print.JSON(map[string]any{"name": r.Name, "roleID": id, "permissions": r.Policies})
	}
	return s.Print.Table([]string{"Name", "Role ID", "Permissions"}, [][]string{{r.Name, id, fmt.Sprint(r.Policies)}})
}

func createSecretID(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	o := client.SecretIDOptions{Uses: cmd.Int("uses"), Networks: cmd.StringSlice("network")}
	var err error
	if o.TTL, err = duration.Seconds(cmd.String("good-for")); err != nil {
		return err
	}
	if o.WrapFor, err = duration.Seconds(cmd.String("wrap")); err != nil {
		return err
	}
	made, err := s.Client.NewSecretID(ctx, cmd.String("name"), o)
	if err != nil {
		return fmt.Errorf("could not make a secret ID of the role %q: %w", cmd.String("name"), err)
	}
	if s.Print.AsJSON {
		return s.Print.JSON(made)
	}
	what, shown := "Secret ID", made.SecretID
	if made.WrappingToken != "" {
		what, shown = "Wrapping Token", made.WrappingToken
	}
	uses, ends := "any number", "never"
	if made.Uses > 0 {
		uses = strconv.Itoa(made.Uses)
	}
	if made.TTL > 0 {
		ends = duration.Text(time.Duration(made.TTL) * time.Second)
	}
	return s.Print.Table([]string{"Accessor", what, "Uses", "Ends In"}, [][]string{{made.Accessor, shown, uses, ends}})
}

func listAppRoles(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	names, err := s.Client.AppRoles(ctx)
	if err != nil {
		return fmt.Errorf("failed to list roles: %w", err)
	}
	rows := make([][]string, len(names))
	for i, n := range names {
		id, err := s.Client.AppRoleID(ctx, n)
		if err != nil {
			return fmt.Errorf("failed to look up role %q: %w", n, err)
		}
		rows[i] = []string{n, id}
	}
	if s.Print.AsJSON {
		all := make([]map[string]string, len(rows))
		for i, r := range rows {
			all[i] = map[string]string{"name": r[0], "roleID": r[1]}
		}
		return s.Print.JSON(all)
	}
	return s.Print.Table([]string{"Name", "Role ID"}, rows)
}

func deleteAppRole(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	name := cmd.String("name")
	if err := s.Client.DeleteAppRole(ctx, name); err != nil {
		return fmt.Errorf("could not delete role %q: %w", name, err)
	}
	return s.PrintRows([]string{"Name"}, [][]string{{name}}, true)
}
