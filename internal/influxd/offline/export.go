package offline

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"filippo.io/age"

	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/transfer"
)

var exportFlags = []config.Flag{
	{Name: "from", Value: "STORE", Help: "bolt or vault; without it, the store of --secret-store"},
	{Name: "out", Value: "PATH", Help: "file to write to, which must not be there yet"},
	{Name: "recipient", Value: "KEY,KEY", Help: "age public keys (age1…) of those who can read the file"},
	{Name: "passphrase-file", Value: "PATH", Help: "file with a passphrase that opens the file, instead"},
	{Name: "plain", Help: "write the secrets in clear, for everyone who gets hold of the file to read"},
	{Name: "org-id", Value: "ID", Help: "this organization's secrets only"},
}

var importSecretsFlags = []config.Flag{
	{Name: "file", Value: "PATH", Help: "what influxd secrets export has written"},
	{Name: "identity-file", Value: "PATH", Help: "file with the age key (AGE-SECRET-KEY-…) that opens it"},
	{Name: "passphrase-file", Value: "PATH", Help: "file with the passphrase that opens it"},
	{Name: "dry-run", Help: "report what would happen and change nothing"},
	{Name: "json", Help: "write the report as JSON"},
}

// exportSecrets writes every secret to a file, encrypted by age. It only reads the data, so that a server may be running.
func exportSecrets(ctx context.Context, p command.Process, args config.Args) (err error) {
	cfg, log, err := offline(p, args)
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
		return errors.New("flag --out: name the file to write to")
	}
	orgs, err := orgsOf(ctx, p, cfg, args.Flag("org-id"))
	if err != nil {
		return err
	}
	from, err := openSide(ctx, p, cfg, cfg, log, "from", kind, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("flag --out: %s is there already; name another file", path)
	}
	if err != nil {
		return fmt.Errorf("flag --out: %w", err)
	}
	n, err := writeExport(recipients, f, func(w io.Writer) (int, error) { return transfer.Export(ctx, from.store, orgs, time.Now(), w) })
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("exporting to %s: %w", path, err), os.Remove(path))
	}
	if len(recipients) == 0 {
		fmt.Fprintf(p.Stderr, "%s holds the secrets in clear: keep it from others, and remove it as soon as you can\n", path)
	}
	fmt.Fprintf(p.Stdout, "Exported %d secrets of %s to %s\n", n, from.name, path)
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
		return nil, errors.New("say how the file is protected: one of --recipient, --passphrase-file and, for a file in clear, --plain")
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
		return nil, errors.New("flag --recipient: it is not an age public key, such as age1…; age-keygen makes one")
	}
	return recipients, nil
}

// readPassphrase reads the file of the flag --passphrase-file.
func readPassphrase(path string) (string, error) {
	line, err := firstLine(path)
	if err != nil {
		return "", fmt.Errorf("flag --passphrase-file: %w", err)
	}
	return line, nil
}

// firstLine reads a file's first line, which must not be empty.
func firstLine(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	if line = bytes.TrimSuffix(line, []byte("\r")); len(line) == 0 {
		return "", errors.New("its first line is empty")
	}
	return string(line), nil
}

func writeExport(recipients []age.Recipient, f io.Writer, write func(io.Writer) (int, error)) (int, error) {
	if len(recipients) == 0 {
		return write(f)
	}
	w, err := age.Encrypt(f, recipients...)
	if err != nil {
		return 0, err
	}
	n, err := write(w)
	return n, errors.Join(err, w.Close())
}

// importSecrets brings the secrets of an export.
func importSecrets(ctx context.Context, p command.Process, args config.Args) error {
	path := args.Flag("file")
	if path == "" {
		return errors.New("flag --file: name what influxd secrets export has written")
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("flag --file: %w", err)
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
	return bring(ctx, p, args, contents, path)
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
			return nil, fmt.Errorf("flag --identity-file: %w", err)
		}
		defer keys.Close()
		if identities, err = age.ParseIdentities(keys); err != nil {
			return nil, errors.New("flag --identity-file: it holds no age key (AGE-SECRET-KEY-…)")
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
