package use

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"
	"go.yaml.in/yaml/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/terminal"
	"strongroom/cmd/influx/internal/usage"
)

// formats write values in each form, by key. Name is what the whole is called, where the form has a name.
var formats = map[string]func(name string, values map[string]client.Secret) ([]byte, error){
	"dotenv":     writeDotenv,
	"json":       writeJSON,
	"kubernetes": writeKubernetes,
	"shell":      writeShell,
	"yaml":       writeYAML,
}

func exportCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "Give out the values of several secrets, as a file for other programs",
		Description: `   influx secret export --format dotenv --prefix db/ > .env
   influx secret export --format kubernetes --name app | kubectl apply -f -

--format is dotenv or shell (names made valid and upper-cased), json or yaml (an object of keys and values), or
kubernetes (a Secret). All secrets that the token may use are written, or those of --prefix. They are in clear: standard
output may not be a terminal but with --show, and --out makes a new file that only its owner may read.
It takes a token that may use the secrets (influx auth create --use-secrets), and is on record.`,
		Flags: session.CommonFlags(session.OrgFlags(
			&cli.StringFlag{
				Name: "format", Required: true,
				Usage: "The `form`: " + strings.Join(slices.Sorted(maps.Keys(formats)), ", "),
			},
			&cli.StringSliceFlag{Name: "prefix", Usage: "Those whose key begins so"},
			&cli.StringFlag{Name: "name", Usage: "The name of a Kubernetes Secret", DefaultText: "secrets"},
			&cli.StringFlag{Name: "out", Usage: "Write to this new `file`, mode 0600", TakesFile: true},
			&cli.BoolFlag{Name: "show", Usage: "Show the values on a terminal, too"},
		)...),
		ArgValidator: usage.NoArgs,
		Action: p.Connected(session.Authenticated, func(ctx context.Context, cmd *cli.Command,
			s *session.Session) error {
			return export(ctx, cmd, s, p.Out)
		}),
	}
}

func export(ctx context.Context, cmd *cli.Command, s *session.Session, out io.Writer) error {
	format, path := cmd.String("format"), cmd.String("out")
	write := formats[format]
	switch {
	case write == nil:
		return usage.WithHint(cmd, "flag --format: the format is one of "+
			strings.Join(slices.Sorted(maps.Keys(formats)), ", "))
	case cmd.IsSet("name") && format != "kubernetes":
		return usage.WithHint(cmd, "--name is for --format kubernetes")
	case path == "" && terminal.Is(out) && !cmd.Bool("show"):
		return usage.Mistake("standard output is a terminal; --show shows the values there, --out makes a file")
	}
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	values, err := s.Client.SecretValues(ctx, orgID)
	if err != nil {
		return fmt.Errorf("failed to get secrets: %w", session.WhoMayUse(err))
	}
	if prefixes := cmd.StringSlice("prefix"); len(prefixes) > 0 {
		for _, prefix := range prefixes {
			if !anyBegins(values, prefix) {
				return exit.With(exit.NotFound,
					fmt.Errorf("there is no secret whose key begins with %q that this token may use", prefix))
			}
		}
		maps.DeleteFunc(values, func(key string, _ client.Secret) bool {
			return !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
		})
	}
	if len(values) == 0 {
		return exit.With(exit.NotFound, errors.New("there is no secret that this token may use"))
	}
	text, err := write(session.FirstOf(cmd.String("name"), "secrets"), values)
	if err != nil {
		return err
	}
	if path == "" {
		_, err = out.Write(text)
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return usage.Mistake("%s exists; name a file that does not", path)
	}
	if err != nil {
		return usage.Mistake("cannot write the file: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// variables are the values by the names of variables that are made of their keys.
func variables(values map[string]client.Secret) (map[string]client.Secret, error) {
	g, err := wanted{env: map[string]string{}, all: true}.names(values, func(string) bool { return false })
	return g.env, err
}

func sorted(values map[string]client.Secret) []string { return slices.Sorted(maps.Keys(values)) }

// writeDotenv writes what most readers of such files agree on: double quotes, and a backslash before what means
// something inside them. None of them can be told that a dollar sign is none but by a backslash.
func writeDotenv(_ string, values map[string]client.Secret) ([]byte, error) {
	vars, err := variables(values)
	if err != nil {
		return nil, err
	}
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "\n", `\n`, "\r", `\r`)
	var b bytes.Buffer
	for _, name := range sorted(vars) {
		fmt.Fprintf(&b, "%s=\"%s\"\n", name, escape.Replace(vars[name].Reveal()))
	}
	return b.Bytes(), nil
}

// writeShell writes what a POSIX shell takes: inside single quotes nothing means anything but the quote itself.
func writeShell(_ string, values map[string]client.Secret) ([]byte, error) {
	vars, err := variables(values)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, name := range sorted(vars) {
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(vars[name].Reveal(), "'", `'\''`))
	}
	return b.Bytes(), nil
}

func plain(values map[string]client.Secret) map[string]string {
	all := make(map[string]string, len(values))
	for key, value := range values {
		all[key] = value.Reveal()
	}
	return all
}

func writeJSON(_ string, values map[string]client.Secret) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(plain(values))
	return b.Bytes(), err
}

func writeYAML(_ string, values map[string]client.Secret) ([]byte, error) {
	return yaml.Marshal(plain(values))
}

// What Kubernetes takes for the name of an object, and for a key in a Secret.
var (
	objectName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
	notInKey   = regexp.MustCompile(`[^-._a-zA-Z0-9]`)
)

func writeKubernetes(name string, values map[string]client.Secret) ([]byte, error) {
	if !objectName.MatchString(name) {
		return nil, usage.Mistake(
			"flag --name: %q cannot be the name of a Secret: lower-case letters, digits, - and .",
			name,
		)
	}
	data, from := map[string]string{}, map[string]string{}
	for _, key := range sorted(values) {
		in := notInKey.ReplaceAllString(key, ".")
		if other, twice := from[in]; twice {
			return nil, usage.Mistake(
				"the secrets %q and %q would both be %s in the Secret; export one of them with --prefix",
				other,
				key,
				in,
			)
		}
		data[in], from[in] = base64.StdEncoding.EncodeToString([]byte(values[key].Reveal())), key
	}
	return yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
		"metadata": map[string]string{"name": name}, "data": data,
	})
}
