package vaultapi

import (
	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity/authn"
	"strongroom/internal/vaultapi/dialect"
)

// strangers bounds how many refusals of nobody known go on record, in a second and at once: guessing must not fill the
// disk. All of them are counted in the metrics.
const (
	strangersPerSecond = 10
	strangersAtOnce    = 100
)

// identify finds out who is asking, by a token alone: no cookie opens anything here. An open path serves everybody, and
// tells more to who is known.
func (s *Server) identify(r *dialect.Request, found route) error {
	if r.Token == "" {
		if found.open {
			return nil
		}
		return s.turnAway(r, found, nil, authn.ErrUnauthorized)
	}
	p, err := s.Authn.ByTokenFrom(r.Context(), r.Token, r.Address())
	if err != nil {
		if found.open {
			return nil
		}
		return s.turnAway(r, found, p, err)
	}
	r.Caller = &access.Caller{Principal: p, Address: r.Address(), RequestID: r.ID}
	return nil
}

// turnAway puts on record that somebody was not let in, with whose the token was where that is known.
func (s *Server) turnAway(r *dialect.Request, found route, p *access.Principal, why error) error {
	if !errs.Is(why, errs.Unauthorized) && !errs.Is(why, errs.Forbidden) {
		return why
	}
	if p == nil {
		if !s.strangers.Allow() {
			return dialect.NotKnown(why)
		}
		p = &access.Principal{}
	}
	act := access.Act{Action: "authenticate", Target: r.Method + " " + Prefix + found.path}
	caller := &access.Caller{Principal: p, Address: r.Address(), RequestID: r.ID}
	return dialect.NotKnown(s.Guard.Deny(r.Context(), caller, act, why))
}
