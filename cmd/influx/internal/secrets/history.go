package secrets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/duration"
	"strongroom/cmd/influx/internal/output"
	"strongroom/cmd/influx/internal/session"
)

func showCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:   "show",
		Usage:  "Show what is known of a secret, its value excepted",
		Flags:  session.CommonFlags(session.OrgFlags(keyFlag())...),
		Action: p.Connected(session.Authenticated, showSecret),
	}
}

func historyCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:   "history",
		Usage:  "List the versions of a secret, newest first",
		Flags:  session.CommonFlags(session.OrgFlags(keyFlag())...),
		Action: p.Connected(session.Authenticated, secretHistory),
	}
}

func restoreCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "restore",
		Usage: "Bring back a deleted secret, or set the value of an earlier version anew",
		Description: `Without --version, brings back a secret that was deleted; influx secret list --deleted lists those
there are. A deleted secret is kept for 7 days. With --version, sets the value that this version
had, as a new version.`,
		Flags: session.CommonFlags(session.OrgFlags(keyFlag(), &cli.IntFlag{
			Name: "version", Usage: "The `number` of the version, as influx secret history lists it",
			Validator: func(n int) error {
				if n < 1 {
					return errors.New("a version is at least 1")
				}
				return nil
			},
		})...),
		Action: p.Connected(session.Authenticated, func(ctx context.Context, cmd *cli.Command,
			s *session.Session) error {
			return restoreSecret(ctx, cmd, s, cmd.Int("version"))
		}),
	}
}

func undeleteCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:        "undelete",
		Hidden:      true,
		Usage:       "Bring back a deleted secret, as influx secret restore does",
		Description: "Without a key, lists those that can be brought back, as influx secret list --deleted does.",
		Flags: session.CommonFlags(
			session.OrgFlags(&cli.StringFlag{Name: "key", Aliases: []string{"k"}, Usage: "The secret key"})...),
		Action: p.Connected(session.Authenticated, undeleteSecret),
	}
}

func secretInfo(ctx context.Context, cmd *cli.Command, s *session.Session) (*client.SecretInfo, error) {
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return nil, err
	}
	info, err := s.Client.Secret(ctx, orgID, cmd.String("key"))
	if err != nil {
		return nil, fmt.Errorf("failed to find secret with key %q: %w", cmd.String("key"), err)
	}
	return info, nil
}

func showSecret(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	info, err := secretInfo(ctx, cmd, s)
	if err != nil {
		return err
	}
	if s.Print.AsJSON {
		return s.Print.JSON(info)
	}
	return printInfo(s, *info)
}

func printInfo(s *session.Session, info client.SecretInfo) error {
	return s.Print.Table(infoHeaders, [][]string{infoRow(info)})
}

var infoHeaders = []string{"Key", "Version", "Updated", "By", "Last Used", "Expires", "Deleted", "Description"}

func infoRow(i client.SecretInfo) []string {
	return []string{
		i.Key,
		fmt.Sprint(i.Version),
		output.Stamp(&i.UpdatedAt),
		i.UpdatedBy,
		output.Stamp(i.LastUsedAt),
		output.Stamp(i.ExpiresAt),
		output.Stamp(i.DeletedAt),
		i.Description,
	}
}

func secretHistory(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	info, err := secretInfo(ctx, cmd, s)
	if err != nil {
		return err
	}
	if s.Print.AsJSON {
		return s.Print.JSON(info.Versions)
	}
	var rows [][]string
	for n := len(info.Versions) - 1; n >= 0; n-- {
		v := info.Versions[n]
		state := "restorable"
		switch {
		case v.Version == info.Version && info.DeletedAt == nil:
			state = "current"
		case !v.Restorable:
			state = "lost"
		}
		rows = append(rows, []string{fmt.Sprint(v.Version), output.Stamp(&v.CreatedAt), v.CreatedBy, state})
	}
	return s.Print.Table([]string{"Version", "Set", "By", "State"}, rows)
}

func restoreSecret(ctx context.Context, cmd *cli.Command, s *session.Session, version int) error {
	key := cmd.String("key")
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	if err := s.Client.RestoreSecret(ctx, orgID, key, version); err != nil {
		return fmt.Errorf("failed to restore secret with key %q: %w", key, err)
	}
	return printSecret(s, secretRow{Key: key, OrgID: orgID})
}

func undeleteSecret(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	if cmd.String("key") != "" {
		return restoreSecret(ctx, cmd, s, 0)
	}
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	return listDeleted(ctx, s, orgID)
}

// expiring reads the time before which a value should be replaced.
func expiring(s string, now time.Time) (time.Time, error) {
	if seconds, err := duration.Seconds(s); s != "" && err == nil && seconds == 0 {
		return now, nil
	}
	at, err := duration.Until(s, now)
	if s == "" || err == nil && at.IsZero() {
		return at, errors.New("give a time from now such as 30d, a date such as 2027-01-31, or a time")
	}
	return at, err
}

func listExpiring(ctx context.Context, s *session.Session, orgID string, before time.Time) error {
	infos, err := s.Client.ExpiringSecrets(ctx, orgID, before)
	if err != nil {
		return fmt.Errorf("failed to list secrets: %w", err)
	}
	slices.SortStableFunc(infos, func(a, b client.SecretInfo) int { return a.ExpiresAt.Compare(*b.ExpiresAt) })
	type row struct {
		Key       string     `json:"key"`
		OrgID     string     `json:"orgID"`
		ExpiresAt *time.Time `json:"expiresAt"`
		UpdatedAt time.Time  `json:"updatedAt"`
		UpdatedBy string     `json:"updatedBy,omitempty"`
	}
	list, table := make([]row, len(infos)), make([][]string, len(infos))
	for i, info := range infos {
		list[i] = row{info.Key, orgID, info.ExpiresAt, info.UpdatedAt, info.UpdatedBy}
		table[i] = []string{info.Key, output.Stamp(info.ExpiresAt), output.Stamp(&info.UpdatedAt), info.UpdatedBy}
	}
	if s.Print.AsJSON {
		return s.Print.JSON(list)
	}
	return s.Print.Table([]string{"Key", "Replace By", "Updated", "By"}, table)
}

func listDeleted(ctx context.Context, s *session.Session, orgID string) error {
	err := output.Pages(s.Print, infoHeaders, infoRow, s.Client.DeletedSecretPages(ctx, orgID))
	if err != nil {
		return fmt.Errorf("failed to list deleted secrets: %w", err)
	}
	return nil
}
