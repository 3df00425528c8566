package moving

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/offline/datafile"
	"strongroom/internal/kv"
	"strongroom/internal/transfer"
	"strongroom/internal/transfer/identities"
)

// home is the configuration whose data file tells which organisations a side has. Secrets in Vault are those of the
// server's own organisations, unless the side's configuration names a data file.
func home(own, cfg *config.Config, kind string) *config.Config {
	if kind == config.StoreBolt || cfg.Source("bolt-path") != "default" {
		return cfg
	}
	return own
}

// orgHelp is of the flag --org, which names organisations in the same way everywhere. It was --org-id once.
const orgHelp = "these organizations' secrets only, each named by its name or ID"

// onlyOrgs are the organisations that --org names; nil without it.
func onlyOrgs(args config.Args) (only []string, err error) {
	text := args.Flag("org")
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			return nil, command.Usage(fmt.Errorf("flag --org: in %q an organization is missing", text))
		}
		only = append(only, part)
	}
	return only, nil
}

// recorded is the organisation that a record names: the only one of a command, or else none.
func recorded[T any](orgs []T, of func(T) id.ID) string {
	if len(orgs) != 1 {
		return ""
	}
	return of(orgs[0]).String()
}

// orgsOf are the organisations of the data file, or of them those that are named.
func orgsOf(ctx context.Context, p command.Process, cfg *config.Config, only []string) ([]identity.Org, error) {
	data, err := datafile.ReadIdentities(ctx, p, cfg)
	if err != nil {
		return nil, err
	}
	all, err := identity.Orgs(ctx, data)
	if err != nil || only == nil {
		return all, err
	}
	var chosen []identity.Org
	for _, name := range only {
		o, ok := transfer.Find(all, name)
		switch {
		case !ok:
			return nil, fmt.Errorf("flag --org: %s has no organization %q", datafile.Name(cfg), name)
		case !slices.ContainsFunc(chosen, func(c identity.Org) bool { return c.ID == o.ID }):
			chosen = append(chosen, o)
		}
	}
	return chosen, nil
}

// sameFile reports whether two configurations have the same data.
func sameFile(a, b *config.Config) bool {
	if a.Store == config.EngineEtcd || b.Store == config.EngineEtcd {
		return a.Store == b.Store && a.Etcd.Prefix == b.Etcd.Prefix && slices.Equal(a.Etcd.Endpoints, b.Etcd.Endpoints)
	}
	if a.BoltPath == b.BoltPath {
		return true
	}
	one, err := os.Stat(a.BoltPath)
	if err != nil {
		return false
	}
	other, err := os.Stat(b.BoltPath)
	return err == nil && os.SameFile(one, other)
}

// takenOrgs are the organisations that --org names to be taken alone, and those of which it says FROM=TO.
func takenOrgs(args config.Args) (only []string, named []transfer.Named, err error) {
	all, err := onlyOrgs(args)
	if err != nil {
		return nil, nil, err
	}
	for _, part := range all {
		if !strings.Contains(part, "=") {
			only = append(only, part)
			continue
		}
		n, err := transfer.ParseNamed(part)
		if err != nil {
			return nil, nil, command.Usage(err)
		}
		named = append(named, n...)
	}
	if only != nil {
		for _, n := range named {
			only = append(only, n.From)
		}
	}
	return only, named, nil
}

// matched says which organisations of the source are which in the target.
func matched(ctx context.Context, p command.Process, only []string, named []transfer.Named, from,
	to *config.Config) (pairs []transfer.Pair, missing []identity.Org, err error) {
	orgs, err := orgsOf(ctx, p, from, only)
	if err != nil {
		return nil, nil, err
	}
	if sameFile(from, to) && len(named) == 0 {
		return themselves(orgs), nil, nil
	}
	there, err := orgsOf(ctx, p, to, nil)
	if err != nil {
		return nil, nil, err
	}
	return transfer.Match(orgs, there, named)
}

// themselves pairs each organisation with itself.
func themselves(orgs []identity.Org) []transfer.Pair {
	pairs := make([]transfer.Pair, len(orgs))
	for i, o := range orgs {
		pairs[i] = transfer.Pair{From: o.ID, To: o.ID}
	}
	return pairs
}

// makeOrgs makes the missing organisations in a data file that is open for writing.
func makeOrgs(ctx context.Context, data kv.Store, missing []identity.Org) ([]transfer.Pair, error) {
	var pairs []transfer.Pair
	for _, o := range missing {
		made, err := identities.MakeOrg(ctx, data, o, time.Now())
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, transfer.Pair{From: o.ID, To: made})
	}
	return pairs, nil
}
