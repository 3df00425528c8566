// Package user gets etcd's tokens for the user that a store is.
package user

import (
	"context"
	"errors"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/singleflight"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/faults"
)

const (
	fresh   = time.Second // for how long a token is given to all who ask
	askTime = 5 * time.Second
)

// Auth asks for etcd's tokens with the password as it is by then, or with the last one that etcd has taken: one of the
// two, etcd and whoever renews the file, is first. Calls that find at once that their token has ended ask once: etcd
// takes a tenth of a second of CPU for each password.
type Auth struct {
	clientv3.Auth
	password func() (string, error)
	asking   singleflight.Group

	mu   sync.Mutex
	good string
	last *clientv3.AuthenticateResponse
	at   time.Time
}

// New makes one of a client's own, for a password that etcd has taken and may be another later.
func New(client clientv3.Auth, password func() (string, error), good string) *Auth {
	return &Auth{Auth: client, password: password, good: good}
}

// Authenticate implements clientv3.Auth. The client gives the password that it began with.
func (u *Auth) Authenticate(ctx context.Context, name, _ string) (*clientv3.AuthenticateResponse, error) {
	if last := u.fresh(); last != nil {
		return last, nil
	}
	// Whoever leaves leaves the answer to the next one.
	asked := u.asking.DoChan(name, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
		defer cancel()
		return u.ask(ctx, name)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-asked:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*clientv3.AuthenticateResponse), nil
	}
}

func (u *Auth) fresh() *clientv3.AuthenticateResponse {
	u.mu.Lock()
	defer u.mu.Unlock()
	if time.Since(u.at) > fresh {
		return nil
	}
	return u.last
}

func (u *Auth) ask(ctx context.Context, name string) (*clientv3.AuthenticateResponse, error) {
	u.mu.Lock()
	good := u.good
	u.mu.Unlock()
	now, err := u.password()
	if err != nil { // as while the file is written
		now = good
	}
	res, err := u.Auth.Authenticate(ctx, name, now)
	if err != nil && now != good && errors.Is(faults.Of(ctx, err), kv.ErrDenied) {
		now = good
		res, err = u.Auth.Authenticate(ctx, name, now)
	}
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.good, u.last, u.at = now, res, time.Now()
	return res, nil
}
