// Package rotation lets operators look at what the embedded data are sealed with, change the seal, and rotate the keys
// while the server runs.
package rotation

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/seal"
	"strongroom/internal/secret/embedded/rewrite"
)

// retryAfter is how long a rewriting that failed (a full disk, say) waits before it goes on.
const retryAfter = time.Minute

// Target is the seal to change to. With no Type it is the present one, which then wraps a new root key.
type Target struct {
	Type string `json:"type"` // one of package seal's
	// KeyFile is the path of the key file on the server; it is made where it is missing.
	KeyFile string `json:"keyFile"`
	// Passphrase is the new passphrase; without it, the one the server's configuration names.
	Passphrase string `json:"passphrase"`
	// TransitKey is the name of the key in Vault and TransitMount where its engine is mounted; without them, those that
	// the server's configuration names. Which Vault, and how to log in there, is the configuration's alone to say:
	// whoever could name another would be sent the server's token.
	TransitKey   string `json:"transitKey"`
	TransitMount string `json:"transitMount"`
}

// Detail says for the record what a change of the seal does: which seal there is, and which comes. Nothing in it is
// secret.
func Detail(keys *keyring.Keyring, to Target) string {
	kind, keyID := keys.SealedBy()
	was := kind
	if keyID != "" {
		was += " " + keyID
	}
	if to.Type == "" {
		return "a new root key under the same seal, " + was
	}
	next := to.Type
	for _, more := range []string{to.KeyFile, to.TransitKey} {
		if more != "" {
			next += " " + more
		}
	}
	if to.TransitMount != "" {
		next += " in " + to.TransitMount
	}
	return "from " + was + " to " + next
}

// Superfluous is a field that is set and not of the target's type, or "".
func (t Target) Superfluous() string {
	for _, f := range []struct{ name, value, of string }{
		{"keyFile", t.KeyFile, seal.TypeKeyFile},
		{"passphrase", t.Passphrase, seal.TypePassphrase},
		{"transitKey", t.TransitKey, seal.TypeTransit},
		{"transitMount", t.TransitMount, seal.TypeTransit},
	} {
		if f.value != "" && t.Type != f.of {
			return f.name
		}
	}
	return ""
}

// Rewriter seals the data anew: embedded.Store.
type Rewriter interface {
	Rewrite(ctx context.Context, report func(rewrite.Progress)) (term uint32, err error)
}

// Config is what the service is made of.
type Config struct {
	Keyring  *keyring.Keyring
	Rewriter Rewriter
	Guard    *access.Guard
	// Configured is the seal that the next start would use, as its String says it, and its type.
	Configured seal.Source
	// RotateAfter is how many values are sealed under a term before the next begins by itself; 0 is
	// a half of what is safe.
	RotateAfter uint64
	// SealNames says whether the names of secrets are to be sealed; nil leaves them as they are.
	SealNames *bool
	// Seal makes the seal that a change asks for. What it refuses with a code is shown to the caller.
	Seal   func(ctx context.Context, to Target) (seal.Seal, error)
	Logger *slog.Logger
	Now    func() time.Time // nil is the wall clock
}

// Service shows what the data are sealed with, changes the seal and rotates the keys. Run must run for a rotation to
// get anywhere.
type Service struct {
	Config
	wake     chan struct{}
	openedBy string // the ID of the key that opened the data at the start

	mu         sync.Mutex
	changing   bool      // a Rotate or Change is under way
	passphrase bool      // a request has brought a new one
	lost       error     // of the seal's key, as the latest look at it found
	saved      time.Time // when the count of sealed values was last kept
	rotation   Rotation
}

// New makes the service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.RotateAfter == 0 {
		c.RotateAfter = rotateAfter
	}
	s := &Service{Config: c, wake: make(chan struct{}, 1), rotation: Rotation{State: Idle}}
	_, s.openedBy = c.Keyring.SealedBy()
	if len(c.Keyring.Terms()) > 1 || c.Keyring.Names().Moving {
		s.start()
	}
	return s
}

// BeginNames has the names of secrets sealed from now on, or unsealed, as the configuration says, and what is there in
// the background. While a rotation that an earlier process began is under way, it begins when that is done. Call it
// before serving, so that what comes is of the right form from the first on.
func (s *Service) BeginNames(ctx context.Context) error {
	begun, err := s.beginNames(ctx)
	if begun {
		s.start()
	}
	return err
}

func (s *Service) beginNames(ctx context.Context) (begun bool, err error) {
	if s.SealNames == nil {
		return false, nil
	}
	begun, err = s.Keyring.SealNames(ctx, *s.SealNames)
	if errors.Is(err, keyring.ErrRotating) {
		return false, nil
	}
	if begun {
		s.Logger.InfoContext(ctx, "the names of secrets go to another form", "names", NamesOf(s.Keyring))
	}
	return begun, err
}

// Rotate begins a new term and has everything sealed anew in the background. errs.Conflict while an earlier rotation is
// still at that, or the names of secrets go to another form.
func (s *Service) Rotate(ctx context.Context, c *access.Caller) (Status, error) {
	act := access.Act{Action: "seal.rotate"}
	if err := s.Guard.Allow(ctx, c, act, access.WriteServer); err != nil {
		return Status{}, err
	}
	err := s.rotate(ctx)
	return s.status(), s.Guard.Done(ctx, c, act, err)
}

func (s *Service) rotate(ctx context.Context) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	if len(s.Keyring.Terms()) > 1 {
		return errs.New(errs.Conflict, "a rotation is under way; GET /api/v2/seal tells how far it is")
	}
	term, err := s.Keyring.Rotate(ctx, s.Now())
	if errors.Is(err, keyring.ErrMoving) {
		return errs.Wrap(err, errs.Conflict, "the names of secrets are being sealed, or unsealed; GET /api/v2/seal "+
			"tells how far that is")
	}
	if errors.Is(err, kv.ErrUnknown) {
		return errs.Wrap(err, errs.Unavailable, "it is not known whether a rotation has begun, since the storage "+
			"failed; the server's log says why. GET /api/v2/seal tells it once the storage works again; after a "+
			"fault of the disk the server must be started again for that")
	}
	if err != nil {
		return err
	}
	s.Logger.InfoContext(ctx, "a new term of the data keys began", "term", term)
	s.start()
	return nil
}

// Change makes a new root key, wrapped by the seal that the target names.
func (s *Service) Change(ctx context.Context, c *access.Caller, to Target) (Status, error) {
	act := access.Act{Action: "seal.change", Target: to.Type, Detail: Detail(s.Keyring, to)}
	if err := s.Guard.Allow(ctx, c, act, access.WriteServer); err != nil {
		return Status{}, err
	}
	err := s.change(ctx, to)
	if err != nil {
		s.Logger.WarnContext(ctx, "the seal was not changed", "to", to.Type, "error", err)
	}
	return s.status(), s.Guard.Done(ctx, c, act, err)
}

func (s *Service) change(ctx context.Context, to Target) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	var next seal.Seal
	if to.Type != "" {
		var err error
		if next, err = s.Seal(ctx, to); err != nil {
			return err
		}
	} else if to.Superfluous() != "" {
		return errs.New(errs.Invalid, "type is missing: the seal to change to")
	} else if err := s.Keyring.KeyKept(ctx); err != nil {
		return errs.Wrap(err, errs.Unprocessable, "the present seal's key is lost, and a new root key would be with "+
			"it: put the key back, or change to another seal (influx seal change --to key-file with a new path); the "+
			"server's log says what is wrong")
	}
	if err := s.Keyring.Reseal(ctx, next, s.Now()); errors.Is(err, seal.ErrWrap) {
		return errs.Wrap(err, errs.Unprocessable, "the seal does not take a new root key; the server's log says why")
	} else if errors.Is(err, kv.ErrUnknown) {
		return errs.Wrap(err, errs.Unavailable, "it is not known whether the seal was changed, since the storage "+
			"failed; the server's log says why. Keep the former key and the new one until the storage works again "+
			"and GET /api/v2/seal tells which of them is in use; after a fault of the disk the server must be "+
			"started again for that")
	} else if err != nil {
		return err
	}
	s.mu.Lock()
	s.passphrase = s.passphrase || to.Passphrase != ""
	s.mu.Unlock()
	sealType, keyID := s.Keyring.SealedBy()
	s.Logger.InfoContext(ctx, "the data have a new root key", "seal", sealType, "key", keyID)
	return nil
}

// begin keeps two changes of the keys apart.
func (s *Service) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changing {
		return errs.New(errs.Conflict, "another change of the keys is under way; try again")
	}
	s.changing = true
	return nil
}

func (s *Service) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changing = false
}

func (s *Service) start() {
	s.set(Rotation{State: Running})
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Service) set(r Rotation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rotation = r
}

// Run seals anew what rotations have made old, until ctx ends. It goes on with what an earlier process left.
func (s *Service) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		for {
			err := s.Finish(ctx)
			if err == nil || ctx.Err() != nil {
				break
			}
			s.Logger.ErrorContext(ctx, "sealing the data anew stopped and will go on in a minute", "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(retryAfter):
			}
		}
	}
}

// Finish seals anew what is of older terms and drops them, and brings the names of secrets to the form that they are to
// have. Run does so by itself.
func (s *Service) Finish(ctx context.Context) error {
	for {
		if err := s.finish(ctx); err != nil {
			return err
		}
		begun, err := s.beginNames(ctx)
		if err != nil {
			s.set(Rotation{State: Waiting, Message: errs.Message(err)})
		}
		if err != nil || !begun {
			return err
		}
	}
}

func (s *Service) finish(ctx context.Context) error {
	last := rewrite.Progress{}
	s.set(Rotation{State: Running})
	term, err := s.Rewriter.Rewrite(ctx, func(r rewrite.Progress) {
		last = r
		s.set(Rotation{State: Running, Progress: r})
	})
	if err == nil {
		err = s.Keyring.Retire(ctx, term)
	}
	if err != nil {
		s.set(Rotation{State: Waiting, Progress: last, Message: errs.Message(err)})
		return err
	}
	s.set(Rotation{State: Idle, Progress: last})
	s.Logger.InfoContext(ctx, "the data are sealed under the new term, and the old ones are gone", "term", term,
		"records", last.Records, "names", NamesOf(s.Keyring))
	return nil
}
