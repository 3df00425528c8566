// Package accounts has the commands about who there is: setup, org, user and bucket.
package accounts

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/duration"
	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/profile"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/terminal"
	"strongroom/cmd/influx/internal/usage"
)

// Setup is the command influx setup.
func Setup(p *session.Process) *cli.Command {
	flags := append(session.ConnectFlags(), session.PrintFlags()...)
	flags = append(
		flags,
		&cli.StringFlag{Name: "username", Aliases: []string{"u"}, Usage: "Name of initial user to create"},
		&cli.StringFlag{
			Name:    "password",
			Aliases: []string{"p"},
			Usage: "`Password` to set on initial user, which then shows in the process list and in the " +
				"shell's history",
		},
		passwordFileFlag(),
		&cli.StringFlag{
			Name:        "token",
			Aliases:     []string{"t"},
			Usage:       "Auth token to set on the initial user",
			Sources:     cli.EnvVars("INFLUX_TOKEN"),
			DefaultText: "made by the server",
		},
		&cli.StringFlag{Name: "org", Aliases: []string{"o"}, Usage: "Name of initial organization to create"},
		&cli.StringFlag{Name: "bucket", Aliases: []string{"b"}, Usage: "Name of initial bucket to create"},
		&cli.StringFlag{
			Name:        "retention",
			Aliases:     []string{"r"},
			Usage:       "Duration initial bucket will retain data, such as 72h, 30d or 4w, or 0 for infinite",
			DefaultText: "infinite",
		},
		&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "Ask for nothing and confirm nothing"},
		&cli.StringFlag{
			Name:    "name",
			Aliases: []string{"n"},
			Usage: "Name to set on CLI config generated for the InfluxDB instance, required if other " +
				"configs exist",
			DefaultText: profile.DefaultName,
		},
	)
	return &cli.Command{
		Name:  "setup",
		Usage: "Setup instance with initial user, org, bucket",
		Description: `Asks for what no flag gives, and then writes the operator token to a profile, so that the next
commands need no flags. In a script, give --force and everything as flags, the password in a file
or on standard input:

   influx setup --force -u admin -o my-org -b my-bucket --password-file pw.txt`,
		Flags:  flags,
		Action: p.Connected(session.Anonymous, setup),
	}
}

func setup(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	allowed, err := s.Client.SetupAllowed(ctx)
	if err != nil {
		return fmt.Errorf("failed to ask whether the server is set up: %w", err)
	}
	if !allowed {
		return exit.With(exit.Conflict, fmt.Errorf("the server at %s is set up already\n"+
			"To use it, make a profile of a token: influx config create -n NAME -u %[1]s -o ORG -t TOKEN",
			s.Client.Host()))
	}
	p := profile.Profile{Name: session.FirstOf(cmd.String("name"), profile.DefaultName), URL: s.Client.Host()}
	// Set-up cannot be undone and its token is shown once: the profile must be sure to take it.
	if err := readyForProfile(s.Profiles, cmd.String("name"), p); err != nil {
		return err
	}
	req, err := setupRequest(ctx, cmd, s)
	if err != nil {
		return err
	}
	res, err := s.Client.Setup(ctx, req)
	if err != nil {
		return fmt.Errorf("failed to set the server up: %w", err)
	}
	p.Token, p.Org = res.Auth.Token, res.Org.Name
	_, inUse := s.Profiles.Active()
	p.Active = !inUse
	if err := errors.Join(s.Profiles.Create(p), s.Profiles.Save()); err != nil {
		return fmt.Errorf("setup succeeded, but its token could not be kept: %w\n"+
			"Sign in with the password (influx config create -n %s -u %s -p %s) and make another (influx auth create "+
			"--operator)",
			err, p.Name, p.URL, res.User.Name)
	}
	if inUse {
		s.Term.Warn("The new config is %q; influx config %s makes it the one in use", p.Name, p.Name)
	}
	if s.Print.AsJSON {
		return s.Print.JSON(map[string]string{"user": res.User.Name, "organization": res.Org.Name,
			"bucket": res.Bucket.Name})
	}
	return s.Print.Table(
		[]string{"User", "Organization", "Bucket"},
		[][]string{{res.User.Name, res.Org.Name, res.Bucket.Name}},
	)
}

func readyForProfile(profiles *profile.File, wanted string, p profile.Profile) error {
	if wanted == "" && len(profiles.List()) > 0 {
		return usage.Mistake("there are configs already: give --name to name the new one")
	}
	if _, taken := profiles.Get(p.Name); taken {
		return exit.With(exit.Conflict, fmt.Errorf("config name %q already exists", p.Name))
	}
	return profiles.Writable()
}

// setupRequest puts the flags together and, unless forced, asks for the rest and for a confirmation.
func setupRequest(ctx context.Context, cmd *cli.Command, s *session.Session) (client.SetupRequest, error) {
	req := client.SetupRequest{
		Username: cmd.String("username"),
		Org:      cmd.String("org"),
		Bucket:   cmd.String("bucket"),
		Token:    cmd.String("token"),
	}
	seconds, err := duration.Seconds(cmd.String("retention"))
	if err != nil {
		return req, usage.Mistake("flag --retention: %w", err)
	}
	req.RetentionPeriodSeconds = seconds
	force := cmd.Bool("force")
	if !force && !s.Term.Interactive() {
		return req, usage.Mistake("%w: give --force, and everything as flags", terminal.ErrNotInteractive)
	}
	if req.Password, err = passwordFromFlags(cmd, s.Term); err != nil {
		return req, err
	}
	if force {
		return req, completeForced(&req, s.Term)
	}
	return req, askSetup(ctx, cmd, s.Term, &req)
}

// completeForced checks that nothing is missing; a password that no flag gives is read from standard input.
func completeForced(req *client.SetupRequest, term *terminal.Terminal) error {
	for flag, value := range map[string]string{"--username": req.Username, "--org": req.Org, "--bucket": req.Bucket} {
		if value == "" {
			return usage.Mistake("--force needs --username, --org and --bucket; missing here: %s", flag)
		}
	}
	if req.Password != "" {
		return nil
	}
	if term.Interactive() {
		return errors.New("--force needs a password: give --password-file, or pipe it in")
	}
	var err error
	req.Password, err = readPassword(term, "-")
	return err
}

func askSetup(ctx context.Context, cmd *cli.Command, term *terminal.Terminal, req *client.SetupRequest) error {
	term.Warn("Welcome to Strongroom!")
	var err error
	ask := func(into *string, prompt, byDefault string) {
		if err == nil && *into == "" {
			*into, err = term.Line(ctx, prompt, byDefault)
		}
	}
	ask(&req.Username, "Please type your primary username", "")
	if err == nil && req.Password == "" {
		req.Password, err = term.NewSecret(ctx, "Please type your password", checkPassword)
	}
	ask(&req.Org, "Please type your primary organization name", "")
	ask(&req.Bucket, "Please type your primary bucket name", "")
	if cmd.String("retention") == "" {
		var hours string
		ask(&hours, "Please type your retention period in hours, or 0 for infinite", "0")
		if err == nil {
			n, parseErr := strconv.ParseUint(hours, 10, 31)
			if parseErr != nil {
				return usage.Mistake("the retention period is a number of hours, and %q is not", hours)
			}
			req.RetentionPeriodSeconds = int64(n) * 3600
		}
	}
	if err != nil {
		return err
	}
	retention := "infinite"
	if req.RetentionPeriodSeconds > 0 {
		retention = (time.Duration(req.RetentionPeriodSeconds) * time.Second).String()
	}
	term.Warn(
		"Setup with these parameters?\n  Username:          %s\n  Organization:      %s\n  Bucket:            %s\n  "+
			"Retention Period:  %s",
		req.Username,
		req.Org,
		req.Bucket,
		retention,
	)
	yes, err := term.Confirm(ctx, "Continue?")
	if err == nil && !yes {
		err = errors.New("setup was canceled")
	}
	return err
}
