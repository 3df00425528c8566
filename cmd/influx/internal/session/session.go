// Package session is what commands have in common: the flags that say where, as whom and about which organisation, and
// the connection made of them.
package session

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/httpdebug"
	"strongroom/cmd/influx/internal/output"
	"strongroom/cmd/influx/internal/profile"
	"strongroom/cmd/influx/internal/terminal"
	"strongroom/cmd/influx/internal/usage"
)

// DefaultHost is where influxd listens unless told otherwise. (The original CLI of later years has port 8086.)
const DefaultHost = "http://localhost:9999"

// Process is what all commands share: the process's own standard streams, and its name to servers.
type Process struct {
	Term      *terminal.Terminal
	Out       io.Writer
	Err       io.Writer
	UserAgent string
}

// Session is one command's connection to the server.
type Session struct {
	Client   *client.Client
	Profiles *profile.File
	Profile  profile.Profile // the one in use; empty where there is none
	Print    output.Printer
	Term     *terminal.Terminal
	Known    bool // whether the client speaks as someone

	unknown string // what to do where the server does not know the token or the user
}

// Identity says whether a command speaks to the server as someone.
type Identity int

// The kinds of commands. One that is IfKnown shows more to whom the server knows.
const (
	Anonymous Identity = iota
	Authenticated
	IfKnown
)

// Func is a command that has its connection.
type Func func(context.Context, *cli.Command, *Session) error

// Connected makes a command's action of a function that needs the server.
func (p *Process) Connected(who Identity, f Func) cli.ActionFunc {
	return func(ctx context.Context, cmd *cli.Command) error {
		s, err := p.connect(ctx, cmd, who)
		if err != nil {
			return err
		}
		defer func() {
			// A session of one command has no use afterwards. Where this fails it expires by itself.
			_ = s.Client.SignOut(context.WithoutCancel(ctx))
		}()
		return s.explain(f(ctx, cmd, s))
	}
}

func (p *Process) connect(ctx context.Context, cmd *cli.Command, who Identity) (*Session, error) {
	profiles, err := p.LoadProfiles(cmd)
	if errors.Is(err, profile.ErrNoHome) && cmd.String("active-config") == "" {
		// A service often has no HOME; flags and the environment may say all there is to know.
		profiles, err = profile.None(), nil
	}
	if err != nil {
		return nil, err
	}
	s := &Session{Profiles: profiles, Print: p.Printer(cmd), Term: p.Term}
	if name := cmd.String("active-config"); name != "" {
		var ok bool
		if s.Profile, ok = profiles.Get(name); !ok {
			return nil, exit.With(
				exit.NotFound,
				fmt.Errorf("config %q is not found; influx config list shows those there are", name),
			)
		}
	} else {
		s.Profile, _ = profiles.Active()
	}
	return s, p.open(ctx, cmd, s, who, cmd.String("host"), cmd.String("token"))
}

// Other connects to the server of another profile, as that says and no flag or variable does.
func (p *Process) Other(ctx context.Context, cmd *cli.Command, s *Session, name string) (*Session, error) {
	used, ok := s.Profiles.Get(name)
	if !ok {
		return nil, exit.With(exit.NotFound,
			fmt.Errorf("config %q is not found; influx config list shows those there are", name))
	}
	other := &Session{Profiles: s.Profiles, Profile: used, Print: s.Print, Term: s.Term}
	return other, p.open(ctx, cmd, other, Authenticated, "", "")
}

// Explain says what to do about an error of this session's server.
func (s *Session) Explain(err error) error { return s.explain(err) }

// open makes the session's client for a host and a token, or else those of its profile.
func (p *Process) open(
	ctx context.Context, cmd *cli.Command, s *Session, who Identity, host, token string,
) (err error) {
	cfg := client.Config{
		Host:      FirstOf(host, s.Profile.URL, DefaultHost),
		UserAgent: p.UserAgent,
		Timeout:   timeout(cmd),
	}
	if cfg.HTTPClient, err = p.httpClient(cmd, cfg.Host); err != nil {
		return err
	}
	if who == Authenticated || who == IfKnown && hasIdentity(token, s.Profile) {
		if err := p.identify(ctx, token, s.Profile, &cfg); err != nil {
			return err
		}
		s.Known = true
	}
	s.unknown = "The server does not know this token: it is wrong, expired, inactive or deleted. Give another with " +
		"--token, INFLUX_TOKEN or influx config set"
	if cfg.Username != "" {
		s.unknown = fmt.Sprintf(
			"The server does not take the username and password of config %q; set them with influx config set -n "+
				"%[1]s -p USER",
			s.Profile.Name,
		)
	}
	if s.Client, err = client.New(cfg); err != nil {
		return exit.With(exit.Usage, err)
	}
	return nil
}

// identify chooses the token, that of the profile, or else the profile's user and password.
func (p *Process) identify(ctx context.Context, token string, used profile.Profile, cfg *client.Config) error {
	cfg.Token = FirstOf(token, used.Token)
	if cfg.Token != "" {
		return nil
	}
	if used.Cookie == "" {
		return usage.Mistake(
			"no token: give --token, set INFLUX_TOKEN, or make a profile with influx config create (a new server: " +
				"influx setup)",
		)
	}
	var err error
	if cfg.Username, cfg.Password, err = splitCookie(used); err != nil {
		return err
	}
	if cfg.Password == "" {
		cfg.Password, err = p.Term.Secret(ctx, "Please type the password of "+cfg.Username)
		if errors.Is(err, terminal.ErrNotInteractive) {
			return usage.Mistake(
				"config %q has a username without a password, and standard input is not a terminal to ask for it",
				used.Name,
			)
		}
	}
	return err
}

// hasIdentity says whether there is an identity that nobody has to be asked for.
func hasIdentity(token string, used profile.Profile) bool {
	if token != "" || used.Token != "" {
		return true
	}
	_, password, err := splitCookie(used)
	return err == nil && password != ""
}

func splitCookie(p profile.Profile) (user, password string, err error) {
	raw, err := base64.StdEncoding.DecodeString(p.Cookie)
	if err != nil {
		return "", "", fmt.Errorf(
			"config %q has a cookie that is not base64 of user:password; set it again with influx config set "+
				"-n %s -p USER",
			p.Name,
			p.Name,
		)
	}
	user, password, _ = strings.Cut(string(raw), ":")
	return user, password, nil
}

// LoadProfiles reads the profiles file that the flags name, and warns where others can read it, too.
func (p *Process) LoadProfiles(cmd *cli.Command) (*profile.File, error) {
	path := cmd.String("configs-path")
	if path == "" {
		var err error
		if path, err = profile.DefaultPath(); err != nil {
			return nil, err
		}
	}
	f, err := profile.Load(path)
	if err == nil && f.Exposed != "" {
		p.Term.Warn("Warning: %s", f.Exposed)
	}
	return f, err
}

// Printer prints the way the flags say.
func (p *Process) Printer(cmd *cli.Command) output.Printer {
	return output.Printer{Out: p.Out, AsJSON: cmd.Bool("json"), HideHeaders: cmd.Bool("hide-headers")}
}

// httpClient has the TLS of the flags, and the way to the host.
func (p *Process) httpClient(cmd *cli.Command, host string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	secure := &tls.Config{InsecureSkipVerify: cmd.Bool("skip-verify")} // asked for by its name
	cert, key := cmd.String("client-cert"), cmd.String("client-key")
	switch {
	case (cert == "") != (key == ""):
		return nil, usage.Mistake("--client-cert and --client-key go together: give both, or neither")
	case cert != "":
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, usage.Mistake("the client's certificate of --client-cert and --client-key: %v", err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	transport.TLSClientConfig = secure
	if dial := client.DialSocket(host); dial != nil {
		transport.Proxy, transport.DialContext = nil, dial
	}
	if cmd.Bool("http-debug") {
		return &http.Client{Transport: &httpdebug.Transport{Next: transport, Out: p.Err}}, nil
	}
	return &http.Client{Transport: transport}, nil
}

// FirstOf is the first of the values that is not empty.
func FirstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
