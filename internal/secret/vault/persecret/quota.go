package persecret

import (
	"context"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/queue"
)

// withinQuota refuses those changes with which the organisation would have too many secrets. It goes by the list as it
// is a moment before: several servers, and what restores secrets, can pass the quota by what they write at that time.
// How large the values are is not known without reading them all, and is not bounded here.
func (s *Store) withinQuota(ctx context.Context, org id.ID, items []*queue.Item) (admitted []*queue.Item) {
	sets := false
	for _, it := range items {
		sets = sets || len(it.Change.Set) > 0
	}
	if !sets {
		return items
	}
	keys, err := s.Keys(ctx, org)
	there := make(map[string]bool, len(keys))
	for _, k := range keys {
		there[k] = true
	}
	for _, it := range items {
		if err != nil {
			it.Answer(queue.ForCallers(err))
			continue
		}
		more, less := []string{}, 0
		for k := range it.Change.Set {
			if !there[k] {
				more = append(more, k)
			}
		}
		for _, k := range it.Change.Delete {
			if there[k] {
				less++
			}
		}
		n := int64(len(there))
		refused := s.quota.Allows(secret.Amount{Secrets: n + int64(len(more)-less)}, secret.Amount{Secrets: n})
		if refused != nil {
			it.Answer(refused)
			continue
		}
		for _, k := range more {
			there[k] = true
		}
		for _, k := range it.Change.Delete {
			delete(there, k)
		}
		admitted = append(admitted, it)
	}
	return admitted
}
