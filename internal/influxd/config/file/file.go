// Package file reads a configuration file, which is TOML, YAML or JSON by its name's end. What it says of one quotes no
// value, for that may be a secret.
package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"

	"strongroom/internal/influxd/config/value"
	"strongroom/internal/ownfile"
)

// Extensions lists how a configuration file's name may end; in a folder, the first that is there counts.
var Extensions = []string{".toml", ".yaml", ".yml", ".json"}

// maxFile bounds what is read of a configuration file, which has a few hundred bytes.
const maxFile = 1 << 20

// File is a configuration file that was read.
type File struct {
	Name string
	Keys map[string]any
	// Exposed says why others may read the file; nil where they may not.
	Exposed error
}

// Read reads the configuration file, or the one called config.* in the folder. Place is what the messages call the
// setting that names it.
func Read(place, name string) (File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", place, pathError(name, err))
	}
	if info.IsDir() {
		if name, err = in(name); err != nil {
			return File{}, fmt.Errorf("%s: %w", place, err)
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", place, pathError(name, err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", place, pathError(name, err))
	}
	if len(data) > maxFile {
		return File{}, fmt.Errorf("file %s: is longer than 1 MiB and so no configuration file", name)
	}
	keys, err := decode(name, data)
	if err != nil {
		return File{}, fmt.Errorf("file %s: %w", name, err)
	}
	if info, err = f.Stat(); err != nil {
		return File{}, fmt.Errorf("%s: %w", place, pathError(name, err))
	}
	return File{Name: name, Keys: keys, Exposed: ownfile.Secret(name, info)}, nil
}

// in finds the one configuration file in the folder.
func in(folder string) (string, error) {
	name := ""
	for _, ext := range Extensions {
		candidate := filepath.Join(folder, "config"+ext)
		if _, err := os.Stat(candidate); err != nil {
			continue
		}
		if name != "" {
			return "", fmt.Errorf("there are both %s and %s; name the one that counts", name, candidate)
		}
		name = candidate
	}
	if name == "" {
		return "", fmt.Errorf("the folder %s holds none of config.toml, config.yaml, config.yml, config.json", folder)
	}
	return name, nil
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
			strings.Join(Extensions, ", "),
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
			return nil, fmt.Errorf("%s: given twice; leave one out", value.PrintableName(key))
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

// Text is the text of a value in a file. Numbers and switches may stand there with or without quotes; a text must be
// a text, since YAML reads 0123 as 83.
func Text(v any, k value.Kind) (string, error) {
	number := ""
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		if k == value.KindSwitch {
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
		if k == value.KindShare || strings.HasPrefix(string(k), "1.") {
			return strconv.FormatFloat(v, 'f', -1, 64), nil
		}
	case []any:
		var items []string
		for _, item := range v {
			if s, ok := item.(string); ok && k == value.KindList && !strings.Contains(s, ",") {
				items = append(items, s)
			}
		}
		if k == value.KindList && len(items) == len(v) {
			return strings.Join(items, ","), nil
		}
	case nil:
		return "", errors.New("has no value")
	}
	bare := k == value.KindNumber || k == value.KindSize || k == value.KindShare ||
		k == value.KindDuration && number == "0" || strings.HasPrefix(string(k), "1.")
	if number != "" && bare {
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
func wanted(k value.Kind) string {
	switch k {
	case value.KindSwitch:
		return "true or false"
	case value.KindNumber:
		return "a whole number"
	case value.KindSize:
		return "a size in bytes, such as 65536 or \"4MiB\""
	case value.KindShare:
		return "a number from 0 to 1"
	case value.KindDuration:
		return "a duration in quotes, such as \"30s\""
	case value.KindList:
		return "a list of texts, none with a comma"
	default:
		return "a text in quotes"
	}
}
