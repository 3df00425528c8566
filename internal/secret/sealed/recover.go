package sealed

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/kv"
)

// Recover finishes what an earlier process left half-done: it carries out the large changes that were committed and
// removes those that were not. Call it at a start; it looks at nothing but what is staged. Readers and writers do the
// first for their organisation anyway, so that an error here need not keep the server from starting.
func (s *Store) Recover(ctx context.Context) error {
	for after := ""; ; {
		recs, err := s.kv.List(ctx, stagedRoot, after, 1)
		if err != nil || len(recs) == 0 {
			return translate(err)
		}
		orgText, rest, _ := strings.Cut(strings.TrimPrefix(recs[0].Key, stagedRoot), "/")
		org, err := id.Parse(orgText)
		if err != nil {
			return fmt.Errorf("the record %q is of no organisation: %w", recs[0].Key, err)
		}
		if err := s.finish(ctx, org); err != nil {
			return translate(fmt.Errorf("organisation %s: %w", org, err))
		}
		// Past the whole batch; its first record may have gone with the journal.
		after = recs[0].Key
		if batch, _, isStep := strings.Cut(rest, "/"); isStep {
			if err := s.drop(ctx, org, batch); err != nil && !errors.Is(err, kv.ErrConflict) {
				return translate(fmt.Errorf("organisation %s: %w", org, err))
			}
			after = batchPrefix(org, batch) + "\xff"
		}
	}
}
