package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v3"

	"strongroom/client"
)

// permissionTypes are the types that --read-TYPE and --write-TYPE exist for, in the original's order. (Its types of
// InfluxData's cloud service, flows and functions, no server one can install knows.)
var permissionTypes = []string{
	"authorizations", "buckets", "dashboards", "orgs", "tasks", "telegrafs", "users", "variables", "secrets", "labels", "views",
	"documents", "notificationRules", "notificationEndpoints", "checks", "dbrp", "annotations", "sources", "scrapers", "notebooks",
	"remotes", "replications", "instance",
}

var actions = []string{"read", "write"}

func (a *app) authCreateCmd() *cli.Command {
	own := []cli.Flag{
		&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Usage: "The user name", DefaultText: "who makes the token"},
		&cli.StringFlag{Name: "description", Aliases: []string{"d"}, Usage: "Token description"},
		&cli.StringFlag{Name: "expires-in", Usage: "How long the token is good for, such as 12h, 30d or 1w", DefaultText: "for ever"},
		&cli.BoolFlag{Name: "operator", Usage: "Grants all permissions in all organizations"},
		&cli.BoolFlag{Name: "all-access", Usage: "Grants all permissions in a single organization"},
	}
	for _, action := range slices.Backward(actions) {
		own = append(own,
			&cli.StringSliceFlag{Name: action + "-bucket", Usage: "The bucket `id`; may be given several times"},
			&cli.StringSliceFlag{Name: action + "-secret", Usage: "The `key` of one secret, or the start of keys and a star, such as db/*; may be given several times"})
	}
	for _, kind := range permissionTypes {
		for _, action := range actions {
			f := &cli.BoolFlag{Name: action + "-" + kind, Usage: "Grants the permission to " + permissionUsage(action, kind)}
			switch kind { // names of InfluxDB 2.0
			case "users":
				f.Aliases = []string{action + "-user"}
			case "dbrp":
				f.Aliases = []string{action + "-dbrps"}
			}
			own = append(own, f)
		}
	}
	return &cli.Command{
		Name:  "create",
		Usage: "Create authorization",
		Description: `Makes a token and shows it, this once. What it may do is what the flags grant within the organization:

   influx auth create --read-secrets --write-secrets -d "deploy job"
   influx auth create --read-secret 'db/*' --expires-in 30d`,
		Flags:  commonFlags(orgFlags(own...)...),
		Action: a.connected(authenticated, createAuth),
	}
}

func permissionUsage(action, kind string) string {
	if action == "read" {
		return "read " + kind
	}
	return "create or update " + kind
}

func createAuth(ctx context.Context, cmd *cli.Command, s *session) error {
	in := client.NewAuthorization{Description: cmd.String("description")}
	seconds, err := retentionSeconds(cmd.String("expires-in"))
	if err != nil {
		return fmt.Errorf("--expires-in: %w", err)
	}
	if seconds > 0 {
		at := time.Now().Add(time.Duration(seconds) * time.Second).UTC().Truncate(time.Second)
		in.ExpiresAt = &at
	}
	if in.OrgID, err = s.org(ctx, cmd, "org-id", "org"); err != nil {
		return err
	}
	if name := cmd.String("user"); name != "" {
		user, err := s.userByName(ctx, name)
		if err != nil {
			return err
		}
		in.UserID = user.ID
	}
	if in.Permissions, err = wantedPermissions(ctx, cmd, s, in); err != nil {
		return err
	}
	auth, err := s.client.CreateAuthorization(ctx, in)
	if err != nil {
		return fmt.Errorf("could not write auth with provided arguments: %w", err)
	}
	return s.printAuth(auth, false)
}

func wantedPermissions(ctx context.Context, cmd *cli.Command, s *session, in client.NewAuthorization) ([]client.Permission, error) {
	listed, err := listedPermissions(cmd, in.OrgID)
	if err != nil {
		return nil, err
	}
	operator, allAccess := cmd.Bool("operator"), cmd.Bool("all-access")
	switch {
	case operator && allAccess:
		return nil, errors.New("give either --operator or --all-access, not both")
	case (operator || allAccess) && len(listed) > 0:
		return nil, errors.New("cannot compose other permissions with --operator or --all-access, which hold them already")
	case !operator && !allAccess:
		if len(listed) == 0 {
			return nil, withHint(cmd, "the token would be allowed nothing: give --read-… or --write-… flags, --all-access or --operator")
		}
		return listed, nil
	}
	kinds, err := s.client.Resources(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to list the types of resources: %w", err)
	}
	if operator {
		return everywhere(kinds), nil
	}
	if in.UserID == "" {
		me, err := s.client.Me(ctx)
		if err != nil {
			return nil, fmt.Errorf("failed to find out whose token it will be; name the user with --user: %w", err)
		}
		in.UserID = me.ID
	}
	return withinOrg(kinds, in.OrgID, in.UserID), nil
}

// listedPermissions are those that flags name one by one.
func listedPermissions(cmd *cli.Command, orgID string) ([]client.Permission, error) {
	var all []client.Permission
	for _, action := range actions {
		for _, id := range cmd.StringSlice(action + "-bucket") {
			if err := validID(id); err != nil || id == "" {
				return nil, fmt.Errorf("invalid bucket ID %q (did you pass a bucket name instead of an ID?)", id)
			}
			all = append(all, client.Permission{Action: action, Resource: client.Resource{Type: "buckets", ID: id, OrgID: orgID}})
		}
		for _, key := range cmd.StringSlice(action + "-secret") {
			if key == "" {
				return nil, fmt.Errorf("--%s-secret needs a key; --%s-secrets grants it for all", action, action)
			}
			all = append(all, client.Permission{Action: action, Resource: client.Resource{Type: "secrets", Name: key, OrgID: orgID}})
		}
	}
	for _, kind := range permissionTypes {
		for _, action := range actions {
			if cmd.Bool(action + "-" + kind) {
				all = append(all, client.Permission{Action: action, Resource: ofOrg(kind, orgID)})
			}
		}
	}
	return all, nil
}

// ofOrg is a type within an organisation, as far as it belongs to one.
func ofOrg(kind, orgID string) client.Resource {
	if kind == "orgs" || kind == "users" || kind == "instance" {
		return client.Resource{Type: kind}
	}
	return client.Resource{Type: kind, OrgID: orgID}
}

func everywhere(kinds []string) []client.Permission {
	var all []client.Permission
	for _, kind := range kinds {
		for _, action := range actions {
			all = append(all, client.Permission{Action: action, Resource: client.Resource{Type: kind}})
		}
	}
	return all
}

// withinOrg is all one may do in an organisation: read it, change oneself, and read and write what belongs to it.
func withinOrg(kinds []string, orgID, userID string) []client.Permission {
	var all []client.Permission
	for _, kind := range kinds {
		switch kind {
		case "instance": // the server as a whole, which belongs to its operator
		case "orgs":
			all = append(all, client.Permission{Action: "read", Resource: client.Resource{Type: kind, ID: orgID}})
		case "users":
			for _, action := range actions {
				all = append(all, client.Permission{Action: action, Resource: client.Resource{Type: kind, ID: userID}})
			}
		default:
			for _, action := range actions {
				all = append(all, client.Permission{Action: action, Resource: ofOrg(kind, orgID)})
			}
		}
	}
	return all
}
