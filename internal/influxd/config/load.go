package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"strongroom/internal/influxd/config/file"
	"strongroom/internal/influxd/config/value"
	"strongroom/internal/peer"
	"strongroom/internal/seal"
)

const prefix = "INFLUXD_"

// maxSocketPath is how long the path of a Unix socket may be everywhere: macOS has 104 bytes for it, one of them the
// end.
const maxSocketPath = 103

// variable is the setting's name in the environment.
func variable(name string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// Invalid is the error of a setting that is wrong.
type Invalid struct{ error }

func (i Invalid) Unwrap() error { return i.error }

// Load makes the effective configuration of the flags, the environment (as os.Environ gives it) and the file they
// name. The error is Invalid; it says which setting is wrong and where it was found, and never a secret's value.
func Load(args Args, environ []string) (*Config, error) {
	c, err := read(args, environ)
	if err != nil {
		return nil, Invalid{err}
	}
	return c, nil
}

func read(args Args, environ []string) (*Config, error) {
	env := make(map[string]string)
	for _, e := range environ {
		if name, text, _ := strings.Cut(e, "="); text != "" {
			env[name] = text
		}
	}
	fromEnv, err := readEnv(env)
	if err != nil {
		return nil, err
	}
	c := &Config{sources: make(map[string]string)}
	l := loader{c: c, home: env["HOME"], byName: make(map[string]setting)}
	for _, s := range c.settings() {
		l.byName[s.name] = s
	}

	// The file is found by what the environment and the flags say, and is then the weakest of the three.
	said := slices.Concat(fromEnv, args.given)
	for _, g := range said {
		if g.name == "config-path" {
			if err := l.take(g); err != nil {
				return nil, err
			}
		}
	}
	var fromFile []given
	if c.ConfigPath != "" {
		if fromFile, err = l.readFile(c.ConfigPath); err != nil {
			return nil, err
		}
	} else {
		l.noticeUnreadFile()
	}
	if err := l.defaults(); err != nil {
		return nil, err
	}
	for _, g := range slices.Concat(fromFile, said) {
		if err := l.take(g); err != nil {
			return nil, err
		}
	}
	return c, l.finish()
}

type loader struct {
	c      *Config
	home   string
	byName map[string]setting
}

// readEnv finds our variables, in the order of their names.
func readEnv(env map[string]string) ([]given, error) {
	variables := make(map[string]string)
	for _, s := range new(Config).settings() {
		variables[variable(s.name)] = s.name
	}
	for name := range ignored {
		variables[variable(name)] = name
	}
	var out []given
	for name, text := range env {
		if !strings.HasPrefix(name, prefix) || foreignVariable(name) {
			continue
		}
		flag, ok := variables[name]
		if !ok {
			near := make(map[string]bool)
			for v := range variables {
				near[strings.ToLower(strings.ReplaceAll(v, "_", "-"))] = true
			}
			hint := suggest(name, near)
			if hint != "" {
				hint = strings.ToUpper(strings.ReplaceAll(hint, "-", "_"))
				hint = strings.ReplaceAll(hint, "DID YOU MEAN", "did you mean")
			}
			return nil, fmt.Errorf("variable %s: there is no such setting%s; `influxd help` lists them", name, hint)
		}
		out = append(out, given{name: flag, text: text, place: "variable " + name, source: name})
	}
	slices.SortFunc(out, func(a, b given) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// take gives the setting its value.
func (l *loader) take(g given) error {
	s, ok := l.byName[g.name]
	if !ok { // then it is one of the ignored
		l.notice(fmt.Sprintf("%s has no meaning here and is ignored", g.place))
		return nil
	}
	text, err := l.expand(g.text, s.value.Kind())
	if err != nil {
		return fmt.Errorf("%s: %w", g.place, err)
	}
	if err := s.value.Set(text); err != nil {
		if shown := fmt.Sprintf("%q ", g.text); !s.secret && g.text != "" && len(g.text) <= 200 {
			return fmt.Errorf("%s: %s%w", g.place, shown, err)
		}
		return fmt.Errorf("%s: %w", g.place, err)
	}
	l.c.sources[g.name] = g.source
	return nil
}

// expand writes the home folder for the ~ that begins a path. A shell does so only where it sees a path, not in
// --bolt-path=~/x, in a unit or in a file; and a folder called "~" is never what was meant.
func (l *loader) expand(text string, k value.Kind) (string, error) {
	if k != value.KindPath && k != value.KindList {
		return text, nil
	}
	items := []string{text}
	if k == value.KindList {
		items = strings.Split(text, ",")
	}
	for i, item := range items {
		rest, ok := strings.CutPrefix(item, "~/")
		if ok && l.home == "" {
			return "", errors.New("begins with ~, but HOME is not set; write the whole path")
		}
		if ok {
			items[i] = filepath.Join(l.home, rest)
		}
	}
	return strings.Join(items, ","), nil
}

// defaults gives every setting its default. Those that depend on others are left to finish.
func (l *loader) defaults() error {
	for name, s := range l.byName {
		if s.def == "" || name == "bolt-path" || name == "seal-key-file" || name == "audit-sinks" {
			continue
		}
		if err := s.value.Set(s.def); err != nil {
			return fmt.Errorf("default of --%s: %w", name, err)
		}
	}
	return nil
}

// finish fills in what depends on other settings and checks those that must fit each other.
func (l *loader) finish() error {
	c := l.c
	if c.BoltPath == "" {
		if l.home == "" {
			return errors.New(
				"HOME is not set, so there is no default folder for the data: name the data file with --bolt-path " +
					"(or INFLUXD_BOLT_PATH)",
			)
		}
		c.BoltPath = filepath.Join(l.home, ".strongroom", "influxd.bolt")
	}
	if c.SealKeyFile == "" {
		c.SealKeyFile = beside(c.BoltPath, "seal.key")
	}
	if len(c.AuditSinks) == 0 {
		c.AuditSinks = []string{"file:" + beside(c.BoltPath, "audit.log")}
	}
	if filepath.Clean(c.SealKeyFile) == filepath.Clean(c.BoltPath) {
		return fmt.Errorf(
			"%s: is the data file of --bolt-path too; the key needs a file of its own",
			c.Place("seal-key-file"),
		)
	}
	var err error
	if c.Proxies, err = peer.ParseProxies(c.TrustedProxies); err != nil {
		return fmt.Errorf("%s: %w", c.Place("trusted-proxies"), err)
	}
	if c.BasePath, err = peer.ParseBase(c.BasePath); err != nil {
		return fmt.Errorf("%s: %w", c.Place("base-path"), err)
	}
	switch {
	case c.TLSCert != "" && c.TLSKey == "":
		return fmt.Errorf("%s: needs --tls-key too", c.Place("tls-cert"))
	case c.TLSKey != "" && c.TLSCert == "":
		return fmt.Errorf("%s: needs --tls-cert too", c.Place("tls-key"))
	case c.TLSClientCACert != "" && c.TLSCert == "":
		return fmt.Errorf("%s: needs --tls-cert and --tls-key too: a client shows its certificate over TLS alone",
			c.Place("tls-client-cacert"))
	case len(c.HTTPSocket) > maxSocketPath:
		return fmt.Errorf("%s: is longer than %d characters, which the path of a socket may have",
			c.Place("http-socket"), maxSocketPath)
	}
	for _, limit := range []struct {
		name string
		n    int64
	}{{"max-secret-value-size", c.MaxSecretValueSize}, {"max-secret-key-size", c.MaxSecretKeySize}} {
		if limit.n > c.MaxBodySize {
			return fmt.Errorf(
				"%s: %s is more than --max-body-size (%s) lets in",
				c.Place(limit.name),
				value.FormatSize(limit.n),
				value.FormatSize(c.MaxBodySize),
			)
		}
	}
	for name, addr := range map[string]string{"vault-addr": c.Vault.Address, "seal-transit-addr": c.Seal.Transit.Addr} {
		if u, err := url.Parse(addr); addr != "" &&
			(err != nil || u.Host == "" && u.Scheme != "unix" || u.User != nil) {
			return fmt.Errorf(
				"%s: is not the URL of a server without a user's name in it, such as https://127.0.0.1:8200",
				c.Place(name),
			)
		}
	}
	if u, err := url.Parse(c.TracingEndpoint); c.TracingEndpoint != "" && (err != nil || u.Host == "" ||
		u.User != nil || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "") {
		return fmt.Errorf("%s: is not the URL of a collector without a user's name in it, such as "+
			"http://localhost:4318", c.Place("tracing-endpoint"))
	}
	if err := c.checkTransit(); err != nil {
		return err
	}
	if err := c.checkEtcd(); err != nil {
		return err
	}
	if err := c.checkVaultAPI(); err != nil {
		return err
	}
	if err := c.checkDue(); err != nil {
		return err
	}
	if c.SecretStore != StoreVault {
		for _, s := range c.settings() {
			if (c.Seal.Type == seal.TypeTransit || c.Seal.Transit != Transit{}) &&
				!slices.Contains(storeInVault, s.name) { // the seal goes to the same Vault
				continue
			}
			if strings.HasPrefix(s.name, "vault-") && !strings.HasPrefix(s.name, vaultAPIPrefix) &&
				c.sources[s.name] != "" {
				l.notice(
					fmt.Sprintf(
						"%s has no effect: secrets are kept in the embedded store; --secret-store vault changes that",
						c.Place(s.name),
					),
				)
			}
		}
	}
	return nil
}

func (l *loader) notice(text string) { l.c.notices = append(l.c.notices, text) }

// noticeUnreadFile tells who comes from InfluxDB that a configuration file in the working directory is not read, as it
// was there: in a secrets server, whoever can leave a file in some folder must not decide where secrets go.
func (l *loader) noticeUnreadFile() {
	for _, ext := range file.Extensions {
		if _, err := os.Stat("config" + ext); err == nil {
			l.notice(
				fmt.Sprintf(
					"the file config%s in the working directory is not read; --config-path config%[1]s makes it count",
					ext,
				),
			)
			return
		}
	}
}
