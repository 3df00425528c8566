package conn

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"strongroom/internal/outage"
)

// reports logs what is wrong with Vault, each kind of failure as package outage does.
type reports struct {
	*outage.Log
	log *slog.Logger
}

func newReports(log *slog.Logger) reports { return reports{outage.New(log), log} }

// due reports whether a failure of the kind would be logged now.
func (r reports) due(k Kind) bool { return r.Due(k.String()) }

func (r reports) failed(f failure, req Request) {
	r.Failed(context.Background(), slog.LevelError, f.kind.String(), "Vault does not serve",
		"state", told[f.kind].Msg, "request", req.Method+" "+req.Path, "detail", f.detail)
}

// recovered ends outages: what was begun at a time was served. A refusal for one path says nothing about another, so of
// those no end is told.
func (r reports) recovered(begun time.Time) {
	if !r.Open() {
		return
	}
	ended, lasted := r.Served(begun, endings...)
	if len(ended) == 0 {
		return
	}
	was := make([]string, len(ended))
	for i, kind := range ended {
		was[i] = told[kindNamed(kind)].Msg
	}
	r.log.Info("Vault serves again", "was", strings.Join(was, "; "), "for", outage.Words(lasted))
}

// endings are the kinds whose end is told.
var endings = func() (all []string) {
	for k := range Kinds {
		if k != Denied && k != Unmounted && k != Strange {
			all = append(all, k.String())
		}
	}
	return all
}()

func kindNamed(name string) Kind {
	for k := range Kinds {
		if k.String() == name {
			return k
		}
	}
	return Failing
}
