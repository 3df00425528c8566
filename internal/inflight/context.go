package inflight

import "context"

// Key is the key of a request's share among the values of its context.
type Key struct{}

// In is a context whose work holds what the share does. The share is of one goroutine, and so is the work that holds.
func In(ctx context.Context, s *Share) context.Context { return context.WithValue(ctx, Key{}, s) }

// More has the request whose context it is hold so many bytes more, or fewer, until it is answered. It gives
// errs.Unavailable where there is no room. What is no request's work has no bound.
func More(ctx context.Context, bytes int64) error {
	if s, ok := ctx.Value(Key{}).(*Share); ok {
		return s.More(bytes)
	}
	return nil
}
