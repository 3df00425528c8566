// Package user gets etcd's tokens for the user that a store is.
package user

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/faults"
)

const (
	fresh   = time.Second // for how long a token is given to all who ask, unless etcd refuses it
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

// New makes one for a password that etcd may take, and that may be another later. The client is made with Watched, and
// then given to Serve.
func New(password func() (string, error), good string) *Auth {
	return &Auth{password: password, good: good}
}

// Serve has the client ask through this one.
func (u *Auth) Serve(client *clientv3.Client) { u.Auth, client.Auth = client.Auth, u }

// Authenticate implements clientv3.Auth. The client gives the password that it began with.
func (u *Auth) Authenticate(ctx context.Context, name, _ string) (*clientv3.AuthenticateResponse, error) {
	if last := u.fresh(); last != nil {
		return last, nil
	}
	// Whoever leaves leaves the answer to the next one.
	asked := u.asking.DoChan(name, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
		defer cancel()
		return u.ask(context.WithValue(ctx, sendingKey{}, (*Sending)(nil)), name) // which is no attempt of the call
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

// Watched is a client's option that has every answer looked at: a token that etcd does not take any more is given to
// nobody. The client would send it again and again, until the call's time is over and nobody knows what became of it.
func (u *Auth) Watched() grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
		invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		sent := time.Now()
		sending, _ := ctx.Value(sendingKey{}).(*Sending)
		sending.begins()
		err := invoke(ctx, method, req, reply, cc, opts...)
		if told := rpctypes.Error(err); errors.Is(told, rpctypes.ErrInvalidAuthToken) ||
			errors.Is(told, rpctypes.ErrAuthOldRevision) || errors.Is(told, rpctypes.ErrUserEmpty) {
			u.refused(sent)
			sending.refused()
		}
		return err
	})
}

// refused forgets the last token if a call that was sent then had it. One from later may be good.
func (u *Auth) refused(sent time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at.Before(sent) {
		u.last = nil
	}
}

// Sending is what has become of the attempts of one call.
type Sending struct {
	open atomic.Int32 // that have begun, and were not refused for their token
}

type sendingKey struct{}

// Sending gives the context for one call, and what is known of it. Where there is no user, nothing is.
func (u *Auth) Sending(ctx context.Context) (context.Context, *Sending) {
	if u == nil {
		return ctx, nil
	}
	s := new(Sending)
	return context.WithValue(ctx, sendingKey{}, s), s
}

// Unsent reports whether etcd has certainly not done what was asked: the call has ended while it waited for a token, or
// with one that etcd had refused.
func (s *Sending) Unsent() bool { return s != nil && s.open.Load() == 0 }

func (s *Sending) begins() {
	if s != nil {
		s.open.Add(1)
	}
}

func (s *Sending) refused() {
	if s != nil {
		s.open.Add(-1)
	}
}
