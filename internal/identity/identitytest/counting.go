package identitytest

import (
	"context"
	"strings"
	"sync/atomic"

	"strongroom/internal/kv"
)

// Counting is an engine that counts the records below a prefix that it hands out.
type Counting struct {
	kv.Store
	Prefix string
	Read   atomic.Int64
}

func (s *Counting) count(recs ...kv.Record) {
	for _, r := range recs {
		if strings.HasPrefix(r.Key, s.Prefix) {
			s.Read.Add(1)
		}
	}
}

// Get is the engine's.
func (s *Counting) Get(ctx context.Context, key string) (kv.Record, error) {
	r, err := s.Store.Get(ctx, key)
	s.count(kv.Record{Key: key}) // also what is not there was looked for
	return r, err
}

// List is the engine's.
func (s *Counting) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	recs, err := s.Store.List(ctx, prefix, after, limit)
	s.count(recs...)
	return recs, err
}

// ListBack is the engine's.
func (s *Counting) ListBack(ctx context.Context, prefix, before string, limit int) ([]kv.Record, error) {
	recs, err := s.Store.ListBack(ctx, prefix, before, limit)
	s.count(recs...)
	return recs, err
}

// Skip is the engine's: what is passed over is not handed out.
func (s *Counting) Skip(ctx context.Context, prefix, from string, back bool, n int) (string, int, error) {
	return kv.Skip(ctx, s.Store, prefix, from, back, n)
}
