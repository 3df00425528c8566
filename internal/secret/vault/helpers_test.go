package vault

import (
	"context"

	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// useOne reads one value for use.
func useOne(ctx context.Context, s secret.Store, org id.ID, key string) (secret.Value, error) {
	values, err := useQuery(ctx, s, org, secret.Query{Keys: []string{key}, ForUse: true})
	if err != nil {
		return secret.Value{}, err
	}
	v, ok := values[key]
	if !ok {
		return v, secret.NotFound(key)
	}
	return v, nil
}

// useAll reads for use the values of the secrets that want takes.
func useAll(ctx context.Context, s secret.Store, org id.ID, want func(string) bool) (map[string]secret.Value, error) {
	return useQuery(ctx, s, org, secret.Query{Want: want, ForUse: true})
}

func useQuery(ctx context.Context, s secret.Store, org id.ID, q secret.Query) (map[string]secret.Value, error) {
	snap, err := s.Read(ctx, org, q)
	if err != nil {
		return nil, err
	}
	values := make(map[string]secret.Value, len(snap.Secrets))
	for key, got := range snap.Secrets {
		values[key] = got.Value
	}
	return values, nil
}

// errOf is how a call ended.
func errOf[T any](_ T, err error) error { return err }
