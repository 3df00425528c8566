package system

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/duration"
	"strongroom/cmd/influx/internal/session"
)

// Audit is the command influx audit.
func Audit(p *session.Process) *cli.Command {
	moment := func(name, usage string) cli.Flag {
		return &cli.StringFlag{
			Name: name,
			Usage: usage + ": an age such as 24h or 7d, a date such as 2026-01-31, or a time such as " +
				"2026-01-31T12:00:00Z",
			Validator: duration.ValidSince,
		}
	}
	return &cli.Command{
		Name:  "audit",
		Usage: "List who did what, newest first",
		Description: `Shows the acts on secrets, tokens, users and organizations that the server put on record. Needs an
operator token.

   influx audit --since 24h --outcome denied
   influx audit --key db/password --json

A table shortens what an act was done to, where that is long; --json has all of it.

Of several servers over the same data it lists the acts of all, in one order, and says at which
each was done. A server that does not answer is named on standard error.`,
		Flags: session.CommonFlags(
			// Not from INFLUX_ORG_ID: a list that silently leaves acts out would mislead.
			&cli.StringFlag{Name: "org-id", Usage: "Acts on this organization", Validator: session.ValidID},
			&cli.StringFlag{Name: "key", Aliases: []string{"k"}, Usage: "Acts on the secret of this key"},
			&cli.StringFlag{Name: "actor", Usage: "Acts of this user, by name or ID, or of this authorization, by ID"},
			&cli.StringFlag{Name: "action",
				Usage: "Acts of this kind, such as secrets.list, or of a group, such as secrets"},
			&cli.StringFlag{Name: "outcome", Usage: "Acts with this outcome: allowed, denied or failed"},
			moment("since", "Acts at or after this moment"),
			moment("until", "Acts before this moment"),
			&cli.IntFlag{
				Name:      "limit",
				Usage:     "How many acts to list, or 0 for all",
				Value:     100,
				Validator: session.NotNegative,
			},
		),
		Action: p.Connected(session.Authenticated, listAudit),
	}
}

func listAudit(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	f := client.AuditFilter{
		OrgID: cmd.String("org-id"), Key: cmd.String("key"), Actor: cmd.String("actor"),
		Action: cmd.String("action"), Outcome: cmd.String("outcome"), Limit: cmd.Int("limit"),
	}
	now := time.Now()
	var err error
	if f.Since, err = duration.Since(cmd.String("since"), now); err != nil {
		return err
	}
	if f.Until, err = duration.Since(cmd.String("until"), now); err != nil {
		return err
	}
	records, missing, err := s.Client.AuditOfAll(ctx, f)
	if err != nil {
		return fmt.Errorf("failed to list the audit record: %w", err)
	}
	for _, m := range missing {
		s.Term.Warn("The acts of server %q are not among these: %s", m.Server, m.Message)
	}
	if s.Print.AsJSON {
		if records == nil {
			records = []client.AuditRecord{}
		}
		return s.Print.JSON(records)
	}
	columns := []string{"Time", "Outcome", "Action", "Organization ID", "Subject", "User",
		"Authorization ID", "Address"}
	several := slices.ContainsFunc(records, func(r client.AuditRecord) bool { return r.Server != "" })
	if several {
		columns = append(columns, "Server")
	}
	rows := make([][]string, len(records))
	for i, r := range records {
		outcome := r.Outcome
		if r.Code != "" {
			outcome += " (" + r.Code + ")"
		}
		rows[i] = []string{
			r.Time.UTC().Format(time.RFC3339), outcome, r.Action, r.OrgID, subject(r),
			session.FirstOf(r.User, r.UserID), r.AuthorizationID, r.Address,
		}
		if several {
			rows[i] = append(rows[i], r.Server)
		}
	}
	return s.Print.Table(columns, rows)
}

// subjectWidth is about how many characters of a table are spent on what an act was done to.
const subjectWidth = 64

// subject is what an act was done to: its target and as many of its keys as fit. One change may name thousands, and a
// table gives every row the width of the widest; --json has them all.
func subject(r client.AuditRecord) string {
	text, left := strings.TrimSpace(r.Target+" "+r.Detail), len(r.Keys)
	for _, key := range r.Keys {
		if text != "" && utf8.RuneCountInString(text)+1+utf8.RuneCountInString(key) > subjectWidth {
			break
		}
		text = strings.TrimPrefix(text+" "+key, " ")
		left--
	}
	if runes := []rune(text); len(runes) > subjectWidth {
		text = string(runes[:subjectWidth-1]) + "…"
	}
	if more := left + r.KeysOmitted; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if r.MayInclude {
		text += " (may include it)"
	}
	return text
}
