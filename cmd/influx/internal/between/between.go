// Package between has the commands about the secrets of two organisations, on one server or on two.
package between

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/usage"
)

// Commands are influx secret copy and influx secret diff.
func Commands(p *session.Process) []*cli.Command { return []*cli.Command{copyCmd(p), diffCmd(p)} }

// The words that the names of the flags of the second organisation begin with: each command has its own, and takes that
// of the other as well.
const (
	wordCopy = "to"
	wordDiff = "with"
)

// otherFlags choose the second organisation. Their names begin with word.
func otherFlags(word string, own ...cli.Flag) []cli.Flag {
	other := wordDiff
	if word == wordDiff {
		other = wordCopy
	}
	return append([]cli.Flag{
		&cli.StringFlag{Name: word + "-config", Aliases: []string{other + "-config"},
			Usage:       "The config with the server, the token and the organization of the other side",
			DefaultText: "the same server and token"},
		&cli.StringFlag{Name: word + "-org", Aliases: []string{other + "-org"},
			Usage: "The name of the other organization", DefaultText: "that of --" + word + "-config"},
		&cli.StringFlag{Name: word + "-org-id", Aliases: []string{other + "-org-id"},
			Usage: "The ID of the other organization", Validator: session.ValidID},
		&cli.StringSliceFlag{Name: "prefix", Usage: "Those whose key begins so"},
	}, own...)
}

// side is one of the two organisations.
type side struct {
	*session.Session
	orgID string
}

// both finds the two organisations.
func both(ctx context.Context, cmd *cli.Command, p *session.Process, s *session.Session,
	word string) (here, there side, err error) {
	if !cmd.IsSet(word+"-config") && !cmd.IsSet(word+"-org") && !cmd.IsSet(word+"-org-id") {
		return here, there, usage.WithHint(cmd, fmt.Sprintf("which is the other organization? give --%s-config, "+
			"--%[1]s-org or --%[1]s-org-id", word))
	}
	if cmd.IsSet(word+"-org") && cmd.IsSet(word+"-org-id") {
		return here, there, usage.WithHint(cmd, fmt.Sprintf("give either --%s-org or --%[1]s-org-id", word))
	}
	here.Session, there.Session = s, s
	if here.orgID, err = s.Org(ctx, cmd, "org-id", "org"); err != nil {
		return here, there, err
	}
	if name := cmd.String(word + "-config"); name != "" {
		if there.Session, err = p.Other(ctx, cmd, s, name); err != nil {
			return here, there, err
		}
	}
	if there.orgID, err = there.Org(ctx, cmd, word+"-org-id", word+"-org"); err != nil {
		return here, there, there.Explain(err)
	}
	if here.orgID == there.orgID && here.Client.Host() == there.Client.Host() {
		return here, there, usage.WithHint(cmd, "both sides are the same organization")
	}
	return here, there, nil
}

// close ends the other side's session, where it is one of its own.
func (s side) close(ctx context.Context, own *session.Session) {
	if s.Session != nil && s.Session != own && s.Client != nil {
		_ = s.Client.SignOut(context.WithoutCancel(ctx)) // it expires by itself
	}
}

// values are those of the secrets that the token may use, as the prefixes choose them.
func (s side) values(ctx context.Context, prefixes []string) (map[string]client.Secret, error) {
	values, err := s.Client.SecretValues(ctx, s.orgID)
	if err != nil {
		return nil, s.Explain(fmt.Errorf("failed to get the secrets of organization %s at %s: %w", s.orgID,
			s.Client.Host(), session.WhoMayUse(err)))
	}
	if len(prefixes) > 0 {
		maps.DeleteFunc(values, func(key string, _ client.Secret) bool { return !begins(key, prefixes) })
	}
	return values, nil
}

func begins(key string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// row is a line of what was done, or found.
type row struct {
	Key    string `json:"key"`
	OrgID  string `json:"orgID,omitempty"`
	Status string `json:"status"`
}

func copyCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "copy",
		Usage: "Copy secrets to another organization, also on another server",
		Description: `   influx secret copy --to-org staging --prefix db/ --dry-run
   influx secret copy --active-config old --to-config new --new

All are copied that the token may use, or those of --prefix, all of them or none. A secret that
exists on the other side is a mistake, unless --new leaves such out or --replace replaces them.
--dry-run shows the names and changes nothing. No value is shown, nor written to a file.

Here it takes a token that may use the secrets, and there one that may write them and read their
names. Of another server, and of an organization for which this token is not, influx config create
makes a config.`,
		Flags: session.CommonFlags(session.OrgFlags(otherFlags(wordCopy,
			&cli.BoolFlag{Name: "new", Usage: "Leave out what exists"},
			&cli.BoolFlag{Name: "replace", Usage: "Replace what exists"},
			&cli.BoolFlag{Name: "dry-run", Usage: "Show the names and change nothing"},
		)...)...),
		ArgValidator: usage.NoArgs,
		Action: p.Connected(session.Authenticated, func(ctx context.Context, cmd *cli.Command,
			s *session.Session) error {
			return copySecrets(ctx, cmd, p, s)
		}),
	}
}

func copySecrets(ctx context.Context, cmd *cli.Command, p *session.Process, s *session.Session) error {
	if cmd.Bool("new") && cmd.Bool("replace") {
		return usage.WithHint(cmd, "give --new or --replace, not both")
	}
	from, to, err := both(ctx, cmd, p, s, wordCopy)
	defer to.close(ctx, s)
	if err != nil {
		return err
	}
	values, err := from.values(ctx, cmd.StringSlice("prefix"))
	if err != nil {
		return err
	}
	if len(values) == 0 {
		return exit.With(exit.NotFound, errors.New("there is no secret to copy that this token may use"))
	}
	keys, err := to.Client.SecretKeys(ctx, to.orgID)
	if err != nil {
		return to.Explain(fmt.Errorf("failed to list the secrets of the other side: %w", err))
	}
	var rows []row
	var exist []string
	set := make(map[string]string, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		status := "new"
		if _, had := slices.BinarySearch(keys, key); had {
			switch {
			case cmd.Bool("new"):
				rows = append(rows, row{key, to.orgID, "exists, left out"})
				continue
			case cmd.Bool("replace"):
				status = "replaced"
			default:
				exist, status = append(exist, key), "exists"
			}
		}
		set[key] = values[key].Reveal()
		rows = append(rows, row{key, to.orgID, status})
	}
	var refused error
	if len(exist) > 0 {
		refused = usage.Mistake("%d of these secrets exist there, the first is %q; --new leaves them out, --replace "+
			"replaces them", len(exist), exist[0])
	}
	switch {
	case cmd.Bool("dry-run"):
	case refused != nil:
		return refused
	case len(set) > 0:
		store := to.Client.CreateSecrets // those that were not there must not be there now
		if cmd.Bool("replace") {
			store = to.Client.SetSecrets
		}
		if err := store(ctx, to.orgID, set); err != nil {
			return to.Explain(fmt.Errorf("failed to store the secrets on the other side: %w", err))
		}
	}
	if s.Print.AsJSON {
		return errors.Join(s.Print.JSON(rows), refused)
	}
	cells := make([][]string, len(rows))
	for i, r := range rows {
		cells[i] = []string{r.Key, r.OrgID, r.Status}
	}
	return errors.Join(s.Print.Table([]string{"Key", "Organization ID", "Status"}, cells), refused)
}

func diffCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "diff",
		Usage: "Compare the secrets of two organizations, by name and whether they are equal",
		Description: `   influx secret diff --org production --with-org staging
   influx secret diff --active-config old --with-config new --all

Lists what is only here, only there, or has another value, and with --all also what is the same.
No value is shown. It takes tokens that may use the secrets, and tells of those alone. It ends
with 0 where nothing differs, and with 1 where something does.`,
		Flags: session.CommonFlags(session.OrgFlags(otherFlags(wordDiff,
			&cli.BoolFlag{Name: "all", Usage: "List what is the same, too"},
		)...)...),
		ArgValidator: usage.NoArgs,
		Action: p.Connected(session.Authenticated, func(ctx context.Context, cmd *cli.Command,
			s *session.Session) error {
			return diff(ctx, cmd, p, s)
		}),
	}
}

func diff(ctx context.Context, cmd *cli.Command, p *session.Process, s *session.Session) error {
	here, there, err := both(ctx, cmd, p, s, wordDiff)
	defer there.close(ctx, s)
	if err != nil {
		return err
	}
	ours, err := here.values(ctx, cmd.StringSlice("prefix"))
	if err != nil {
		return err
	}
	theirs, err := there.values(ctx, cmd.StringSlice("prefix"))
	if err != nil {
		return err
	}
	names := maps.Clone(ours)
	maps.Copy(names, theirs)
	rows, differs := []row{}, false
	for _, key := range slices.Sorted(maps.Keys(names)) {
		a, isHere := ours[key]
		b, isThere := theirs[key]
		status := "differs"
		switch {
		case !isThere:
			status = "only here"
		case !isHere:
			status = "only there"
		case a == b:
			if !cmd.Bool("all") {
				continue
			}
			status = "same"
		}
		differs = differs || status != "same"
		rows = append(rows, row{Key: key, Status: status})
	}
	if s.Print.AsJSON {
		err = s.Print.JSON(rows)
	} else {
		cells := make([][]string, len(rows))
		for i, r := range rows {
			cells[i] = []string{r.Key, r.Status}
		}
		err = s.Print.Table([]string{"Key", "Status"}, cells)
	}
	if err == nil && differs {
		return exit.Passed(1)
	}
	return err
}
