package system

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/pelletier/go-toml/v2"
	"github.com/urfave/cli/v3"
	"go.yaml.in/yaml/v3"

	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/usage"
)

// ServerConfig is the command influx server-config.
func ServerConfig(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:        "server-config",
		Usage:       "Display server config",
		Description: "Prints JSON unless told otherwise. Needs an operator token.",
		Flags: session.CommonFlags(
			&cli.BoolFlag{Name: "toml", Usage: "Output configuration as TOML instead of JSON"},
			&cli.BoolFlag{Name: "yaml", Usage: "Output configuration as YAML instead of JSON"},
		),
		Action: p.Connected(session.Authenticated, showServerConfig),
	}
}

func showServerConfig(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	asTOML, asYAML := cmd.Bool("toml"), cmd.Bool("yaml")
	if asTOML && asYAML {
		return usage.Mistake("give either --toml or --yaml, not both")
	}
	config, err := s.Client.ServerConfig(ctx)
	if err != nil {
		return fmt.Errorf("failed to read the server's configuration: %w", err)
	}
	if !asTOML && !asYAML {
		return s.Print.JSON(config)
	}
	plain := plainNumbers(config)
	encode := yaml.Marshal
	if asTOML {
		encode = toml.Marshal
		// TOML has no null: a setting without a value is left out.
		plain = withoutNull(plain)
	}
	text, err := encode(plain)
	if err != nil {
		return fmt.Errorf("the config cannot be written in that format: %w", err)
	}
	_, err = s.Print.Out.Write(text)
	return err
}

// plainNumbers makes of JSON's numbers those of Go, whole ones staying whole, for encoders that know no json.Number.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			v[key] = plainNumbers(item)
		}
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	}
	return v
}

func withoutNull(v any) any {
	if table, ok := v.(map[string]any); ok {
		for key, item := range table {
			if item == nil {
				delete(table, key)
				continue
			}
			table[key] = withoutNull(item)
		}
	}
	return v
}
