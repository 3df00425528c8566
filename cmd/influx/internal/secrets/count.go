package secrets

import (
	"context"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/session"
)

func usageCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "usage",
		Usage: "Show how many secrets an organization has, and may have",
		Description: `The bounds are the server's (influxd --max-org-secrets and --max-org-bytes), the same for every
organization. Bytes are counted where one of them is set and the secrets are in the server's own store: earlier values,
deleted secrets until they are gone, and metadata count, too. Where there is no room, delete some secrets, for good
where bytes are short (the web page does that), or have the operator allow more.
With --json: an object {"orgID", "secrets", "maxSecrets", "bytes", "maxBytes"}; what is not counted or bounded is left
out.`,
		Flags:  session.CommonFlags(session.OrgFlags()...),
		Action: p.Connected(session.Authenticated, showUsage),
	}
}

func showUsage(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	u, err := s.Client.SecretUsage(ctx, orgID)
	if err != nil {
		return fmt.Errorf("failed to count secrets: %w", err)
	}
	if s.Print.AsJSON {
		return s.Print.JSON(struct {
			OrgID      string `json:"orgID"`
			Secrets    int64  `json:"secrets"`
			MaxSecrets int64  `json:"maxSecrets,omitempty"`
			Bytes      *int64 `json:"bytes,omitempty"`
			MaxBytes   int64  `json:"maxBytes,omitempty"`
		}{orgID, u.Secrets, u.MaxSecrets, u.Bytes, u.MaxBytes})
	}
	bytes := ""
	if u.Bytes != nil {
		bytes = strconv.FormatInt(*u.Bytes, 10)
	}
	return s.Print.Table([]string{"", "Used", "Allowed"}, [][]string{
		{"Secrets", strconv.FormatInt(u.Secrets, 10), bound(u.MaxSecrets)}, {"Bytes", bytes, bound(u.MaxBytes)}})
}

// bound is how the table shows a bound.
func bound(n int64) string {
	if n == 0 {
		return "no bound"
	}
	return strconv.FormatInt(n, 10)
}
