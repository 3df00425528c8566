package secrets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"
	"go.yaml.in/yaml/v3"

	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/usage"
)

// readers read the values of each form. Their errors show none.
var readers = map[string]func([]byte) (map[string]string, error){
	"dotenv": readDotenv, "json": readJSON, "yaml": readYAML,
}

func importCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "import",
		Usage: "Store the secrets of a file, all of them or none",
		Description: `   influx secret import --file .env --dry-run
   influx secret import --file .env --prefix app/
   influx secret export --format json | influx --host https://other:9999 secret import --format json

--format is dotenv, json or yaml (an object of keys and texts); without it, the file's name tells. A secret that exists
is a mistake, unless --new leaves such out or --replace replaces them. --dry-run shows the names, and never a value.
In a dotenv file a variable is not replaced by its value: $HOME is five characters.`,
		Flags: session.CommonFlags(session.OrgFlags(
			&cli.StringFlag{Name: "file", Aliases: []string{"f"}, TakesFile: true,
				Usage: "Read this `file`, or standard input where it is -", DefaultText: "-"},
			&cli.StringFlag{
				Name:  "format",
				Usage: "The `form`: " + strings.Join(slices.Sorted(maps.Keys(readers)), ", "),
			},
			&cli.StringFlag{Name: "prefix", Usage: "Put this before each key"},
			&cli.BoolFlag{Name: "new", Usage: "Leave out what exists"},
			&cli.BoolFlag{Name: "replace", Usage: "Replace what exists"},
			&cli.BoolFlag{Name: "dry-run", Usage: "Show the names and change nothing"},
		)...),
		ArgValidator: usage.NoArgs,
		Action:       p.Connected(session.Authenticated, importSecrets),
	}
}

// importRow is a line of what was, or would be, stored.
type importRow struct {
	Key    string `json:"key"`
	OrgID  string `json:"orgID"`
	Status string `json:"status"`
}

func importSecrets(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	path, format := session.FirstOf(cmd.String("file"), "-"), cmd.String("format")
	if format == "" {
		format = formatOf(path)
	}
	read := readers[format]
	switch {
	case cmd.Bool("new") && cmd.Bool("replace"):
		return usage.WithHint(cmd, "give --new or --replace, not both")
	case read == nil && cmd.IsSet("format"):
		return usage.WithHint(
			cmd,
			"flag --format: the format is one of "+strings.Join(slices.Sorted(maps.Keys(readers)), ", "),
		)
	case read == nil:
		return usage.WithHint(cmd, "the file's name does not tell its format: give --format")
	}
	raw, err := s.Term.ReadFile(path, maxValue)
	if err != nil {
		return usage.Mistake("cannot read the secrets: %w", err)
	}
	if err := utf8Only(raw); err != nil {
		return err
	}
	found, err := read(raw)
	if err != nil {
		return usage.Mistake("cannot read the secrets as %s: %w", format, err)
	}
	if len(found) == 0 {
		return usage.Mistake("there are no secrets in it")
	}
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	keys, err := s.Client.SecretKeys(ctx, orgID)
	if err != nil {
		return fmt.Errorf("failed to list secrets: %w", err)
	}
	var rows []importRow
	values := make(map[string]string, len(found))
	var exist []string
	for _, name := range slices.Sorted(maps.Keys(found)) {
		key, status := cmd.String("prefix")+name, "new"
		switch had := slices.Contains(keys, key); {
		case had && cmd.Bool("new"):
			rows = append(rows, importRow{key, orgID, "exists, left out"})
			continue
		case had && cmd.Bool("replace"):
			status = "replaced"
		case had:
			exist, status = append(exist, key), "exists"
		}
		values[key] = found[name]
		rows = append(rows, importRow{key, orgID, status})
	}
	var refused error
	if len(exist) > 0 {
		refused = usage.Mistake("%d of these secrets exist, the first is %q; --new leaves them out, --replace "+
			"replaces them", len(exist), exist[0])
	}
	switch {
	case cmd.Bool("dry-run"):
	case refused != nil:
		return refused
	case len(values) > 0:
		set := s.Client.CreateSecrets
		if cmd.Bool("replace") {
			set = s.Client.SetSecrets
		}
		if err := set(ctx, orgID, values); err != nil {
			return fmt.Errorf("failed to import secrets: %w", err)
		}
	}
	// A dry run shows all names, and ends as the import would.
	if s.Print.AsJSON {
		return errors.Join(s.Print.JSON(rows), refused)
	}
	cells := make([][]string, len(rows))
	for i, r := range rows {
		cells[i] = []string{r.Key, r.OrgID, r.Status}
	}
	return errors.Join(s.Print.Table([]string{"Key", "Organization ID", "Status"}, cells), refused)
}

// formatOf tells a file's format by its name, "" where it does not.
func formatOf(path string) string {
	base := filepath.Base(path)
	switch ext := filepath.Ext(base); {
	case ext == ".json":
		return "json"
	case ext == ".yaml", ext == ".yml":
		return "yaml"
	case ext == ".env", base == ".env", strings.HasPrefix(base, ".env."):
		return "dotenv"
	}
	return ""
}

// readJSON reads an object of texts. What else is in it is an error that shows no value.
func readJSON(raw []byte) (map[string]string, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it is not an object of keys and texts")
	}
	values := make(map[string]string)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errors.New("it is malformed")
		}
		value, err := d.Token()
		text, ok := value.(string)
		if err != nil || !ok {
			return nil, fmt.Errorf("the value of %q is not a text", name)
		}
		key := name.(string)
		if _, twice := values[key]; twice {
			return nil, fmt.Errorf("the key %q is there twice", key)
		}
		values[key] = text
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("it is malformed")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return values, nil
}

// readYAML reads an object of texts: 0123 without quotes would else be stored as 83.
func readYAML(raw []byte) (map[string]string, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, errors.New("it is malformed")
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("it is not an object of keys and texts")
	}
	values := make(map[string]string)
	for pair := range slices.Chunk(doc.Content[0].Content, 2) {
		key := pair[0].Value
		if pair[1].Kind != yaml.ScalarNode || pair[1].Tag != "!!str" {
			return nil, fmt.Errorf("the value of %q is not a text; put it in quotes", key)
		}
		if _, twice := values[key]; twice {
			return nil, fmt.Errorf("the key %q is there twice", key)
		}
		values[key] = pair[1].Value
	}
	return values, nil
}

// readDotenv reads lines NAME=value. A value in single quotes is as it is, one in double quotes has escapes, and both
// may be of several lines. Without quotes it ends with the line, or with a # behind a space.
func readDotenv(raw []byte) (map[string]string, error) {
	values := make(map[string]string)
	text := strings.TrimPrefix(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\ufeff")
	line := 0
	for text != "" {
		line++
		at := line
		if next := strings.TrimLeft(text, " \t"); next == "" || next[0] == '\n' || next[0] == '#' {
			_, text, _ = strings.Cut(text, "\n")
			continue
		}
		head, rest, ok := strings.Cut(text, "=")
		name := strings.TrimSpace(strings.TrimPrefix(strings.TrimLeft(head, " \t"), "export "))
		if !ok || name == "" || strings.ContainsAny(name, " \t\n\"'") {
			return nil, fmt.Errorf("line %d is not NAME=value", at)
		}
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("line %d: %q is there twice", at, name)
		}
		rest = strings.TrimLeft(rest, " \t")
		var value string
		if rest != "" && (rest[0] == '\'' || rest[0] == '"') {
			var end int
			if value, end = quoted(rest); end < 0 {
				return nil, fmt.Errorf("line %d: the quote is not closed", at)
			}
			line += strings.Count(rest[:end], "\n")
			var behind string
			behind, text, _ = strings.Cut(rest[end:], "\n")
			if behind = strings.TrimSpace(behind); behind != "" && behind[0] != '#' {
				return nil, fmt.Errorf("line %d: something follows the quote", line)
			}
		} else {
			value, text, _ = strings.Cut(rest, "\n")
			if i := strings.Index(value, " #"); i >= 0 {
				value = value[:i]
			}
			value = strings.TrimSpace(value)
		}
		values[name] = value
	}
	return values, nil
}

// quoted reads a quoted text, and gives where it ends; -1 where it does not.
func quoted(text string) (value string, end int) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == text[0]:
			return b.String(), i + 1
		case c == '\\' && text[0] == '"' && i+1 < len(text):
			i++
			switch text[i] {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			case '\\', '"', '$':
				b.WriteByte(text[i])
			default:
				b.WriteByte('\\')
				b.WriteByte(text[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", -1
}
