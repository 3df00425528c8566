package conn

import (
	"context"
	"log/slog"

	"strongroom/internal/outage"
)

// reports logs what is wrong with Vault, each kind of failure as package outage does.
type reports struct{ *outage.Log }

func newReports(log *slog.Logger) reports { return reports{outage.New(log)} }

// due reports whether a failure of the kind would be logged now.
func (r reports) due(k Kind) bool { return r.Due(k.String()) }

func (r reports) failed(f failure, req Request) {
	r.Failed(context.Background(), slog.LevelError, f.kind.String(), "Vault does not serve",
		"state", told[f.kind].Msg, "request", req.Method+" "+req.Path, "detail", f.detail)
}

// recovered ends outages. A refusal for one path says nothing about another, so of those no end is told.
func (r reports) recovered() {
	if !r.Open() {
		return
	}
	for k := range Kinds {
		if k != Denied && k != Unmounted && k != Strange {
			r.Ended(k.String(), "Vault serves again", "was", told[k].Msg)
		}
	}
}
