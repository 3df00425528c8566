// Package recovery lets somebody in again where all tokens or passwords are lost: its commands change users and tokens
// on data that no server has open.
package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"

	"strongroom/internal/access"
	"strongroom/internal/audit/auditlog"
	"strongroom/internal/barrier"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/directory"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/offline/datafile"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/kv/bolt"
)

var (
	usernameFlag = config.Flag{Name: "username", Value: "NAME", Help: "the user"}
	passwordFlag = config.Flag{Name: "password-file", Value: "PATH",
		Help: "file with the user's new password in its first line; without it, it is asked for"}
	operatorFlag = config.Flag{Name: "operator", Help: "make the user an operator, too"}

	TokenFlags = []config.Flag{
		usernameFlag, {Name: "org", Value: "NAME", Help: "the organization of the token"},
	}
	CreateFlags = []config.Flag{usernameFlag, passwordFlag, operatorFlag}
	UpdateFlags = []config.Flag{
		usernameFlag, passwordFlag, operatorFlag, {Name: "active", Help: "make the user active again"},
	}
)

// records are those of users, organisations and tokens, open for a command that is given on the machine itself.
type records struct {
	*directory.Service
	logins *authn.Service
	caller *access.Caller
	out    io.Writer
}

// recovers opens the data for a command that lets somebody in again. It takes the seal's key, and no server at work;
// what it does is on record in the audit log, under the command's name.
func recovers(ctx context.Context, p command.Process, args config.Args, do func(*records) error) (err error) {
	cfg, log, err := command.Load(p, args)
	if err != nil {
		return err
	}
	if _, err := os.Stat(cfg.BoltPath); errors.Is(err, fs.ErrNotExist) && cfg.Store == config.EngineBolt {
		return fmt.Errorf("%s: there is no file %s", cfg.Place("bolt-path"), cfg.BoltPath)
	}
	data, err := parts.OpenData(ctx, cfg, log)
	if errors.Is(err, bolt.ErrInUse) {
		return fmt.Errorf("%w; stop the server first: while it runs, an operator does all of this with influx", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	keys, err := datafile.OpenKeys(ctx, p, cfg, data)
	if err != nil {
		return err
	}
	defer keys.Close()
	chainKey, err := keys.DeriveKey(parts.AuditLabel)
	if err != nil {
		return err
	}
	// The command's own output may be a token: what a sink on the standard output is told goes elsewhere.
	trail, err := auditlog.Open(auditlog.Config{Sinks: cfg.AuditSinks, ChainKey: chainKey,
		Marks: parts.MarksOf(cfg, data, ""), Server: parts.AmongSeveral(cfg), Logger: log, Stdout: p.Stderr})
	if err != nil {
		return fmt.Errorf("%s: %w", cfg.Place("audit-sinks"), err)
	}
	defer func() { err = errors.Join(err, trail.Close()) }()
	guard, identities := access.NewGuard(trail), barrier.New(data, keys, identity.Sealed)
	r := &records{caller: command.Operator("influxd recovery"), out: p.Stdout}
	if r.logins, err = authn.New(authn.Config{KV: identities, Guard: guard, Logger: log}); err != nil {
		return err
	}
	r.Service, err = directory.New(directory.Config{
		KV: identities, Mark: keys, Guard: guard, Authn: r.logins, Secrets: noSecrets{}, Logger: log,
	})
	if err != nil {
		return err
	}
	return do(r)
}

// noSecrets is in the place of the store, which no command here touches.
type noSecrets struct{}

var errNoSecrets = errors.New("the secrets are not open")

func (noSecrets) Purge(context.Context, id.ID) error { return errNoSecrets }
func (noSecrets) Check(context.Context) error        { return errNoSecrets }

// needs says which of a command's flags is missing, before anything is opened.
func needs(args config.Args, flag, what string) error {
	if args.Flag(flag) != "" {
		return nil
	}
	return command.Usage(fmt.Errorf("flag --%s: name the %s", flag, what))
}

const (
	theUser = "user; influxd recovery user list shows all of them"
	theOrg  = "organization; influxd recovery org list shows all of them"
)

// user is whom the flag names.
func (r *records) user(ctx context.Context, args config.Args) (identity.User, error) {
	name := args.Flag("username")
	users, err := r.Users(ctx, r.caller, name, identity.Page{})
	if errs.Is(err, errs.NotFound) {
		return identity.User{}, fmt.Errorf("flag --username: there is no user %q; influxd recovery user list shows "+
			"all of them", name)
	}
	if err != nil {
		return identity.User{}, err
	}
	return users[0], nil
}

// newPassword is the password in the file, or what is typed. It is asked for before anything is changed.
func newPassword(ctx context.Context, args config.Args, user string) (string, error) {
	if path := args.Flag("password-file"); path != "" {
		line, err := command.FirstLine(path)
		if err != nil {
			return "", command.Usage(fmt.Errorf("flag --password-file: %w", err))
		}
		return line, authn.CheckPassword(line)
	}
	typed, err := parts.AskPassword(ctx, user)
	if err != nil {
		return "", err
	}
	defer clear(typed)
	return string(typed), authn.CheckPassword(string(typed))
}

// said gives an error in its own words.
func said(err error) error {
	if err == nil || errs.CodeOf(err) == errs.Internal {
		return err
	}
	return errors.New(errs.Message(err))
}

// CreateOperator makes a token that may do everything, for a user who may do so, too.
func CreateOperator(ctx context.Context, p command.Process, args config.Args) error {
	if err := cmp.Or(needs(args, "username", theUser), needs(args, "org", theOrg)); err != nil {
		return err
	}
	return recovers(ctx, p, args, func(r *records) error {
		u, err := r.user(ctx, args)
		if err != nil {
			return err
		}
		if u.Status != identity.Active {
			return fmt.Errorf("the user %q is inactive, and so would the token be: influxd recovery user update "+
				"--active makes them active", u.Name)
		}
		name := args.Flag("org")
		orgs, err := r.Orgs(ctx, r.caller, directory.OrgFilter{Name: name}, identity.Page{})
		if errs.Is(err, errs.NotFound) {
			return fmt.Errorf("flag --org: there is no organization %q; influxd recovery org list shows all of them",
				name)
		}
		if err != nil {
			return err
		}
		a, token, err := r.Authorize(ctx, r.caller, authorizations.Wanted{
			OrgID: orgs[0].ID, UserID: u.ID, Description: u.Name + "'s Recovery Token", Permissions: access.Operator(),
		})
		if err != nil {
			return said(err)
		}
		return table(r.out, []string{"ID", "User Name", "User ID", "Organization", "Token"},
			[]string{a.ID.String(), u.Name, u.ID.String(), orgs[0].Name, token})
	})
}

// CreateUser makes a user with a password, an operator where the flag says so.
func CreateUser(ctx context.Context, p command.Process, args config.Args) error {
	if err := needs(args, "username", "user"); err != nil {
		return err
	}
	return recovers(ctx, p, args, func(r *records) error {
		name := args.Flag("username")
		password, err := newPassword(ctx, args, name)
		if err != nil {
			return said(err)
		}
		u, err := r.NewUser(ctx, r.caller, name, identity.Active)
		if err != nil {
			return said(err)
		}
		if err := said(r.logins.SetPassword(ctx, r.caller, u.ID, password)); err != nil {
			return fmt.Errorf("the user was made, and has no password yet: %w; influxd recovery user update sets one",
				err)
		}
		if args.Switch("operator") {
			if u, err = r.MakeOperator(ctx, r.caller, u.ID); err != nil {
				return fmt.Errorf("the user was made, and is no operator: %w", said(err))
			}
		}
		return tableOf(r.out, u)
	})
}

// UpdateUser sets a user's password, makes them an operator, or active again.
func UpdateUser(ctx context.Context, p command.Process, args config.Args) error {
	if err := needs(args, "username", theUser); err != nil {
		return err
	}
	return recovers(ctx, p, args, func(r *records) error {
		u, err := r.user(ctx, args)
		if err != nil {
			return err
		}
		// Without anything else to do, it is about the password, as InfluxDB's is.
		sets := args.Flag("password-file") != "" || !args.Switch("active") && !args.Switch("operator")
		var password string
		if sets {
			if password, err = newPassword(ctx, args, u.Name); err != nil {
				return said(err)
			}
		}
		if args.Switch("active") {
			status := identity.Active
			if u, err = r.UpdateUser(ctx, r.caller, u.ID, nil, &status); err != nil {
				return said(err)
			}
		}
		if args.Switch("operator") {
			if u, err = r.MakeOperator(ctx, r.caller, u.ID); err != nil {
				return said(err)
			}
		}
		if sets {
			if err := said(r.logins.SetPassword(ctx, r.caller, u.ID, password)); err != nil {
				return err
			}
		}
		return tableOf(r.out, u)
	})
}

// ListUsers shows all users.
func ListUsers(ctx context.Context, p command.Process, args config.Args) error {
	return recovers(ctx, p, args, func(r *records) error {
		users, err := r.Users(ctx, r.caller, "", identity.Page{})
		if err != nil {
			return err
		}
		return tableOf(r.out, users...)
	})
}

func tableOf(w io.Writer, users ...identity.User) error {
	rows := make([][]string, len(users))
	for i, u := range users {
		what := ""
		if u.Operator {
			what = "operator"
		}
		rows[i] = []string{u.ID.String(), u.Name, string(u.Status), what}
	}
	return table(w, []string{"ID", "Name", "Status", "Role"}, rows...)
}

// ListOrgs shows all organisations.
func ListOrgs(ctx context.Context, p command.Process, args config.Args) error {
	return recovers(ctx, p, args, func(r *records) error {
		orgs, err := r.Orgs(ctx, r.caller, directory.OrgFilter{}, identity.Page{})
		if err != nil {
			return err
		}
		rows := make([][]string, len(orgs))
		for i, o := range orgs {
			rows[i] = []string{o.ID.String(), o.Name}
		}
		return table(r.out, []string{"ID", "Name"}, rows...)
	})
}

// ListAuths shows all tokens, without themselves.
func ListAuths(ctx context.Context, p command.Process, args config.Args) error {
	return recovers(ctx, p, args, func(r *records) error {
		var rows [][]string
		err := r.EachAuthorization(ctx, r.caller, authorizations.Filter{}, identity.Page{},
			func(a identity.Authorization) error {
				user, err := r.UserName(ctx, a.UserID)
				if err != nil {
					return err
				}
				org, err := r.OrgName(ctx, a.OrgID)
				rows = append(rows, []string{a.ID.String(), user, org, string(a.Status), a.Description})
				return err
			})
		if err != nil {
			return err
		}
		return table(r.out, []string{"ID", "User Name", "Organization", "Status", "Description"}, rows...)
	})
}

// table writes rows under their heads. A description may hold anything; a terminal is shown no control character of it.
func table(w io.Writer, head []string, rows ...[]string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, strings.Map(func(c rune) rune {
				if unicode.IsControl(c) {
					return ' '
				}
				return c
			}, cell))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
