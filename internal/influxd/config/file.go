package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"

	"strongroom/internal/ownfile"
)

// extensions lists how a configuration file's name may end; in a folder, the first that is there counts.
var extensions = []string{".toml", ".yaml", ".yml", ".json"}

// maxFile bounds what is read of a configuration file, which has a few hundred bytes.
const maxFile = 1 << 20

// readFile reads the settings in the configuration file, or in the one called config.* in the folder.
func (l *loader) readFile(name string) ([]given, error) {
	place := l.c.Place("config-path")
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, pathError(name, err))
	}
	if info.IsDir() {
		folder := name
		name = ""
		for _, ext := range extensions {
			candidate := filepath.Join(folder, "config"+ext)
			if _, err := os.Stat(candidate); err != nil {
				continue
			}
			if name != "" {
				return nil, fmt.Errorf("%s: there are both %s and %s; name the one that counts", place, name, candidate)
			}
			name = candidate
		}
		if name == "" {
			return nil, fmt.Errorf(
				"%s: the folder %s holds none of config.toml, config.yaml, config.yml, config.json",
				place,
				folder,
			)
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, pathError(name, err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, pathError(name, err))
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("file %s: is longer than 1 MiB and so no configuration file", name)
	}
	keys, err := decode(name, data)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", name, err)
	}
	out, err := l.fileSettings(name, keys)
	if err != nil {
		return nil, err
	}
	info, err = f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, pathError(name, err))
	}
	if err := ownfile.Secret(name, info); err != nil {
		for _, g := range out {
			if l.byName[g.name].secret {
				l.notice(fmt.Sprintf("%s is a secret in a file that %v", g.place, err))
			}
		}
	}
	return out, nil
}

// pathError says what went wrong with the path once, without the system call's name.
func pathError(name string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// decode reads the file's top level in the format its name says. Its errors quote no line of the file.
func decode(name string, data []byte) (map[string]any, error) {
	var top any
	var err error
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".toml", ".conf": // InfluxDB's Docker image and packages have called a TOML file .conf
		table := make(map[string]any)
		err = toml.Unmarshal(data, &table)
		top = table
	case ".yaml", ".yml":
		err = yaml.Unmarshal(data, &top)
		if top == nil && err == nil {
			top = map[string]any{} // an empty file
		}
	case ".json":
		top, err = decodeJSON(data)
	default:
		return nil, fmt.Errorf(
			"its format is told by its name's end, which must be one of %s",
			strings.Join(extensions, ", "),
		)
	}
	if err != nil {
		return nil, positionOf(err)
	}
	keys, ok := top.(map[string]any)
	if !ok {
		return nil, errors.New("must hold keys with their values, such as bolt-path with a path")
	}
	return keys, nil
}

// positionOf adds the position that TOML's errors keep to themselves.
func positionOf(err error) error {
	var de *toml.DecodeError
	if errors.As(err, &de) {
		row, column := de.Position()
		return fmt.Errorf("line %d, column %d: %w", row, column, err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends in the middle; is a closing bracket missing?")
	}
	return err
}

// decodeJSON reads one JSON object and refuses a key that is there twice, which encoding/json would let pass.
func decodeJSON(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("must hold one JSON object")
	}
	keys := make(map[string]any)
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		key := t.(string)
		if _, twice := keys[key]; twice {
			return nil, fmt.Errorf("%s: given twice; leave one out", printable(key))
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		keys[key] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return keys, nil
}

// fileSettings turns the file's keys into settings, in the order of their names. Upper case counts as lower, as it did
// in InfluxDB.
func (l *loader) fileSettings(file string, keys map[string]any) ([]given, error) {
	names := make(map[string]bool)
	for name := range l.byName {
		names[name] = true
	}
	for name := range ignored {
		names[name] = true
	}
	seen := make(map[string]bool)
	var out []given
	for key, v := range keys {
		name := strings.ToLower(key)
		place := "file " + file + ": " + printable(key)
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
			if text, err = scalar(v, s.value.kind()); err != nil {
				return nil, fmt.Errorf("%s: %w", place, err)
			}
		}
		out = append(out, given{name: name, text: text, place: place, source: file})
	}
	slices.SortFunc(out, func(a, b given) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// scalar is the text of a value in a file. Numbers and switches may stand there with or without quotes; a text must be
// a text, since YAML reads 0123 as 83.
func scalar(v any, k kind) (string, error) {
	number := ""
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		if k == kindSwitch {
			return strconv.FormatBool(v), nil
		}
	case int:
		number = strconv.Itoa(v)
	case int64:
		number = strconv.FormatInt(v, 10)
	case json.Number:
		number = v.String()
	case float64:
		// TOML and YAML read tls-min-version = 1.2 as a fraction.
		if k == kindShare || strings.HasPrefix(string(k), "1.") {
			return strconv.FormatFloat(v, 'f', -1, 64), nil
		}
	case []any:
		var items []string
		for _, item := range v {
			if s, ok := item.(string); ok && k == kindList && !strings.Contains(s, ",") {
				items = append(items, s)
			}
		}
		if k == kindList && len(items) == len(v) {
			return strings.Join(items, ","), nil
		}
	case nil:
		return "", errors.New("has no value")
	}
	if number != "" &&
		(k == kindNumber || k == kindSize || k == kindShare || k == kindDuration && number == "0" || strings.HasPrefix(string(k), "1.")) {
		return number, nil
	}
	return "", fmt.Errorf("is %s and should be %s", described(v), wanted(k))
}

// described names a value's type in the words of configuration files.
func described(v any) string {
	switch v.(type) {
	case bool:
		return "a switch"
	case int, int64, json.Number, float64:
		return "a number"
	case map[string]any:
		return "a section"
	case []any:
		return "a list"
	case time.Time:
		return "a time"
	default:
		return "of another type"
	}
}

// wanted says what a value of the kind looks like.
func wanted(k kind) string {
	switch k {
	case kindSwitch:
		return "true or false"
	case kindNumber:
		return "a whole number"
	case kindSize:
		return "a size in bytes, such as 65536 or \"4MiB\""
	case kindShare:
		return "a number from 0 to 1"
	case kindDuration:
		return "a duration in quotes, such as \"30s\""
	case kindList:
		return "a list of texts, none with a comma"
	default:
		return "a text in quotes"
	}
}
