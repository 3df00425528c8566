package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/httpdebug"
	"strongroom/cmd/influx/internal/output"
	"strongroom/cmd/influx/internal/profile"
	"strongroom/cmd/influx/internal/terminal"
)

// defaultHost is where influxd listens unless told otherwise. (The original CLI of later years has port 8086.)
const defaultHost = "http://localhost:9999"

// app is what all commands share: the process's own standard streams.
type app struct {
	term *terminal.Terminal
	out  io.Writer
	err  io.Writer
}

func newApp(stdin *os.File, stdout, stderr io.Writer) *app {
	return &app{term: terminal.New(stdin, stderr), out: stdout, err: stderr}
}

// session is a command's connection to the server.
type session struct {
	client   *client.Client
	profiles *profile.File
	profile  profile.Profile // the one in use; empty where there is none
	print    output.Printer
	term     *terminal.Terminal
}

// identity says whether a command speaks to the server as someone.
type identity bool

const (
	anonymous     identity = false
	authenticated identity = true
)

type sessionFunc func(context.Context, *cli.Command, *session) error

// connected makes a command's action of a function that needs the server.
func (a *app) connected(who identity, f sessionFunc) cli.ActionFunc {
	return func(ctx context.Context, cmd *cli.Command) error {
		s, err := a.connect(ctx, cmd, who)
		if err != nil {
			return err
		}
		defer func() {
			// A session of one command has no use afterwards. Where this fails it expires by itself.
			_ = s.client.SignOut(context.WithoutCancel(ctx))
		}()
		return f(ctx, cmd, s)
	}
}

func (a *app) connect(ctx context.Context, cmd *cli.Command, who identity) (*session, error) {
	profiles, err := a.loadProfiles(cmd)
	if err != nil {
		return nil, err
	}
	s := &session{profiles: profiles, print: a.printer(cmd), term: a.term}
	if name := cmd.String("active-config"); name != "" {
		var ok bool
		if s.profile, ok = profiles.Get(name); !ok {
			return nil, fmt.Errorf("config %q is not found; influx config list shows those there are", name)
		}
	} else {
		s.profile, _ = profiles.Active()
	}
	cfg := client.Config{
		Host:       firstOf(cmd.String("host"), s.profile.URL, defaultHost),
		UserAgent:  fmt.Sprintf("influx/%s (%s) strongroom", version, runtime.GOOS),
		HTTPClient: a.httpClient(cmd),
	}
	if who == authenticated {
		if err := a.identify(ctx, cmd, s.profile, &cfg); err != nil {
			return nil, err
		}
	}
	s.client, err = client.New(cfg)
	return s, err
}

// identify chooses the token of the flag, the environment or the profile, or else the profile's user and password.
func (a *app) identify(ctx context.Context, cmd *cli.Command, p profile.Profile, cfg *client.Config) error {
	cfg.Token = firstOf(cmd.String("token"), p.Token)
	if cfg.Token != "" {
		return nil
	}
	if p.Cookie == "" {
		return errors.New("no token: give --token, set INFLUX_TOKEN, or make a profile with influx config create (a new server: influx setup)")
	}
	var err error
	if cfg.Username, cfg.Password, err = splitCookie(p); err != nil {
		return err
	}
	if cfg.Password == "" {
		cfg.Password, err = a.term.Secret(ctx, "Please type the password of "+cfg.Username)
		if errors.Is(err, terminal.ErrNotInteractive) {
			return fmt.Errorf("config %q has a username without a password, and standard input is not a terminal to ask for it", p.Name)
		}
	}
	return err
}

func splitCookie(p profile.Profile) (user, password string, err error) {
	raw, err := base64.StdEncoding.DecodeString(p.Cookie)
	if err != nil {
		return "", "", fmt.Errorf("config %q has a cookie that is not base64 of user:password; set it again with influx config set -n %s -p USER", p.Name, p.Name)
	}
	user, password, _ = strings.Cut(string(raw), ":")
	return user, password, nil
}

func (a *app) loadProfiles(cmd *cli.Command) (*profile.File, error) {
	path := cmd.String("configs-path")
	if path == "" {
		var err error
		if path, err = profile.DefaultPath(); err != nil {
			return nil, err
		}
	}
	f, err := profile.Load(path)
	if err == nil && f.Exposed {
		a.term.Warn("Warning: other users can read %s, and it holds tokens; run: chmod 600 %s", path, path)
	}
	return f, err
}

func (a *app) printer(cmd *cli.Command) output.Printer {
	return output.Printer{Out: a.out, AsJSON: cmd.Bool("json"), HideHeaders: cmd.Bool("hide-headers")}
}

func (a *app) httpClient(cmd *cli.Command) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if cmd.Bool("skip-verify") {
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // asked for by name
	}
	if cmd.Bool("http-debug") {
		return &http.Client{Transport: &httpdebug.Transport{Next: transport, Out: a.err}}
	}
	return &http.Client{Transport: transport}
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
