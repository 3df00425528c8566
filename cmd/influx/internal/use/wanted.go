package use

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/usage"
)

// wanted is which secrets a program is given, and how.
type wanted struct {
	env      map[string]string // key by the variable's name
	unnamed  []string          // keys whose variable's name is made from the key
	files    map[string]string // key by the file's name
	all      bool
	prefixes []string
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// wantedFlags are those that wantedOf reads.
func wantedFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{
			Name:  "env",
			Usage: "`NAME=key`: the variable with the value of this secret; the key alone makes the name from it",
		},
		&cli.BoolFlag{Name: "all", Usage: "A variable for each secret that the token may use"},
		&cli.StringSliceFlag{Name: "prefix", Usage: "A variable for each secret whose key begins so"},
		&cli.StringSliceFlag{
			Name:  "file",
			Usage: "`PATH=key`: the file with the value of this secret, in a private folder in memory",
		},
	}
}

func wantedOf(cmd *cli.Command) (wanted, error) {
	w := wanted{
		env: map[string]string{}, files: map[string]string{}, all: cmd.Bool("all"), prefixes: cmd.StringSlice("prefix"),
	}
	for _, text := range cmd.StringSlice("env") {
		name, key, named := strings.Cut(text, "=")
		switch {
		case !named:
			w.unnamed = append(w.unnamed, text)
		case !variableName.MatchString(name):
			return w, usage.WithHint(cmd,
				fmt.Sprintf("flag --env: %q cannot be the name of a variable: letters, digits and _, "+
					"and no digit first", name))
		case key == "":
			return w, usage.WithHint(cmd, fmt.Sprintf("flag --env: no key behind %s=", name))
		case w.env[name] != "":
			return w, usage.WithHint(cmd, fmt.Sprintf("flag --env: the variable %s is named twice", name))
		default:
			w.env[name] = key
		}
	}
	for _, text := range cmd.StringSlice("file") {
		path, key, named := strings.Cut(text, "=")
		switch {
		case !named || key == "":
			return w, usage.WithHint(cmd, fmt.Sprintf("flag --file: write PATH=key, as in --file tls.key=%s", text))
		case !filepath.IsLocal(path) || filepath.Clean(path) != path || path == ".":
			return w, usage.WithHint(cmd,
				fmt.Sprintf("flag --file: %q is no plain path inside the private folder", path))
		case w.files[path] != "":
			return w, usage.WithHint(cmd, fmt.Sprintf("flag --file: the file %s is named twice", path))
		}
		w.files[path] = key
	}
	if len(w.env)+len(w.unnamed)+len(w.files)+len(w.prefixes) == 0 && !w.all {
		return w, usage.WithHint(cmd, "no secret: give --env, --file, --prefix or --all")
	}
	return w, nil
}

// keys are those to ask for; nil where all are.
func (w wanted) keys() []string {
	if w.all || len(w.prefixes) > 0 {
		return nil
	}
	keys := slices.Concat(slices.Collect(maps.Values(w.env)), w.unnamed, slices.Collect(maps.Values(w.files)))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// given is what of the values the program gets.
type given struct {
	env   map[string]client.Secret
	files map[string]client.Secret
}

func anyBegins(values map[string]client.Secret, prefix string) bool {
	for key := range values {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// equal reports whether a program would see no difference.
func (g given) equal(o given) bool { return maps.Equal(g.env, o.env) && maps.Equal(g.files, o.files) }

// names gives each value its variables and files. Taken says of a variable that it has a value already.
func (w wanted) names(values map[string]client.Secret, taken func(string) bool) (given, error) {
	g := given{env: map[string]client.Secret{}, files: map[string]client.Secret{}}
	missing := func(key string) error {
		return exit.With(exit.NotFound, fmt.Errorf("there is no secret %q that this token may use", key))
	}
	// A program that is run without what it was to have fails later, and less clearly.
	if w.all && len(values) == 0 {
		return g, exit.With(exit.NotFound, errors.New("there is no secret that this token may use"))
	}
	for _, prefix := range w.prefixes {
		if !anyBegins(values, prefix) {
			return g, exit.With(exit.NotFound,
				fmt.Errorf("there is no secret whose key begins with %q that this token may use", prefix))
		}
	}
	named := map[string]bool{} // by --env with a name, which then is the only one
	for name, key := range w.env {
		value, ok := values[key]
		if !ok {
			return g, missing(key)
		}
		g.env[name], named[key] = value, true
	}
	for path, key := range w.files {
		value, ok := values[key]
		if !ok {
			return g, missing(key)
		}
		g.files[path] = value
	}
	from := maps.Clone(w.env)
	for _, key := range w.automatic(values) {
		if named[key] {
			continue
		}
		value, ok := values[key]
		if !ok {
			return g, missing(key)
		}
		name := nameOf(key)
		switch other, twice := from[name]; {
		case twice && other == key:
			continue
		case twice:
			return g, usage.Mistake("the secrets %q and %q would both be the variable %s; name one with --env NAME=key",
				other, key, name)
		case commands(name):
			return g, usage.Mistake("the secret %q would be the variable %s, which decides what is run; name it with "+
				"--env NAME=key if that is meant", key, name)
		case taken(name):
			return g, usage.Mistake("the secret %q would be the variable %s, which is set already; name it with "+
				"--env NAME=key",
				key, name)
		}
		g.env[name], from[name] = value, key
	}
	for name, value := range g.env {
		if strings.ContainsRune(value.Reveal(), 0) {
			return g, fmt.Errorf("the value for the variable %s has a zero byte, which no variable can hold; give it "+
				"as a file, with --file", name)
		}
	}
	return g, nil
}

// automatic are the keys whose variables' names are made from them, sorted.
func (w wanted) automatic(values map[string]client.Secret) []string {
	keys := slices.Clone(w.unnamed)
	for key := range values {
		begins := func(prefix string) bool { return strings.HasPrefix(key, prefix) }
		if w.all || slices.ContainsFunc(w.prefixes, begins) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// nameOf makes the name of a variable from a key: db/password is DB_PASSWORD.
func nameOf(key string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return "_" + name
	}
	return name
}

// What tells the system, a shell or a language's runtime which code to run. Whoever may set a secret must not come by
// that because its key is a name.
var (
	commanding = []string{
		"PATH", "SHELL", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS", "PS4", "PROMPT_COMMAND", "EDITOR",
		"VISUAL", "PAGER", "GCONV_PATH", "GLIBC_TUNABLES", "HOSTALIASES", "LOCPATH", "TERMINFO", "CLASSPATH",
		"NODE_OPTIONS", "NODE_PATH", "PERL5LIB", "PERL5OPT", "PERLLIB", "RUBYLIB", "RUBYOPT",
		"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS",
	}
	commandingBegins = []string{"LD_", "DYLD_", "PYTHON", "BASH_FUNC_", "GIT_"}
)

func commands(name string) bool {
	begins := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	return slices.Contains(commanding, name) || slices.ContainsFunc(commandingBegins, begins)
}
