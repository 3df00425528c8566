package vault

import (
	"context"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
)

// maxReady bounds the places that are looked at for whether requests are served.
const maxReady = 8

// Check reports whether a request now would be served: Vault is there, the engine is mounted, and the token may read.
// It reads the entry of an organisation that nobody has, or, where the policies name organisations one by one, asks
// what they give. Of several places one must serve; the others' organisations are told by their own requests.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := s.conn.Bound(ctx)
	defer cancel()
	var first error
	looked := make(map[Place]bool)
	for _, p := range s.places.All() {
		at := Place{Mount: p.Mount, Namespace: p.Namespace, Layout: p.Layout, Path: p.Path}
		if looked[at] || len(looked) >= maxReady {
			continue
		}
		looked[at] = true
		err := s.serves(ctx, p)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
		if !conn.Is(err, conn.Denied) && !conn.Is(err, conn.Unmounted) && !conn.Is(err, conn.Strange) {
			return err // which is so of all
		}
	}
	return first
}

// serves reports why the place serves no organisation; nil where it does.
func (s *Store) serves(ctx context.Context, p Place) error {
	at := example(p, s.conn)
	err := at.Serves(ctx)
	if err == nil {
		s.served.Store(at.In("data"), true)
		return nil
	}
	if !conn.Is(err, conn.Denied) {
		return err
	}
	some, known := anyone(ctx, at, "data", []string{"read"})
	switch {
	case known && some:
		return nil
	case known:
		return err
	}
	if _, before := s.served.Load(at.In("data")); before || s.conn.DeniedLast() {
		return err
	}
	return nil // as far as one may know
}

// example is the place of an organisation that nobody has, or of a secret of it.
func example(p Place, c *conn.Conn) kv2.Location {
	at := p.Example(c)
	if p.Layout == kv2.LayoutSecret {
		return at.Below("name")
	}
	return at
}

// proves reports whether Vault serves a token, which the client has, in some place.
func (s *Store) proves(ctx context.Context, client *api.Client) bool {
	for i, p := range s.places.All() {
		if i >= maxReady {
			break
		}
		at := example(p, s.conn)
		if at.Namespace != client.Namespace() {
			continue // the session's client is for its own
		}
		at.Client = client
		if at.Answers(ctx) {
			return true
		}
		if some, known := anyone(ctx, at, "data", []string{"read"}); known && some {
			return true
		}
	}
	return false
}
