package parts

import (
	"context"
	"log/slog"

	"strongroom/internal/barrier"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/embedded/rewrite"
)

// Rewriter seals anew, after a rotation of the keys, everything that is sealed by the keyring.
type Rewriter struct {
	Identities *barrier.Store
	Secrets    *embedded.Store
	Log        *slog.Logger
}

// Rewrite seals anew what was sealed before the current term, and gives that term; see embedded.Store. A
// record of a user or a token that does not open is told and left: nobody can seal it anew, and it must not
// keep the old keys in use.
func (r Rewriter) Rewrite(ctx context.Context, report func(rewrite.Progress)) (uint32, error) {
	err := r.Identities.Rewrite(ctx, func(key string) {
		r.Log.ErrorContext(ctx, "a record does not open, and is left as it is: run influxd check, and restore it "+
			"from a backup", "record", key)
	})
	if err != nil {
		return 0, err
	}
	return r.Secrets.Rewrite(ctx, report)
}
