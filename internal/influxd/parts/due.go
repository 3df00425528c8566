package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/influxd/config"
	"strongroom/internal/kv"
	"strongroom/internal/ownfile"
	"strongroom/internal/secret"
	"strongroom/internal/secret/due"
)

// Due makes who looks for secrets that should be replaced, over the records in data and those of organisations in
// identities. The key is of the records, and fault hears of what does not open. It is nil where nobody is to look.
func Due(cfg *config.Config, store secret.Store, data, identities kv.Store, key []byte, fault func(error),
	log *slog.Logger) (*due.Watch, error) {
	if cfg.Due.Every == 0 {
		return nil, nil
	}
	c := due.Config{Store: store, KV: data, Key: key, Soon: cfg.Due.Soon, Every: cfg.Due.Every, Fault: fault, Log: log,
		Orgs: func(ctx context.Context) ([]due.Org, error) {
			all, err := identity.Orgs(ctx, identities)
			orgs := make([]due.Org, len(all))
			for i, o := range all {
				orgs[i] = due.Org{ID: o.ID, Name: o.Name}
			}
			return orgs, err
		},
		Org: func(ctx context.Context, org id.ID) (due.Org, bool, error) {
			o, err := identity.OrgOf(ctx, identities, org)
			if errors.Is(err, identity.ErrOrgNotFound) {
				return due.Org{}, false, nil
			}
			return due.Org{ID: org, Name: o.Name}, err == nil, err
		}}
	if cfg.Due.Webhook != "" {
		signing, err := signingKey(cfg.Due.KeyFile)
		if err == nil {
			c.Hook, err = due.NewWebhook(cfg.Due.Webhook, signing)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cfg.Place("secret-due-webhook-key-file"), err)
		}
	}
	return due.New(c), nil
}

// maxSigningKey bounds the key's file, in bytes.
const maxSigningKey = 4 << 10

// signingKey reads a file that only we may read, without the white space around what is in it.
func signingKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is no plain file")
	}
	if err := ownfile.Secret(path, info); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxSigningKey+1))
	if err == nil && len(raw) > maxSigningKey {
		err = fmt.Errorf("is longer than %d bytes", maxSigningKey)
	}
	return bytes.TrimSpace(raw), err
}
