// Package faults makes of etcd's errors those of package kv, in words for whoever runs etcd and the server.
package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"strongroom/internal/kv"
)

// ErrLease is a transaction that etcd refused because its turn's lease has ended.
var ErrLease = errors.New("the server was out of etcd's reach for so long that its lease has ended")

// CheckTLS ends what is said of a handshake that failed.
const CheckTLS = "; check --etcd-cacert, --etcd-cert and --etcd-key, and that the members' certificates name the " +
	"hosts of --etcd-endpoints"

// Of makes of etcd's error one of package kv's. It keeps what etcd said where that is etcd's own words, and nothing
// of what the network's errors say, which name addresses.
func Of(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	var told rpctypes.EtcdError
	if errors.As(err, &told) {
		err = told
	} else if _, says, of := strings.Cut(err.Error(), " desc = "); of { // a watch ends with the wire's text
		if errors.As(rpctypes.Error(errors.New(says)), &told) {
			err = told
		}
	}
	switch {
	case errors.Is(err, rpctypes.ErrNoSpace):
		return full{worded{kv.ErrFull, "etcd has reached its quota (NOSPACE): compact and defragment it, or raise " +
			"--quota-backend-bytes, then disarm the alarm (etcdctl alarm disarm)"}}
	case errors.Is(err, rpctypes.ErrRequestTooLarge), errors.Is(err, rpctypes.ErrTooManyOps):
		return worded{kv.ErrTooLarge, "etcd has lower limits than it comes with: --max-request-bytes must be 1572864 " +
			"and --max-txn-ops 128 at least"}
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		return fmt.Errorf("%w: %w", kv.ErrUnavailable, ErrLease)
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return worded{kv.ErrDenied, "etcd denies the user the prefix of --etcd-prefix; grant it readwrite"}
	case errors.Is(err, rpctypes.ErrAuthFailed), errors.Is(err, rpctypes.ErrUserEmpty),
		errors.Is(err, rpctypes.ErrInvalidAuthToken), errors.Is(err, rpctypes.ErrUserNotFound):
		return worded{kv.ErrDenied, "etcd does not accept the user's name and password (--etcd-username, " +
			"--etcd-password-file)"}
	case errors.Is(err, rpctypes.ErrCorrupt):
		return worded{kv.ErrDenied, "etcd has found its data to be corrupt (alarm CORRUPT)"}
	}
	code := status.Code(err)
	if told.Error() != "" {
		code = told.Code()
	}
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Unknown, codes.ResourceExhausted,
		codes.Aborted:
		return worded{kv.ErrUnavailable, why(err, told)}
	case codes.Unauthenticated, codes.PermissionDenied:
		return worded{kv.ErrDenied, fmt.Sprintf("etcd refuses the server: %s", code)}
	}
	return fmt.Errorf("etcd answered with an error: %s", why(err, told))
}

// why says what kept etcd from answering.
func why(err error, told rpctypes.EtcdError) string {
	text := err.Error()
	switch {
	case told.Error() != "":
		return "etcd says: " + strings.TrimPrefix(told.Error(), "etcdserver: ") // such as "etcdserver: no leader"
	case strings.Contains(text, "certificate"), strings.Contains(text, "tls:"):
		return "the TLS handshake with etcd failed" + CheckTLS
	case strings.Contains(text, "connection refused"):
		return "no member of etcd takes connections"
	}
	return "no member of etcd answers"
}

// Unavailable is an error of an etcd that cannot be reached.
func Unavailable(words string) error { return worded{kv.ErrUnavailable, words} }

// Away is an error of one that nobody waits for any more.
func Away(words string) error { return worded{kv.ErrAway, words} }

// Passing reports whether etcd's error is one after which a read that is sent again may well be answered: the
// connection has ended, say, or etcd has another leader.
func Passing(err error) bool {
	var told rpctypes.EtcdError
	if errors.As(rpctypes.Error(err), &told) {
		return told.Code() == codes.Unavailable
	}
	return status.Code(err) == codes.Unavailable
}

// worded is an error of package kv in words for whoever runs etcd and the server.
type worded struct {
	kind  error
	words string
}

func (w worded) Error() string { return w.words }
func (w worded) Unwrap() error { return w.kind }

// full is etcd's want of room, which is no full disk of the server's.
type full struct{ worded }

// Full says so to a caller.
func (full) Full() string {
	return "the space that etcd may use is full; the server's log says what to do"
}

func (f full) Unwrap() error { return f.worded }
