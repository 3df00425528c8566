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

	failed int // times in a row
}

const longestPause = time.Minute

// Follow takes each of the values that follow set, until ctx ends. What goes wrong is tried again.
func (v *Values) Follow(ctx context.Context, set client.SecretSet) {
	for {
		next, err := v.Client.NextSecretSet(ctx, v.OrgID, set, v.Keys()...)
		var refused *client.Error
		switch {
		case err == nil:
			if next, err = v.Take(next); err == nil {
				set = next
			}
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
		timer := time.NewTimer(min(time.Second<<v.failed, longestPause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
