package config

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"strongroom/internal/influxd/config/value"
)

// helpWidth is the width help texts are broken at.
const helpWidth = 100

// WriteHelp writes what there is to know of every setting, made from the table.
func WriteHelp(w io.Writer) {
	fmt.Fprint(
		w,
		wrap(
			`Each setting is a flag (--bolt-path PATH), a variable (INFLUXD_BOLT_PATH) and a key of the `+
				`configuration file (bolt-path = "PATH"). A flag counts before a variable, a variable before the file.`,
			"",
		),
	)
	for _, g := range new(Config).table() {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSuffix(wrap(g.title+":", ""), "\n"))
		for _, s := range g.settings {
			fmt.Fprintf(w, "  --%s", s.name)
			if k := s.value.Kind(); k != value.KindSwitch {
				fmt.Fprintf(w, " %s", k)
			}
			fmt.Fprintln(w)
			text := s.help
			if s.def != "" && s.def != "false" {
				text += " (default " + s.def + ")"
			}
			fmt.Fprint(w, wrap(text, "        "))
		}
	}
	fmt.Fprint(
		w,
		"\n"+wrap(
			`Settings of InfluxDB's storage and query engines (--engine-path, --storage-*, --query-*, `+
				`--reporting-disabled and so on) are taken, so that existing units start, and have no effect.`,
			"",
		),
	)
}

// wrap breaks a text into indented lines.
func wrap(text, indent string) string {
	var b strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > helpWidth && strings.TrimSpace(line) != "" {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
	return b.String()
}

// Names are the names of the settings.
func Names() []string {
	var all []string
	for _, s := range new(Config).settings() {
		all = append(all, s.name)
	}
	return all
}

// Shown is the value of one setting as it may be seen; "" where it is not set. It reports whether
// there is such a setting.
func (c *Config) Shown(name string) (string, bool) {
	for _, s := range c.settings() {
		if s.name == name {
			return s.shown(), true
		}
	}
	return "", false
}

// Print writes the effective configuration with the source of each value. What it writes is a configuration file in
// YAML, except that secrets are left out.
func (c *Config) Print(w io.Writer) {
	for _, s := range c.settings() {
		shown, source := s.shown(), c.Source(s.name)
		switch {
		case shown == Hidden:
			fmt.Fprintf(w, "# %s: %s  # %s\n", s.name, Hidden, source)
		case shown == "":
			fmt.Fprintf(w, "# %s:  # not set\n", s.name)
		case s.notInFile:
			fmt.Fprintf(w, "# %s: %s  # %s\n", s.name, shown, source)
		case s.value.Kind() == value.KindSwitch || s.value.Kind() == value.KindNumber:
			fmt.Fprintf(w, "%s: %s  # %s\n", s.name, shown, source)
		default:
			fmt.Fprintf(w, "%s: %s  # %s\n", s.name, strconv.Quote(shown), source)
		}
	}
}
