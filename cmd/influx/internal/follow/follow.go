// Package follow waits for other values of secrets, as long as that takes: commands that run for ever go on with what
// they have while the server is away.
package follow

import (
	"context"
	"errors"
	"time"

	"strongroom/client"
)

// Values are those of some secrets of one organisation.
type Values struct {
	Client *client.Client
	OrgID  string
	// Warn is told once what keeps us from knowing.
	Warn func(format string, args ...any)
	// Keys are those of the secrets, at the time; none is all.
	Keys func() []string
	// Take takes values, and gives those that the next are to follow.
	Take func(client.SecretSet) (client.SecretSet, error)
	// Gone, where it is there, is told that one of the secrets is not.
	Gone func()
	// Due, where it is there, says when Again is to be called, whether there are new values or not; the zero time is
	// never.
	Due   func() time.Time
	Again func()

	failed int // times in a row
}

const longestPause = time.Minute

// Follow takes each of the values that follow set, until ctx ends. What goes wrong is tried again.
func (v *Values) Follow(ctx context.Context, set client.SecretSet) {
	for ctx.Err() == nil {
		next, err := v.next(ctx, set)
		var refused *client.Error
		switch {
		case err == nil:
			if next, err = v.Take(next); err == nil {
				set = next
			}
		case errors.Is(err, errDue):
			v.Again()
			continue
		case v.Gone != nil && errors.As(err, &refused) && refused.Code == client.CodeNotFound:
			v.Gone()
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			v.failed = 0
			continue
		case v.failed == 0:
			v.Warn("Warning: what is there stays as it is: %s", err)
		}
		v.failed = min(v.failed+1, 6)
		v.pause(ctx, time.Now().Add(min(time.Second<<v.failed, longestPause)))
	}
}

// errDue is what next gives where Again is due.
var errDue = errors.New("something else is due")

// next waits for the values that follow set, or until Again is due.
func (v *Values) next(ctx context.Context, set client.SecretSet) (client.SecretSet, error) {
	at := v.due()
	if at.IsZero() {
		return v.Client.NextSecretSet(ctx, v.OrgID, set, v.Keys()...)
	}
	bound, cancel := context.WithDeadline(ctx, at)
	defer cancel()
	next, err := v.Client.NextSecretSet(bound, v.OrgID, set, v.Keys()...)
	if err != nil && bound.Err() != nil && ctx.Err() == nil {
		return next, errDue
	}
	return next, err
}

// pause waits until then, and calls Again meanwhile where that is due.
func (v *Values) pause(ctx context.Context, until time.Time) {
	for ctx.Err() == nil {
		end, again := until, false
		if at := v.due(); !at.IsZero() && at.Before(until) {
			end, again = at, true
		}
		timer := time.NewTimer(time.Until(end))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		if !again {
			return
		}
		v.Again()
	}
}

func (v *Values) due() time.Time {
	if v.Due == nil {
		return time.Time{}
	}
	return v.Due()
}
