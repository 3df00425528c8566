package moving

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"filippo.io/age"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/server"
	"strongroom/internal/influxdb"
	"strongroom/internal/transfer"
	"strongroom/internal/transfer/identities"
)

var ExportFlags = []config.Flag{
	{Name: "from", Value: "STORE", Help: "bolt or vault; without it, the store of --secret-store"},
	{Name: "out", Value: "PATH", Help: "file to write to, which must not be there yet; - is standard output",
		Stream: true},
	{Name: "recipient", Value: "KEY,KEY", Help: "age public keys (age1…) of those who can read the file"},
	{Name: "passphrase-file", Value: "PATH", Help: "file with a passphrase that opens the file, instead"},
	{Name: "plain", Help: "write the secrets in clear, for everyone who gets hold of the file to read"},
	{Name: "org", Value: "ORG,…", Help: orgHelp, Former: "org-id"},
}

var ImportFlags = []config.Flag{
	{Name: "file", Value: "PATH", Help: "what influxd secrets export has written; - is standard input", Stream: true},
	{Name: "identity-file", Value: "PATH", Help: "file with the age key (AGE-SECRET-KEY-…) that opens it"},
	{Name: "passphrase-file", Value: "PATH", Help: "file with the passphrase that opens it"},
	{Name: "org", Value: "FROM=TO,…", Help: "take an organization's secrets into another, each by its name or ID; " +
		"else they are matched by ID, then by name"},
	{Name: "create-orgs", Help: "make the organizations that are not here"},
	{Name: "dry-run", Help: "report what would happen and change nothing"},
	{Name: "json", Help: "write the report as JSON"},
}

// Export writes every secret to a file, encrypted by age. It only reads the data, so that a server may be
// running.
func Export(ctx context.Context, p command.Process, args config.Args) (err error) {
	p.Answers = new(command.Answers)
	defer p.Answers.Forget()
	cfg, log, err := command.Load(p, args)
	if err != nil {
		return err
	}
	recipients, err := recipientsOf(args)
	if err != nil {
		return err
	}
	kind, path := args.Flag("from"), args.Flag("out")
	if kind == "" {
		kind = cfg.SecretStore
	}
	if path == "" {
		return command.Usage(errors.New("flag --out: name the file to write to"))
	}
	only, err := onlyOrgs(args)
	if err != nil {
		return err
	}
	orgs, err := orgsOf(ctx, p, cfg, only)
	if err != nil {
		return err
	}
	from, err := openSide(ctx, p, cfg, cfg, log, "from", kind, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	opened := from.keys
	if kind != config.StoreBolt {
		opened = nil
	}
	keys, done, err := ownKeys(ctx, p, cfg, opened)
	if err != nil {
		return err
	}
	defer done()
	out, err := newTarget(p, path)
	if err != nil {
		return err
	}
	how, target := "encrypted", ""
	if only != nil {
		target = recorded(orgs, func(o identity.Org) id.ID { return o.ID })
	}
	if len(recipients) == 0 {
		how = "in clear"
	}
	if err := note(cfg, keys, "influxd secrets export", "secrets.export", target,
		how+", from "+kind); err != nil {
		return out.finish(err)
	}
	var n transfer.Exported
	err = writeExport(recipients, out, func(w io.Writer) (err error) {
		n, err = transfer.Export(ctx, from.store, orgs, time.Now(), w)
		return err
	})
	if err = out.finish(err); err != nil {
		return fmt.Errorf("exporting to %s: %w", out.Name, err)
	}
	if len(recipients) == 0 && path != "-" {
		fmt.Fprintf(p.Stderr, "%s holds the secrets in clear: keep it from others, and remove it as soon as you can\n",
			path)
	}
	fmt.Fprintf(out.Told, "Exported %d secrets of %s to %s\n", n.Secrets, from.name, out.Name)
	if n.Left > 0 {
		return fmt.Errorf("%d names have no text for a value, so that they are somebody else's, or were deleted "+
			"meanwhile; they are not in %s",
			n.Left, out.Name)
	}
	return nil
}

// recipientsOf is for whom the file is encrypted; nobody for one in clear.
func recipientsOf(args config.Args) ([]age.Recipient, error) {
	keys, file, plain := args.Flag("recipient"), args.Flag("passphrase-file"), args.Switch("plain")
	given := 0
	for _, is := range []bool{keys != "", file != "", plain} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, command.Usage(errors.New("say how the file is protected: one of --recipient, --passphrase-file " +
			"and, for a file in clear, --plain"))
	case plain:
		return nil, nil
	case file != "":
		passphrase, err := readPassphrase(file)
		if err != nil {
			return nil, err
		}
		r, err := age.NewScryptRecipient(passphrase)
		return []age.Recipient{r}, err
	}
	recipients, err := age.ParseRecipients(strings.NewReader(strings.ReplaceAll(keys, ",", "\n")))
	if err != nil {
		return nil, command.Usage(errors.New("flag --recipient: it is not an age public key, such as age1…; " +
			"age-keygen makes one"))
	}
	return recipients, nil
}

// readPassphrase reads the file of the flag --passphrase-file.
func readPassphrase(path string) (string, error) {
	line, err := command.FirstLine(path)
	if err != nil {
		return "", command.Usage(fmt.Errorf("flag --passphrase-file: %w", err))
	}
	return line, nil
}

func writeExport(recipients []age.Recipient, f io.Writer, write func(io.Writer) error) error {
	if len(recipients) == 0 {
		return write(f)
	}
	w, err := age.Encrypt(f, recipients...)
	if err != nil {
		return err
	}
	return errors.Join(write(w), w.Close())
}

// Import brings the secrets of an export.
func Import(ctx context.Context, p command.Process, args config.Args) error {
	path := args.Flag("file")
	if path == "" {
		return command.Usage(errors.New("flag --file: name what influxd secrets export has written"))
	}
	f, err := source(p, path)
	if err != nil {
		return command.Usage(fmt.Errorf("flag --file: %w", err))
	}
	defer f.Close()
	r, err := opened(args, f)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	contents, err := transfer.ReadExport(r)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	var named []transfer.Named
	if text := args.Flag("org"); text != "" {
		if named, err = transfer.ParseNamed(text); err != nil {
			return command.Usage(err)
		}
	}
	report, err := bring(ctx, p, args, path, func(ctx context.Context, s *server.Server) (*influxdb.Contents, error) {
		return placed(ctx, s, contents, named, args.Switch("create-orgs"))
	})
	if err != nil {
		return err
	}
	return report.Incomplete("secret")
}

// placed gives the secrets of an export to the organisations that are here.
func placed(ctx context.Context, s *server.Server, from *transfer.ExportContents, named []transfer.Named,
	create bool) (*influxdb.Contents, error) {
	here, err := identity.Orgs(ctx, s.Identities)
	if err != nil {
		return nil, err
	}
	pairs, missing, err := transfer.Match(from.Orgs, here, named)
	if err != nil {
		return nil, err
	}
	to := make(map[id.ID]id.ID)
	for _, p := range pairs {
		to[p.From] = p.To
	}
	for _, o := range missing {
		if !create {
			continue
		}
		if o.Name == "" {
			return nil, fmt.Errorf("the export does not say what the organization %s is called; make it, and name "+
				"it with --org %s=NAME", o.ID, o.ID)
		}
		act := access.Act{Action: "orgs.create", Org: o.ID, Target: errs.Clip(o.Name)}
		caller := command.Operator("influxd secrets import")
		if err := s.Guard.Allow(ctx, caller, act,
			access.To(access.Write, access.Resource{Type: access.Orgs})); err != nil {
			return nil, err
		}
		made, err := identities.MakeOrg(ctx, s.Identities, o, time.Now())
		if err := s.Guard.Done(ctx, caller, act, err); err != nil {
			return nil, err
		}
		to[o.ID] = made
	}
	var contents influxdb.Contents
	var secrets []influxdb.Secret
	left := make(map[id.ID]int)
	for _, secret := range from.Secrets {
		org, ok := to[secret.Org]
		if !ok {
			left[secret.Org]++
			continue
		}
		secret.Org = org
		secrets = append(secrets, secret)
	}
	for _, o := range missing {
		if left[o.ID] > 0 {
			contents.Skipped = append(contents.Skipped, transfer.Missed(o, left[o.ID]))
		}
	}
	contents.EachSecrets = influxdb.Whole(secrets)
	return &contents, nil
}

// ageHeader is how a file of age begins.
const ageHeader = "age-encryption.org/"

// opened decrypts the file if it is encrypted.
func opened(args config.Args, f io.Reader) (io.Reader, error) {
	r := bufio.NewReader(f)
	if start, err := r.Peek(len(ageHeader)); err != nil || string(start) != ageHeader {
		return r, nil
	}
	var identities []age.Identity
	if path := args.Flag("identity-file"); path != "" {
		keys, err := os.Open(path)
		if err != nil {
			return nil, command.Usage(fmt.Errorf("flag --identity-file: %w", err))
		}
		defer keys.Close()
		if identities, err = age.ParseIdentities(keys); err != nil {
			return nil, command.Usage(errors.New("flag --identity-file: it holds no age key (AGE-SECRET-KEY-…)"))
		}
	}
	if path := args.Flag("passphrase-file"); path != "" {
		passphrase, err := readPassphrase(path)
		if err != nil {
			return nil, err
		}
		i, err := age.NewScryptIdentity(passphrase)
		if err != nil {
			return nil, err
		}
		identities = append(identities, i)
	}
	if len(identities) == 0 {
		return nil, errors.New("it is encrypted: name what opens it with --identity-file or --passphrase-file")
	}
	plain, err := age.Decrypt(r, identities...)
	var no *age.NoIdentityMatchError
	if errors.As(err, &no) {
		return nil, errors.New("the key or passphrase does not open it")
	}
	return plain, err
}
