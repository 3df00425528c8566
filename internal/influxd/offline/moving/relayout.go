package moving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/offline/datafile"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/kv"
	"strongroom/internal/secret/vault"
	"strongroom/internal/transfer"
)

var RelayoutFlags = []config.Flag{
	{Name: "to", Value: "LAYOUT", Help: "org or secret, the layout that the secrets shall have too"},
	{Name: "org", Value: "ORG,…", Help: "convert " + orgHelp, Former: "org-id"},
	{Name: "all", Help: "convert those of all organizations"},
	{Name: "overwrite", Help: "replace, and delete, what was changed in the new layout by other means than this"},
	{Name: "delete-source", Help: "remove from the old layout what was read back the same from the new one"},
	{Name: "dry-run", Help: "report what would happen and change nothing"},
	{Name: "json", Help: "write the report as JSON, with a line for every secret"},
}

// Relayout converts secrets in Vault from one layout to the other, where they are: the two can lie side by side. It is
// a copy between two stores that differ in their layout alone.
func Relayout(ctx context.Context, p command.Process, args config.Args) error {
	p.Answers = new(command.Answers)
	defer p.Answers.Forget()
	cfg, log, err := command.Load(p, args)
	if err != nil {
		return err
	}
	var from, to vault.Layout
	switch to = vault.Layout(args.Flag("to")); to {
	case vault.LayoutOrg:
		from = vault.LayoutSecret
	case vault.LayoutSecret:
		from = vault.LayoutOrg
	default:
		return command.Usage(errors.New("flag --to: name a layout, org or secret"))
	}
	only, err := onlyOrgs(args)
	if err != nil {
		return err
	}
	if (only == nil) == !args.Switch("all") {
		return command.Usage(errors.New("flag --org: name an organization, or give --all"))
	}
	orgs, err := orgsOf(ctx, p, cfg, only)
	if err != nil {
		return err
	}
	source, err := openLayout(ctx, p, cfg, log, from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := openLayout(ctx, p, cfg, log, to)
	if err != nil {
		return err
	}
	defer target.Close()
	return runCopy(ctx, p, "influxd secrets relayout", args, cfg, nil, transfer.Copy{
		From: source, To: target, FromName: "the layout " + string(from), ToName: "the layout " + string(to),
		FromPlace: func(org id.ID) string { return source.Where(ctx, org) },
		ToPlace:   func(org id.ID) string { return target.Where(ctx, org) },
		Emptied:   source.Had,
		Foreign:   source.Foreign, PurgeSource: true, Ended: only == nil,
		// An entry is written whole, so that one which would be too large is not begun.
		Whole: to == vault.LayoutOrg,
	}, themselves(orgs))
}

// openLayout opens the configured Vault as if all secrets there lay in the layout.
func openLayout(ctx context.Context, p command.Process, cfg *config.Config, log *slog.Logger,
	l vault.Layout) (*vault.Store, error) {
	conf, err := parts.VaultConfig(cfg, log)
	if err != nil {
		return nil, err
	}
	conf.Place.Layout = l
	for org, place := range conf.Routes {
		place.Layout = l
		conf.Routes[org] = place
	}
	conf.OrgName = orgNamesOf(p, cfg)
	s, err := vault.New(ctx, conf)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return s, nil
}

// orgNamesOf finds the names of organisations in the data file, for paths with {orgName}. It reads the file when the
// first one is asked for.
func orgNamesOf(p command.Process, cfg *config.Config) func(context.Context, id.ID) (string, error) {
	read := sync.OnceValues(func() (kv.Store, error) { return datafile.ReadIdentities(context.Background(), p, cfg) })
	return func(ctx context.Context, org id.ID) (string, error) {
		data, err := read()
		if err != nil {
			return "", err
		}
		return identity.OrgName(ctx, data, org)
	}
}
