package rotation

import (
	"context"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/keyring"
	"strongroom/internal/seal"
	"strongroom/internal/secret/embedded/rewrite"
)

// Status is what operators may know. It holds no key.
type Status struct {
	Seal struct {
		Type  string    `json:"type"`
		KeyID string    `json:"keyID,omitempty"` // tells keys apart; a passphrase has none
		Since time.Time `json:"since"`           // of the root key and the seal around it
		// Restart says what to configure before the next start, where it would not open the data as it is.
		Restart string `json:"restart,omitempty"`
	} `json:"seal"`
	Term     uint32   `json:"term"` // seals now
	Terms    []Term   `json:"terms"`
	Rotation Rotation `json:"rotation"`
	Names    string   `json:"names"` // how the names of secrets are kept
}

// Term is one generation of the data keys.
type Term struct {
	Term    uint32    `json:"term"`
	Created time.Time `json:"created"`
}

// The states of a rotation.
const (
	Idle    = "idle"    // all data are of the current term
	Running = "running" // data are being sealed anew
	Waiting = "waiting" // that failed and will be tried again
)

// The forms of the names of secrets.
const (
	NamesClear     = "clear"
	NamesSealed    = "sealed"
	NamesSealing   = "sealing"   // what comes is sealed, what is there is being sealed
	NamesUnsealing = "unsealing" // the other way round
)

// NamesOf says in which form the names are.
func NamesOf(k *keyring.Keyring) string {
	switch n := k.Names(); {
	case n.Form == keyring.Clear && n.Moving:
		return NamesUnsealing
	case n.Form == keyring.Clear:
		return NamesClear
	case n.Moving && n.From == keyring.Clear:
		return NamesSealing
	}
	return NamesSealed
}

// Rotation is how far the data have been sealed anew since the last change of the term, or of the form of names.
type Rotation struct {
	State string `json:"state"`
	rewrite.Progress
	Message string `json:"message,omitempty"`
}

// Status tells what the data are sealed with and how far a rotation is.
func (s *Service) Status(ctx context.Context, c *access.Caller) (Status, error) {
	if err := s.Guard.Allow(ctx, c, access.Act{Action: "seal.read"}, access.ReadServer); err != nil {
		return Status{}, err
	}
	return s.status(), nil
}

func (s *Service) status() Status {
	var out Status
	out.Seal.Type, out.Seal.KeyID = s.Keyring.SealedBy()
	out.Seal.Since = s.Keyring.RootSince().UTC()
	out.Seal.Restart = s.restart(out.Seal.Type, out.Seal.KeyID)
	out.Term = s.Keyring.Term()
	out.Names = NamesOf(s.Keyring)
	for _, t := range s.Keyring.Terms() {
		out.Terms = append(out.Terms, Term{t.Number, t.Created.UTC()})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Rotation = s.rotation
	return out
}

// restart says what to configure before the next start, where that is not what this one was started with.
func (s *Service) restart(by, keyID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.Configured == nil, s.Keyring.Elsewhere() && s.Keyring.KeyKept(context.Background()) == nil:
		return ""
	case s.Configured.Type() != by:
		return "set --seal " + by +
			" and what belongs to it before the next start: the configuration still names the " + s.Configured.Type()
	case keyID != s.openedBy:
		return "name the new key with " + s.Configured.Setting() +
			" before the next start: the configuration still names the " + s.Configured.String()
	case by == seal.TypePassphrase && s.passphrase:
		return "put the new passphrase in the place of the former before the next start: the configuration names the " +
			s.Configured.String()
	}
	return ""
}
