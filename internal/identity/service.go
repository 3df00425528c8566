package identity

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
)

// Purger removes what a store keeps for an organisation that is being deleted.
type Purger interface {
	Purge(ctx context.Context, org id.ID) error
	Check(ctx context.Context) error
}

// Config is what the service needs; KV, Audit and Secrets must be set.
type Config struct {
	KV      kv.Store
	Audit   audit.Recorder
	Secrets Purger
	Logger  *slog.Logger

	SessionLength time.Duration // 60 minutes where 0
	KeepSession   bool          // use does not renew a session
	CacheSize     int           // principals kept in memory; 131,072 where 0
	BcryptCost    int           // 10 where 0
	Now           func() time.Time
}

// Service is identity over one KV engine. Make it with New.
type Service struct {
	kv       kv.Store
	guard    *access.Guard
	secrets  Purger
	log      *slog.Logger
	now      func() time.Time
	ids      *id.Generator
	cache    *cache
	used     *usage
	pw       *passwords
	throttle *throttle

	sessionLength time.Duration
	keepSession   bool
}

// New makes the service. Run its Maintain while it is used, and Close it at the end.
func New(c Config) (*Service, error) {
	if c.KV == nil || c.Audit == nil || c.Secrets == nil {
		return nil, errors.New("identity: KV, Audit and Secrets must be set")
	}
	s := &Service{
		kv: c.KV, guard: access.NewGuard(c.Audit), secrets: c.Secrets, log: cmp.Or(c.Logger, slog.Default()), now: c.Now,
		ids: id.NewGenerator(), sessionLength: cmp.Or(c.SessionLength, time.Hour), keepSession: c.KeepSession,
	}
	if s.now == nil {
		s.now = time.Now
	}
	pw, err := newPasswords(cmp.Or(c.BcryptCost, bcryptCost))
	if err != nil {
		return nil, err
	}
	s.pw = pw
	s.throttle = newThrottle(s.now)
	s.cache = newCache(cmp.Or(c.CacheSize, 1<<17))
	s.used = newUsage()
	return s, nil
}

// Guard is the service's guard, for the other services that act for callers.
func (s *Service) Guard() *access.Guard { return s.guard }

// The layout of the keys. Each record has one home; the others index it.
//
//	user/<user>  username/<name>  password/<user>
//	org/<org>  orgname/<name>
//	member/<org>/<user>  memberof/<user>/<org>
//	auth/<auth>  authhash/<hash>  authuser/<user>/<auth>  authorg/<org>/<auth>  authused/<auth>
//	session/<hash>  sessionuser/<user>/<hash>
//	bucket/<bucket>  bucketname/<org>/<name>
//	deleting/org/<org>  deleting/user/<user>
//	setup
func key(parts ...any) string {
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteByte('/')
		}
		switch p := p.(type) { // the kinds that every request needs, without what fmt costs
		case string:
			b.WriteString(p)
		case id.ID:
			b.WriteString(p.String())
		default:
			fmt.Fprint(&b, p)
		}
	}
	return b.String()
}

// prefix is the key of a folder, its closing slash included.
func prefix(parts ...any) string { return key(parts...) + "/" }

// load reads one record; notFound is given where there is none.
func load[T any](ctx context.Context, s kv.Store, k string, notFound error) (T, kv.Record, error) {
	var v T
	r, err := s.Get(ctx, k)
	if errors.Is(err, kv.ErrNotFound) {
		return v, r, notFound
	}
	if err != nil {
		return v, r, fault(err)
	}
	v, err = decode[T](r)
	return v, r, err
}

func decode[T any](r kv.Record) (T, error) {
	var v T
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return v, fmt.Errorf("record %s: %w", r.Key, err)
	}
	return v, nil
}

// put is the operation that stores v as JSON.
func put(k string, v any) kv.Op {
	b, err := json.Marshal(v)
	if err != nil {
		panic("identity: a record that cannot be encoded: " + err.Error()) // all records are our own types
	}
	return kv.Put(k, b)
}

// scan calls f for every record below a prefix, in order, until f returns false.
func scan(ctx context.Context, s kv.Store, pre, after string, f func(kv.Record) (bool, error)) error {
	for {
		rs, err := s.List(ctx, pre, after, 512)
		if err != nil {
			return fault(err)
		}
		for _, r := range rs {
			if more, err := f(r); err != nil || !more {
				return err
			}
		}
		if len(rs) < 512 {
			return nil
		}
		after = rs[len(rs)-1].Key
	}
}

// fault gives an engine's error the code it has outside.
func fault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kv.ErrFull):
		return errs.Wrap(err, errs.InsufficientStorage, "the server's disk is full; nothing was changed")
	case errors.Is(err, kv.ErrFault):
		return errs.Wrap(err, errs.Unavailable, "the server's disk cannot be written to; the server's log says why")
	case errors.Is(err, kv.ErrClosed):
		return errs.Wrap(err, errs.Unavailable, "the server is shutting down")
	}
	return err
}

// errRetry is given by the function of update to read everything again.
var errRetry = errors.New("identity: changed meanwhile")

// update runs f, which reads, decides and writes under conditions, again while others change what it read.
func update(ctx context.Context, f func() error) error {
	for range 10 {
		err := f()
		if !errors.Is(err, errRetry) && !errors.Is(err, kv.ErrConflict) {
			return fault(err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return errs.New(errs.Conflict, "others are changing the same thing; try again")
}

// updateCached is update for what the cache holds: f runs to its end also when the caller leaves, and forget is called
// whatever comes of it (see cache).
func updateCached(ctx context.Context, forget func(), f func(context.Context) error) error {
	defer forget()
	ctx = context.WithoutCancel(ctx)
	return update(ctx, func() error { return f(ctx) })
}

// maxName bounds the names of users, organisations and buckets, in bytes.
const maxName = 512

// checkName checks a name from outside; what names the kind of thing.
func checkName(what, name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return errs.New(errs.EmptyValue, "%s name is empty", what)
	case len(name) > maxName:
		return errs.New(errs.Invalid, "%s name is longer than %d bytes", what, maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return errs.New(errs.Invalid, "%s name must be valid UTF-8 without control characters", what)
	}
	return nil
}

// maxDescription bounds descriptions, in bytes.
const maxDescription = 4096

func checkDescription(d string) error {
	if len(d) > maxDescription {
		return errs.New(errs.Invalid, "the description is longer than %d bytes", maxDescription)
	}
	if !utf8.ValidString(d) {
		return errs.New(errs.Invalid, "the description must be valid UTF-8")
	}
	return nil
}
