package secret

import (
	"context"

	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// infoSize is about what an Info takes in memory without its texts and versions, in bytes, and versionSize a version.
const (
	infoSize    = 400
	versionSize = 120
)

// SizeOf is about how many bytes of memory what is known of secrets takes.
func SizeOf(infos []Info) (size int64) {
	for i := range infos {
		size += infoSize + int64(len(infos[i].Key)+len(infos[i].Text)+versionSize*len(infos[i].Versions))
	}
	return size
}

// UsageOf tells how much an organisation has in a store, and errs.NotImplemented where that does not count.
func UsageOf(ctx context.Context, s Store, org id.ID) (Usage, error) {
	counted, ok := As[Counted](s)
	if !ok {
		return Usage{}, errs.New(errs.NotImplemented, "the secret store does not count what there is")
	}
	return counted.Usage(ctx, org)
}
