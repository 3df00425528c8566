package config

import (
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/influxd/config/file"
	"strongroom/internal/influxd/config/value"
)

// readFile reads the settings in the configuration file, or in the one called config.* in the folder.
func (l *loader) readFile(path string) ([]given, error) {
	f, err := file.Read(l.c.Place("config-path"), path)
	if err != nil {
		return nil, err
	}
	out, err := l.fileSettings(f)
	if err != nil {
		return nil, err
	}
	if f.Exposed != nil {
		for _, g := range out {
			if l.byName[g.name].secret {
				l.notice(fmt.Sprintf("%s is a secret in a file that %v", g.place, f.Exposed))
			}
		}
	}
	return out, nil
}

// fileSettings turns the file's keys into settings, in the order of their names. Upper case counts as lower, as it did
// in InfluxDB.
func (l *loader) fileSettings(f file.File) ([]given, error) {
	names := make(map[string]bool)
	for name := range l.byName {
		names[name] = true
	}
	for name := range ignored {
		names[name] = true
	}
	seen := make(map[string]bool)
	var out []given
	for key, v := range f.Keys {
		name := strings.ToLower(key)
		place := "file " + f.Name + ": " + value.PrintableName(key)
		_, isTable := v.(map[string]any)
		s, ok := l.byName[name]
		switch {
		case !names[name] && isTable:
			return nil, fmt.Errorf(
				"%s: there is no such section; a setting stands at the top level (sections are of InfluxDB 1)",
				place,
			)
		case !names[name]:
			return nil, fmt.Errorf(
				"%s: there is no such setting%s; `influxd help` lists them",
				place,
				suggest(name, names),
			)
		case seen[name]:
			return nil, fmt.Errorf("%s: given twice; leave one out", place)
		case s.notInFile:
			return nil, fmt.Errorf("%s: says where the file is and cannot stand in it", place)
		}
		seen[name] = true
		text := ""
		if ok {
			var err error
			if text, err = file.Text(v, s.value.Kind()); err != nil {
				return nil, fmt.Errorf("%s: %w", place, err)
			}
		}
		out = append(out, given{name: name, text: text, place: place, source: f.Name})
	}
	slices.SortFunc(out, func(a, b given) int { return strings.Compare(a.name, b.name) })
	return out, nil
}
