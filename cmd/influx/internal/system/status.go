package system

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/session"
)

// Status is the command influx status.
func Status(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "Show how the server, its secret store and its seal are, and what needs attention",
		Description: `Needs no token. With an operator's, shows the seal and the kind of the secret store, too. Ends
with 0 where the server can serve, even if something needs attention.`,
		Flags:  session.CommonFlags(),
		Action: p.Connected(session.IfKnown, showStatus),
	}
}

// status is what is known of a server. What the token may not see stays nil or empty.
type status struct {
	Host      string               `json:"host"`
	Status    string               `json:"status"` // pass or fail
	Message   string               `json:"message"`
	Version   string               `json:"version"`
	Commit    string               `json:"commit,omitempty"`
	Started   *time.Time           `json:"started,omitempty"`
	SetUp     bool                 `json:"setUp"`
	Store     string               `json:"secretStore,omitempty"` // as --secret-store names it
	Checks    []client.HealthCheck `json:"checks"`
	Seal      *client.SealStatus   `json:"seal,omitempty"`
	Attention []string             `json:"attention"`

	unseen string // why seal and store are not shown
}

func showStatus(ctx context.Context, _ *cli.Command, s *session.Session) error {
	st, err := readStatus(ctx, s)
	if err != nil {
		return err
	}
	if s.Print.AsJSON {
		err = s.Print.JSON(st)
	} else {
		err = s.Print.Table([]string{"Part", "State", "Detail"}, st.rows())
	}
	if err == nil && st.Status != "pass" {
		err = exit.With(exit.Unreachable, fmt.Errorf("%s is not healthy: %s", st.Host, st.Message))
	}
	return err
}

func readStatus(ctx context.Context, s *session.Session) (*status, error) {
	h, err := s.Client.Health(ctx)
	if h == nil {
		return nil, err
	}
	st := &status{
		Host: s.Client.Host(), Status: h.Status, Message: h.Message, Version: h.Version, Commit: h.Commit,
		Checks: h.Checks, SetUp: true, Attention: []string{},
	}
	for _, c := range h.Checks {
		if c.Status != "pass" {
			st.Attention = append(st.Attention, c.Name+": "+session.FirstOf(c.Message, c.Status))
		}
	}
	if ready, err := s.Client.Ready(ctx); err == nil {
		st.Started = &ready.Started
	}
	if open, err := s.Client.SetupAllowed(ctx); err == nil && open {
		st.SetUp = false
		st.Attention = append(
			st.Attention,
			"set-up: nobody has set the server up, and whoever comes first can; run influx setup",
		)
	}
	if err := st.readForOperators(ctx, s); err != nil {
		return nil, err
	}
	return st, nil
}

// readForOperators adds what an operator's token shows. That it is denied, or not there, is no failure.
func (st *status) readForOperators(ctx context.Context, s *session.Session) error {
	if !s.Known {
		st.unseen = "not shown without a token"
		return nil
	}
	settings, err := s.Client.ServerConfig(ctx)
	if err == nil {
		st.Store, _ = settings["secret-store"].(string)
		st.Seal, err = s.Client.Seal(ctx)
	}
	var refused *client.Error
	switch {
	case err == nil:
	case errors.As(err, &refused) && exit.Of(err) == exit.Denied:
		st.unseen = "shown to operators: " + refused.Message
		return nil
	case errors.As(err, &refused):
		st.unseen = refused.Message
		return nil
	default:
		return err
	}
	if st.Seal.Seal.Restart != "" {
		st.Attention = append(st.Attention, "seal: "+st.Seal.Seal.Restart)
	}
	if r := st.Seal.Rotation; r.State == "waiting" || r.Message != "" {
		st.Attention = append(st.Attention, "rotation: "+session.FirstOf(r.Message, r.State))
	}
	return nil
}

func (st *status) rows() [][]string {
	since := ""
	if st.Started != nil {
		since = ", up since " + st.Started.UTC().Format(time.RFC3339)
	}
	rows := [][]string{{"server", st.Status, st.Host + ", version " + st.Version + since}}
	for _, c := range st.Checks {
		detail := c.Message
		if c.Name == "secret-store" && st.Store != "" {
			kind := st.Store
			if kind == "bolt" { // InfluxDB's word, which names a file that there may not be
				kind = "embedded"
			}
			detail = session.FirstOf(detail, kind)
		}
		rows = append(rows, []string{c.Name, c.Status, detail})
	}
	if seal := st.Seal; seal != nil {
		rows = append(
			rows,
			[]string{
				"seal",
				seal.Seal.Type,
				fmt.Sprintf(
					"root key since %s, term %d of the data keys, names of secrets %s",
					seal.Seal.Since.UTC().Format(time.RFC3339),
					seal.Term,
					seal.Names,
				),
			},
			[]string{"rotation", seal.Rotation.State, seal.Rotation.Message},
		)
	} else {
		rows = append(rows, []string{"seal", "unknown", st.unseen})
	}
	for _, line := range st.Attention {
		rows = append(rows, []string{"attention", "", line})
	}
	return rows
}
