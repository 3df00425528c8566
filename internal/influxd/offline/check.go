package offline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/audit/chain"
	"strongroom/internal/barrier"
	"strongroom/internal/clock"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt/snapshot"
	"strongroom/internal/secret/due"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/embedded/records"
	"strongroom/internal/secret/lastuse"
	"strongroom/internal/servers"
	"strongroom/internal/vaultapi/notes"
)

// check looks at every record of the data, in the file or in etcd. It only reads, and needs no lock.
func check(ctx context.Context, p command.Process, args config.Args) error {
	cfg, err := config.Load(args, p.Env)
	if err != nil {
		return err
	}
	name := cfg.BoltPath
	var found *inspection
	if cfg.Store == config.EngineEtcd {
		name = fmt.Sprintf("what etcd has below %q", cfg.Etcd.Prefix)
		found, err = inspectEtcd(ctx, p, cfg, name)
	} else if found, err = inspect(ctx, p, cfg, cfg.BoltPath); err != nil {
		err = fmt.Errorf("%s: %w", cfg.Place("bolt-path"), err)
	}
	if err != nil {
		return err
	}
	found.write(p)
	if n := len(found.problems); n > 0 {
		return fmt.Errorf("%s has %d problems; restore a backup with influxd restore, or ask for help before "+
			"anything is written to it", name, n)
	}
	fmt.Fprintf(p.Stdout, "%s is sound\n", name)
	return nil
}

// inspectEtcd is inspect for data in etcd, as they are at one moment.
func inspectEtcd(ctx context.Context, p command.Process, cfg *config.Config, name string) (*inspection, error) {
	data, problems, err := parts.MomentOf(ctx, cfg, p.Log())
	if err != nil {
		return nil, err
	}
	defer data.Close()
	found, err := inspectData(ctx, p, cfg, name, data, problems)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Place("etcd-prefix"), err)
	}
	fmt.Fprintln(p.Stdout, "the records of one moment were read from etcd; what a file has besides (its structure, "+
		"free pages, owner and mode) is etcd's own matter, and was not looked at")
	return found, nil
}

// inspection is what was found in a file.
type inspection struct {
	seal, storeID string
	records, orgs int
	problems      []string
	clear         bool // the records of users and tokens are
}

func (i *inspection) wrong(key, what string) {
	i.problems = append(i.problems, fmt.Sprintf("%q: %s", key, what))
}

// maxShown is how many problems are shown one by one.
const maxShown = 100

func (i *inspection) write(p command.Process) {
	for n, what := range i.problems {
		if n == maxShown {
			fmt.Fprintf(p.Stdout, "and %d more\n", len(i.problems)-n)
			break
		}
		fmt.Fprintln(p.Stdout, what)
	}
	if i.clear {
		fmt.Fprintln(p.Stdout, "the records of users and tokens are those of an older influxd: nothing shows who has "+
			"written them; the server's next start seals them")
	}
	fmt.Fprintf(p.Stdout, "%d records, %d organizations with secrets, sealed by %s\n", i.records, i.orgs, i.seal)
}

// inspect reads a whole file and opens everything in it with the configured seal. The error is for a file that cannot
// be looked into at all; what is wrong inside is in the inspection.
func inspect(ctx context.Context, p command.Process, cfg *config.Config, path string) (*inspection, error) {
	data, problems, err := snapshot.Read(ctx, path)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	return inspectData(ctx, p, cfg, "the database "+path, data, problems)
}

// inspectData is inspect for data that have been read, and have a name. Problems are what was wrong with them so far.
func inspectData(ctx context.Context, p command.Process, cfg *config.Config, name string, data kv.Store,
	problems []string) (*inspection, error) {
	i := &inspection{problems: problems}
	// Without both records nothing of it opens.
	for _, k := range []string{keyring.SealRecord, keyring.KeyringRecord} {
		if _, err := data.Get(ctx, k); errors.Is(err, kv.ErrNotFound) {
			return nil, fmt.Errorf("%s has no record %s: without it nothing of it opens; "+
				"restore a backup%s", name, k, damage(problems))
		}
	}
	if err := servers.CheckFormat(ctx, data); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	keys, err := keyring.Open(ctx, data, keyring.Config{Seal: parts.Seal(cfg, p, p.Log())})
	if err != nil {
		return nil, fmt.Errorf("%s: %w%s", name, err, damage(problems))
	}
	defer keys.Close()
	seal, keyID := keys.SealedBy()
	i.seal, i.storeID, i.clear = strings.TrimSpace(seal+" "+keyID), keys.StoreID(), !keys.IdentitiesSealed()

	if err := identity.Check(ctx, barrier.Inspect(data, keys, identity.Sealed, i.wrong), i.wrong); err != nil {
		return nil, err
	}
	if err := lastuse.Check(ctx, data, i.wrong); err != nil {
		return nil, err
	}
	if err := due.Check(ctx, data, i.wrong); err != nil {
		return nil, err
	}
	if err := i.notes(ctx, data, keys); err != nil {
		return nil, err
	}
	if err := i.besideOrgs(ctx, data, keys); err != nil {
		return nil, err
	}
	orgs, err := embedded.New(embedded.Config{KV: data, Keyring: keys}).Verify(ctx, i.wrong)
	if err != nil {
		return nil, err
	}
	i.orgs = len(orgs)
	if err := i.orphans(ctx, data, orgs); err != nil {
		return nil, err
	}
	return i, i.strangers(ctx, data)
}

func damage(problems []string) string {
	if len(problems) == 0 {
		return ""
	}
	return "\nwhat is wrong with its structure:\n  " + strings.Join(problems[:min(len(problems), maxShown)], "\n  ")
}

// notes looks at what Vault's clients note of secrets.
func (i *inspection) notes(ctx context.Context, data kv.Store, keys *keyring.Keyring) error {
	book, err := notes.Derived(data, keys)
	if err != nil {
		return err
	}
	return book.Check(ctx, i.wrong)
}

// besideOrgs looks at what the servers tell of each other, and at what the data know of how far audit logs go.
func (i *inspection) besideOrgs(ctx context.Context, data kv.Store, keys *keyring.Keyring) error {
	key, err := keys.DeriveKey(servers.Label)
	if err != nil {
		return err
	}
	if err := servers.Check(ctx, data, key, i.wrong); err != nil {
		return err
	}
	chainKey, err := keys.DeriveKey(parts.AuditLabel)
	if err != nil {
		return err
	}
	marks, err := parts.MarksOfAll(ctx, data)
	for server, mark := range marks {
		if _, wrong := chain.ParseMark(mark, chainKey); wrong != nil {
			key := strings.TrimSuffix(parts.AuditMark+"/"+server, "/")
			i.wrong(key, "what it says of the audit log's end is not this server's, or damaged")
		}
	}
	return err
}

// orphans finds the secrets of organisations that are neither there nor being deleted.
func (i *inspection) orphans(ctx context.Context, data kv.Store, orgs []id.ID) error {
	for _, org := range orgs {
		there := false
		for _, k := range []string{"org/", "deleting/org/"} {
			_, err := data.Get(ctx, k+org.String())
			if err != nil && !errors.Is(err, kv.ErrNotFound) {
				return err
			}
			there = there || err == nil
		}
		if !there {
			i.wrong("secrets/"+org.String()+"/", "the organisation is not there")
		}
	}
	return nil
}

// known are the beginnings of all keys, and what is alone below core/.
var known = slices.Concat(identity.Prefixes, embedded.Prefixes, servers.Prefixes, []string{keyring.SealRecord,
	keyring.KeyringRecord, keyring.HandoverRecord, parts.AuditMark, parts.Copying, clock.Record, records.DatedRoot,
	lastuse.Prefix, due.Prefix, notes.Prefix})

// strangers counts the records and finds those of no known kind.
func (i *inspection) strangers(ctx context.Context, data kv.Store) error {
	for r, err := range kv.Each(ctx, data, "", 4096) {
		if err != nil {
			return err
		}
		i.records++
		if !slices.ContainsFunc(known, func(p string) bool { return strings.HasPrefix(r.Key, p) }) {
			i.wrong(r.Key, "it is of a kind that this influxd does not know")
		}
	}
	return nil
}
