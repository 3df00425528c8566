// Package throttle slows down who guesses passwords and tokens.
package throttle

import (
	"sync"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/peer"
)

// Throttle slows down the guessing of passwords. Each account at one address has a budget of tries, and so have each
// account and each address as a whole, larger ones, so that many addresses cannot share out the guessing of one
// account, nor one address go through many accounts. A good sign-in gives its try back. Tokens are not affected, so
// that nobody can lock out a machine.
type Throttle struct {
	mu     sync.Mutex
	now    func() time.Time
	budget map[string]*budget
}

// budget refills with time up to its size.
type budget struct {
	left  float64
	at    time.Time
	limit limit
}

// limit is a budget's size in tries and how long one takes to come back.
type limit struct {
	size   float64
	refill time.Duration
}

var (
	limitPair    = limit{10, 10 * time.Second}
	limitAccount = limit{100, time.Second}
	limitAddress = limit{50, 2 * time.Second}
	limitToken   = limit{200, time.Second}
)

// maxBudgets bounds the memory: a budget takes some 100 bytes besides the account's name, which is at most MaxName.
const maxBudgets = 30_000

// New makes a throttle by the clock.
func New(now func() time.Time) *Throttle {
	return &Throttle{now: now, budget: make(map[string]*budget)}
}

// Allow takes a try, or gives errs.TooManyRequests where there is none left.
func (t *Throttle) Allow(account, address string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	all := t.of(account, address, now)
	for _, b := range all {
		if b.left < 1 {
			return b.wait("too many failed sign-ins")
		}
	}
	for _, b := range all {
		b.left--
	}
	return nil
}

// wait says when the next try comes back.
func (b *budget) wait(why string) error {
	wait := time.Duration((1-b.left)*float64(b.limit.refill)).Truncate(time.Second) + time.Second
	e := errs.New(errs.TooManyRequests, "%s; try again in %s", why, wait)
	e.RetryAfter = wait
	return e
}

// AllowToken takes an address's try at a token that is not known, or gives errs.TooManyRequests
// where there is none left.
func (t *Throttle) AllowToken(address string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.token(address)
	if b.left < 1 {
		return b.wait("too many tokens that are not known")
	}
	b.left--
	return nil
}

// TokenKnown gives the try back.
func (t *Throttle) TokenKnown(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.token(address)
	b.left = min(b.left+1, b.limit.size)
}

func (t *Throttle) token(address string) *budget {
	now := t.now()
	if len(t.budget) > maxBudgets {
		t.shrink(now)
	}
	return t.one("t\x00"+peer.Network(address), limitToken, now)
}

// Succeeded gives the try back.
func (t *Throttle) Succeeded(account, address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range t.of(account, address, t.now()) {
		b.left = min(b.left+1, b.limit.size)
	}
}

func (t *Throttle) of(account, address string, now time.Time) [3]*budget {
	if len(account) > identity.MaxName {
		account = account[:identity.MaxName]
	}
	address = peer.Network(address)
	if len(t.budget) > maxBudgets {
		t.shrink(now)
	}
	return [3]*budget{
		t.one("p\x00"+account+"\x00"+address, limitPair, now),
		t.one("u\x00"+account, limitAccount, now),
		t.one("a\x00"+address, limitAddress, now),
	}
}

func (t *Throttle) one(k string, l limit, now time.Time) *budget {
	b, ok := t.budget[k]
	if !ok {
		b = &budget{left: l.size, at: now, limit: l}
		t.budget[k] = b
		return b
	}
	if d := now.Sub(b.at); d > 0 {
		b.left = min(l.size, b.left+float64(d)/float64(l.refill))
		b.at = now
	}
	return b
}

// shrink forgets the budgets that are full again, and, where that is not enough, any.
func (t *Throttle) shrink(now time.Time) {
	for k, b := range t.budget {
		if b.left+float64(now.Sub(b.at))/float64(b.limit.refill) >= b.limit.size {
			delete(t.budget, k)
		}
	}
	for k := range t.budget {
		if len(t.budget) <= maxBudgets*3/4 {
			break
		}
		delete(t.budget, k)
	}
}
