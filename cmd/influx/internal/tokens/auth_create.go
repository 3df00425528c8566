package tokens

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/duration"
	"strongroom/cmd/influx/internal/grammar"
	"strongroom/cmd/influx/internal/permission"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/terminal"
	"strongroom/cmd/influx/internal/usage"
)

func authCreateCmd(p *session.Process) *cli.Command {
	own := []cli.Flag{
		&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Usage: "The user name",
			DefaultText: "who makes the token"},
		&cli.StringFlag{Name: "description", Aliases: []string{"d"}, Usage: "Token description"},
		&cli.StringFlag{
			Name:        "expires",
			Usage:       "When the token ends: " + duration.Forms,
			DefaultText: "never",
			Validator:   duration.ValidUntil,
		},
		&cli.BoolFlag{Name: "operator", Usage: "Grants all permissions in all organizations"},
		&cli.BoolFlag{Name: "all-access", Usage: "Grants all permissions in a single organization"},
		&cli.BoolFlag{Name: "paste", Usage: "Print what to paste for the token's use on standard error, also where " +
			"standard output is no terminal"},
		&cli.BoolFlag{Name: "vault-client", Usage: "For a client of Vault's API, such as an InfluxDB with " +
			"--secret-store vault: reads, uses and writes the secrets of the organization that --org names, or else " +
			"of all, and shows the variables that such a client takes"},
	}
	for _, action := range slices.Backward(permission.Actions) {
		own = append(
			own,
			&cli.StringSliceFlag{Name: action + "-bucket", Usage: "The bucket `id`; may be given several times"},
			&cli.StringSliceFlag{
				Name:      action + "-secret",
				Validator: someKey(action),
				Usage: "The `key` of one secret, or the start of keys and a star, such as db/*; may be given " +
					"several times",
			},
		)
	}
	own = append(
		own,
		&cli.BoolFlag{
			Name:  "use-secrets",
			Usage: "Gives out the values of all secrets, for an agent that uses them; no other flag does",
		},
		&cli.StringSliceFlag{
			Name:      "use-secret",
			Validator: someKey("use"),
			Usage: "The same of one secret by its `key`, or of the keys that begin so, such as db/*; may be " +
				"given several times",
		},
	)
	for _, kind := range permission.Types {
		for _, action := range permission.Actions {
			f := &cli.BoolFlag{Name: action + "-" + kind,
				Usage: "Grants the permission to " + permissionUsage(action, kind)}
			switch kind { // names of InfluxDB 2.0
			case "users":
				f.Aliases = []string{action + "-user"}
			case "dbrp":
				f.Aliases = []string{action + "-dbrps"}
			}
			own = append(own, f)
		}
	}
	cmd := &cli.Command{
		Name:  "create",
		Usage: "Create authorization",
		Description: `Makes a token and shows it, this once. Where that is on a terminal, or with --paste, standard
error then has what to paste for its use: for a shell, curl, Telegraf, External Secrets and Go.
What it may do is what the flags grant within the organization:

   influx auth create --read-secrets --write-secrets -d "deploy job"
   influx auth create --read-secret 'db/*' --expires 30d
   influx auth create --use-secret 'telegraf/*' -d telegraf
   influx auth create --vault-client -d "an InfluxDB that keeps its secrets here"`,
		Flags: session.CommonFlags(session.OrgFlags(own...)...),
		Action: p.Connected(session.Authenticated, func(ctx context.Context, cmd *cli.Command,
			s *session.Session) error {
			return createAuth(ctx, cmd, p, s)
		}),
	}
	grammar.Formerly(cmd, "expires-in", "expires")
	return cmd
}

func someKey(action string) func([]string) error {
	return func(keys []string) error {
		if slices.Contains(keys, "") {
			return fmt.Errorf("its value is empty; --%s-secrets grants it for all secrets", action)
		}
		return nil
	}
}

func permissionUsage(action, kind string) string {
	if action == "read" {
		return "read " + kind
	}
	return "create or update " + kind
}

func createAuth(ctx context.Context, cmd *cli.Command, p *session.Process, s *session.Session) error {
	in := client.NewAuthorization{Description: cmd.String("description")}
	var err error
	if cmd.IsSet("expires") {
		at, err := duration.Until(cmd.String("expires"), time.Now())
		switch {
		case err != nil:
			return err
		case at.IsZero(): // never
		case at.Before(time.Now()):
			return usage.Mistake("flag --expires: %s is past", at.Format(time.RFC3339))
		default:
			in.ExpiresAt = &at
		}
	}
	if in.OrgID, err = orgOfToken(ctx, cmd, s); err != nil {
		return err
	}
	if name := cmd.String("user"); name != "" {
		user, err := s.UserByName(ctx, name)
		if err != nil {
			return err
		}
		in.UserID = user.ID
	}
	if in.Permissions, err = wantedPermissions(ctx, cmd, s, in); err != nil {
		return err
	}
	auth, err := s.Client.CreateAuthorization(ctx, in)
	if err != nil {
		return fmt.Errorf("failed to create the authorization: %w", err)
	}
	if cmd.Bool("vault-client") && !s.Print.AsJSON {
		return s.Print.Lines("VAULT_ADDR="+s.Client.Host(), "VAULT_TOKEN="+auth.Token)
	}
	if err := printAuth(s, auth, false); err != nil {
		return err
	}
	if cmd.Bool("paste") || terminal.Is(p.Out) && !s.Print.AsJSON {
		return paste(p.Err, s.Client.Host(), auth)
	}
	return nil
}

// orgOfToken is the organization that the token is listed in. A Vault client's token that is for all of them needs none
// to be named: it is listed in the first.
func orgOfToken(ctx context.Context, cmd *cli.Command, s *session.Session) (string, error) {
	id, name := session.OrgChoice(cmd, "org-id", "org")
	if !cmd.Bool("vault-client") || session.FirstOf(id, name, s.Profile.Org) != "" {
		return s.Org(ctx, cmd, "org-id", "org")
	}
	orgs, err := s.Client.Orgs(ctx, client.OrgFilter{})
	if err != nil {
		return "", fmt.Errorf("failed to list the organizations, one of which the token is listed in; name it with "+
			"--org: %w", err)
	}
	if len(orgs) == 0 {
		return "", errors.New("there is no organization yet that the token could be listed in: make one (influx org " +
			"create), or import InfluxDB's (influxd import)")
	}
	return orgs[0].ID, nil
}

func wantedPermissions(
	ctx context.Context,
	cmd *cli.Command,
	s *session.Session,
	in client.NewAuthorization,
) ([]client.Permission, error) {
	listed, err := listedPermissions(cmd, in.OrgID)
	if err != nil {
		return nil, err
	}
	operator, allAccess := cmd.Bool("operator"), cmd.Bool("all-access")
	switch {
	case operator && allAccess:
		return nil, usage.Mistake("give either --operator or --all-access, not both")
	case (operator || allAccess) && len(listed) > 0:
		return nil, usage.Mistake(
			"--operator and --all-access go with no other permission; make a token of its own for those",
		)
	case !operator && !allAccess:
		if len(listed) == 0 {
			return nil, usage.WithHint(
				cmd,
				"the token would be allowed nothing: give --use-…, --read-… or --write-… flags, --all-access, "+
					"--operator or --vault-client",
			)
		}
		return listed, nil
	}
	kinds, err := s.Client.Resources(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to list the types of resources: %w", err)
	}
	if operator {
		return permission.Everywhere(kinds), nil
	}
	if in.UserID == "" {
		me, err := s.Client.Me(ctx)
		if err != nil {
			return nil, fmt.Errorf("failed to find out whose token it will be; name the user with --user: %w", err)
		}
		in.UserID = me.ID
	}
	return permission.WithinOrg(kinds, in.OrgID, in.UserID), nil
}

// listedPermissions are those that flags name one by one.
func listedPermissions(cmd *cli.Command, orgID string) ([]client.Permission, error) {
	var all []client.Permission
	for _, action := range permission.Actions {
		for _, id := range cmd.StringSlice(action + "-bucket") {
			if err := session.ValidID(id); err != nil || id == "" {
				return nil, usage.Mistake("invalid bucket ID %q (did you pass a bucket name instead of an ID?)", id)
			}
			all = append(
				all,
				client.Permission{Action: action, Resource: client.Resource{Type: "buckets", ID: id, OrgID: orgID}},
			)
		}
	}
	for _, action := range append(slices.Clone(permission.Actions), permission.Use) {
		for _, key := range cmd.StringSlice(action + "-secret") {
			all = append(
				all,
				client.Permission{Action: action, Resource: client.Resource{Type: "secrets", Name: key, OrgID: orgID}},
			)
		}
	}
	if cmd.Bool("vault-client") {
		within := orgID
		if id, name := session.OrgChoice(cmd, "org-id", "org"); id == "" && name == "" {
			within = "" // all organisations, which an operator may give
		}
		for _, action := range []string{permission.Use, "read", "write"} {
			all = append(all, client.Permission{Action: action, Resource: permission.OfOrg("secrets", within)})
		}
	}
	if cmd.Bool("use-secrets") {
		all = append(all, client.Permission{Action: permission.Use, Resource: permission.OfOrg("secrets", orgID)})
	}
	for _, kind := range permission.Types {
		for _, action := range permission.Actions {
			if cmd.Bool(action + "-" + kind) {
				all = append(all, client.Permission{Action: action, Resource: permission.OfOrg(kind, orgID)})
			}
		}
	}
	return all, nil
}
