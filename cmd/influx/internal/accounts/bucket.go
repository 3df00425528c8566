package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/session"
)

// Bucket is the command influx bucket.
func Bucket(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "bucket",
		Usage: "Bucket management commands",
		Commands: []*cli.Command{{
			Name:    "list",
			Aliases: []string{"find", "ls"},
			Usage:   "List buckets",
			Flags: session.CommonFlags(session.OrgFlags(
				&cli.StringFlag{Name: "id", Aliases: []string{"i"}, Usage: "The bucket ID", Validator: session.ValidID},
				&cli.StringFlag{Name: "name", Aliases: []string{"n"}, Usage: "The bucket name"},
				&cli.IntFlag{
					Name:      "limit",
					Usage:     "Total number of buckets to fetch from the server, or 0 to return all buckets",
					Validator: session.NotNegative,
				},
				&cli.IntFlag{Name: "offset", Usage: "Number of buckets to skip over in the list",
					Validator: session.NotNegative},
				&cli.IntFlag{
					Name:  "page-size",
					Usage: "Taken for compatibility; pages are as large as the server allows",
					Value: 20,
				},
			)...),
			Action: p.Connected(session.Authenticated, listBuckets),
		}},
	}
}

func listBuckets(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	f := client.BucketFilter{
		ID:     cmd.String("id"),
		Name:   cmd.String("name"),
		Limit:  cmd.Int("limit"),
		Offset: cmd.Int("offset"),
	}
	var err error
	if f.OrgID, err = s.Org(ctx, cmd, "org-id", "org"); err != nil {
		return err
	}
	buckets, err := s.Client.Buckets(ctx, f)
	if err != nil {
		return fmt.Errorf("failed to list buckets: %w", err)
	}
	if s.Print.AsJSON {
		if buckets == nil {
			buckets = []client.Bucket{}
		}
		return s.Print.JSON(buckets)
	}
	rows := make([][]string, len(buckets))
	for i, b := range buckets {
		retention, shard := "infinite", "n/a"
		if len(b.RetentionRules) > 0 {
			retention = seconds(b.RetentionRules[0].EverySeconds, retention)
			shard = seconds(b.RetentionRules[0].ShardGroupDurationSeconds, shard)
		}
		rows[i] = []string{b.ID, b.Name, retention, shard, b.OrgID, "implicit"}
	}
	return s.Print.Table(
		[]string{"ID", "Name", "Retention", "Shard group duration", "Organization ID", "Schema Type"},
		rows,
	)
}

func seconds(n int64, zero string) string {
	if n == 0 {
		return zero
	}
	return (time.Duration(n) * time.Second).String()
}
