package authn

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// OpenedSession is what is told of a session. It is named by the beginning of its token's hash, which opens nothing.
type OpenedSession struct {
	Name    string
	Opened  time.Time
	Ends    time.Time // without a use until then
	Address string    // of the client that signed in; "" where it was not kept
	Current bool      // the one of the token that was given
}

// sessionName is how many characters of a hash name a session among those of one user, who has some hundreds at most.
const sessionName = 16

// Sessions lists a user's open sessions, the newest first. Users see their own; others' take the permission to change
// the user. The token, where there is one, marks the session that asks.
func (s *Service) Sessions(ctx context.Context, c *access.Caller, user id.ID, token string) ([]OpenedSession, error) {
	act := access.Act{Action: "sessions.list", Target: user.String()}
	if err := s.guard.Allow(ctx, c, act, toEnd(c, user)...); err != nil {
		return nil, err
	}
	all, err := s.sessions(ctx, user)
	current := identity.HashOf(token)
	for i := range all {
		all[i].Current = token != "" && all[i].Name == current.String()[:sessionName]
	}
	return all, s.guard.Done(ctx, c, act, err)
}

// EndSession ends one of a user's sessions, by its name. One that has ended already is no error.
func (s *Service) EndSession(ctx context.Context, c *access.Caller, user id.ID, name string) error {
	act := access.Act{Action: "sessions.end", Target: user.String()}
	if len(name) != sessionName {
		return s.guard.Deny(ctx, c, act, errs.New(errs.Invalid, "a session is named by %d characters", sessionName))
	}
	if err := s.guard.Allow(ctx, c, act, toEnd(c, user)...); err != nil {
		return err
	}
	folder := record.Folder("sessionuser", user)
	err := record.ScanFound(ctx, s.kv, folder+name, func(r kv.Record) (bool, error) {
		var h identity.Hash
		if n, err := hex.Decode(h[:], []byte(record.Last(r.Key))); err != nil || n != len(h) {
			return true, nil
		}
		return true, s.endSession(ctx, user, h)
	})
	return s.guard.Done(ctx, c, act, err)
}

// toEnd is what a caller needs to see and end the user's sessions.
func toEnd(c *access.Caller, user id.ID) []access.Permission {
	if c.UserID == user && user.Valid() {
		return nil
	}
	return []access.Permission{access.To(access.Write, access.Resource{Type: access.Users, ID: user})}
}

func (s *Service) sessions(ctx context.Context, user id.ID) ([]OpenedSession, error) {
	var hashes, keys []string
	if err := record.ScanFound(ctx, s.kv, record.Folder("sessionuser", user), func(r kv.Record) (bool, error) {
		if hash := record.Last(r.Key); len(hash) > sessionName {
			hashes, keys = append(hashes, hash), append(keys, record.Key("session", hash))
		}
		return true, nil
	}); err != nil {
		return nil, err
	}
	opened, err := record.Finds[identity.Session](ctx, s.kv, keys)
	all := []OpenedSession{}
	for i, n := range opened {
		if n != nil && s.now().Before(n.ExpiresAt) { // or it has just ended
			all = append(all, OpenedSession{Name: hashes[i][:sessionName], Opened: n.CreatedAt, Ends: n.ExpiresAt,
				Address: n.Address})
		}
	}
	slices.SortStableFunc(all, func(a, b OpenedSession) int { return b.Opened.Compare(a.Opened) })
	return all, err
}
