// Package profile keeps the connections of the CLI in the file the original influx CLI keeps them in, so that both can
// be used side by side: ~/.influxdbv2/configs, TOML, one table a profile.
package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"strongroom/cmd/influx/internal/exit"
)

// DefaultName is the profile that set-up writes where no other name is given.
const DefaultName = "default"

// Profile is one connection.
type Profile struct {
	Name  string `json:"-"`
	URL   string `json:"url"`
	Token string `json:"token"`
	Org   string `json:"org"`
	// Active marks the profile that commands use; Previous the one that "influx config -" goes back to.
	Active   bool `json:"active,omitempty"`
	Previous bool `json:"previous,omitempty"`
	// Cookie is base64 of user:password, or of user alone; it stands where Token is empty.
	Cookie string `json:"cookie,omitempty"`
}

// File is the profiles file in memory. Tables, keys and top-level settings it does not know stay as they are, and so do
// the comments before the first line and after the last; comments in between do not survive a change.
type File struct {
	path       string
	doc        map[string]any
	head, tail []byte // comments
	// Exposed says who else can read or change the file on disk, and what to do; empty where nobody can.
	Exposed string
	// nowhere is why the file can neither be read nor written, where there is no path for it.
	nowhere error
}

// ErrNoHome is DefaultPath's error where the environment names no home directory, as it does for services.
var ErrNoHome = errors.New("there is no home directory to keep profiles in; set HOME or give --configs-path")

// DefaultPath is where the file is unless a flag or the environment says otherwise.
func DefaultPath() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", ErrNoHome
	}
	return filepath.Join(home, ".influxdbv2", "configs"), nil
}

// None has no profiles, and cannot be saved.
func None() *File { return &File{doc: map[string]any{}, nowhere: ErrNoHome} }

// Load reads the file; one that does not exist has no profiles.
func Load(path string) (*File, error) {
	f := &File{path: path, doc: map[string]any{}}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the profiles: %w", err)
	}
	if info, err := os.Stat(path); err == nil {
		f.Exposed = exposed(path, info, currentUser())
	}
	if err := toml.Unmarshal(raw, &f.doc); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			// The error's long form would quote the line, token and all.
			line, column := at.Position()
			return nil, fmt.Errorf(
				"%s is not valid TOML at line %d, column %d; repair that line or move the file away",
				path,
				line,
				column,
			)
		}
		return nil, fmt.Errorf("%s is not valid TOML; repair it or move the file away", path)
	}
	for _, name := range f.names() {
		if err := checkTypes(f.doc[name].(map[string]any)); err != nil {
			return nil, fmt.Errorf("%s: profile %q: %w", path, name, err)
		}
	}
	f.head, f.tail = outerComments(raw)
	return f, nil
}

func checkTypes(table map[string]any) error {
	for _, key := range []string{"url", "token", "org", "cookie"} {
		if v, ok := table[key]; ok {
			if _, ok := v.(string); !ok {
				return fmt.Errorf("%s must be a string in quotes", key)
			}
		}
	}
	for _, key := range []string{"active", "previous"} {
		if v, ok := table[key]; ok {
			if _, ok := v.(bool); !ok {
				return fmt.Errorf("%s must be true or false", key)
			}
		}
	}
	return nil
}

// outerComments are the comment lines before the first other line and after the last. The original CLI ends the file
// with a list of example hosts in comments.
func outerComments(raw []byte) (head, tail []byte) {
	isComment := func(line []byte) bool {
		line = bytes.TrimSpace(line)
		return len(line) == 0 || line[0] == '#'
	}
	lines := bytes.SplitAfter(raw, []byte("\n"))
	first := 0
	for first < len(lines) && isComment(lines[first]) {
		first++
	}
	last := len(lines)
	for last > first && isComment(lines[last-1]) {
		last--
	}
	return bytes.Join(lines[:first], nil), bytes.Join(lines[last:], nil)
}

func (f *File) names() []string {
	var names []string
	for name, v := range f.doc {
		if _, ok := v.(map[string]any); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Path is the file's path.
func (f *File) Path() string { return f.path }

// List is all profiles, sorted by name.
func (f *File) List() []Profile {
	var all []Profile
	for _, name := range f.names() {
		p, _ := f.Get(name)
		all = append(all, p)
	}
	return all
}

// Get is the profile of a name.
func (f *File) Get(name string) (Profile, bool) {
	table, ok := f.doc[name].(map[string]any)
	if !ok {
		return Profile{}, false
	}
	p := Profile{Name: name}
	p.URL, _ = table["url"].(string)
	p.Token, _ = table["token"].(string)
	p.Org, _ = table["org"].(string)
	p.Cookie, _ = table["cookie"].(string)
	p.Active, _ = table["active"].(bool)
	p.Previous, _ = table["previous"].(bool)
	return p, true
}

// Active is the profile in use: the one marked active or else, as the first set-up of the original CLI leaves none
// marked, the first by name.
func (f *File) Active() (Profile, bool) {
	all := f.List()
	for _, p := range all {
		if p.Active {
			return p, true
		}
	}
	if len(all) > 0 {
		return all[0], true
	}
	return Profile{}, false
}

// Create adds a profile.
func (f *File) Create(p Profile) error {
	if err := checkName(p.Name); err != nil {
		return err
	}
	if _, taken := f.doc[p.Name]; taken {
		return exit.With(exit.Conflict, fmt.Errorf("config %q already exists", p.Name))
	}
	activate := p.Active
	p.Active = false
	f.doc[p.Name] = map[string]any{}
	f.put(p)
	if activate {
		f.mark(p.Name)
	}
	return nil
}

// Update sets those of a profile's fields that are not empty in up. A token replaces a cookie and the reverse.
func (f *File) Update(up Profile) (Profile, error) {
	p, ok := f.Get(up.Name)
	if !ok {
		return Profile{}, notFound(up.Name)
	}
	if up.Token != "" {
		p.Token, p.Cookie = up.Token, ""
	}
	if up.Cookie != "" {
		p.Token, p.Cookie = "", up.Cookie
	}
	if up.URL != "" {
		p.URL = up.URL
	}
	if up.Org != "" {
		p.Org = up.Org
	}
	f.put(p)
	if up.Active {
		f.mark(p.Name)
	}
	p, _ = f.Get(p.Name)
	return p, nil
}

// Switch makes a profile the active one; the name "-" is the one that was active before.
func (f *File) Switch(name string) (Profile, error) {
	if name == "-" {
		i := slices.IndexFunc(f.List(), func(p Profile) bool { return p.Previous })
		if i < 0 {
			return Profile{}, errors.New("there is no previous config to go back to; name one, as in: influx " +
				"config NAME")
		}
		name = f.List()[i].Name
	}
	if _, ok := f.Get(name); !ok {
		return Profile{}, notFound(name)
	}
	f.mark(name)
	p, _ := f.Get(name)
	return p, nil
}

// Delete removes a profile. Where it was the active one, the previous one becomes active, or else the first by name.
func (f *File) Delete(name string) (Profile, error) {
	p, ok := f.Get(name)
	if !ok {
		return Profile{}, notFound(name)
	}
	delete(f.doc, name)
	if rest := f.List(); p.Active && len(rest) > 0 {
		next := rest[0]
		if i := slices.IndexFunc(rest, func(p Profile) bool { return p.Previous }); i >= 0 {
			next = rest[i]
		}
		next.Active, next.Previous = true, false
		f.put(next)
	}
	return p, nil
}

func notFound(name string) error {
	return exit.With(exit.NotFound, fmt.Errorf("config %q is not found; influx config list shows those there are",
		name))
}

// reserved are the names that "influx config NAME" could not switch to.
var reserved = []string{"-", "list", "ls", "update", "set", "delete", "rm", "remove", "switch", "create", "help", "h"}

func checkName(name string) error {
	switch {
	case name == "":
		return exit.With(exit.Usage, errors.New("config name is empty"))
	case slices.Contains(reserved, name), strings.HasPrefix(name, "-"):
		return exit.With(exit.Usage, fmt.Errorf("%q is not a valid config name", name))
	}
	return nil
}

// mark makes a profile the only active one, and the one that was in use the previous.
func (f *File) mark(name string) {
	current, _ := f.Active()
	for _, p := range f.List() {
		if current.Name != name {
			p.Previous = p.Name == current.Name
		}
		p.Active = p.Name == name
		f.put(p)
	}
}

// put writes a profile's fields into its table, keys of other tools left alone.
func (f *File) put(p Profile) {
	table := maps.Clone(f.doc[p.Name].(map[string]any))
	table["url"], table["token"], table["org"] = p.URL, p.Token, p.Org
	set := func(key string, v any, present bool) {
		if present {
			table[key] = v
		} else {
			delete(table, key)
		}
	}
	set("active", true, p.Active)
	set("previous", true, p.Previous)
	set("cookie", p.Cookie, p.Cookie != "")
	f.doc[p.Name] = table
}
