package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/errs"
)

// errLater marks what may mend itself: a Vault that is not up yet, or sealed.
var errLater = errors.New("vault: not now")

// Preflight checks, at start, that Vault can be reached, is unsealed, takes the token, and has a KV version 2 engine at
// the mount. A Vault that is not up or sealed is waited for, as long as patience; what only a person can mend ends it at
// once. The error says what to fix. It may name the address: it is for who starts the server.
func (s *Store) Preflight(ctx context.Context, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		err := s.preflight(ctx)
		if !errors.Is(err, errLater) || time.Now().After(deadline) {
			return err
		}
		s.log.warn("waiting for Vault", "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (s *Store) preflight(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	address := s.client.Address()
	h, err := s.client.Sys().HealthWithContext(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("Vault at %s cannot be reached; check --vault-addr (VAULT_ADDR), the network and TLS (--vault-cacert): %w", address, errors.Join(err, errLater))
	case !h.Initialized:
		return fmt.Errorf("Vault at %s is not initialized; run: vault operator init (%w)", address, errLater)
	case h.Sealed:
		return fmt.Errorf("Vault at %s is sealed; run: vault operator unseal (%w)", address, errLater)
	}
	tokenGood, err := s.checkToken(ctx)
	if err != nil {
		return err
	}
	return s.checkMount(ctx, tokenGood)
}

// checkToken reports whether the token is known to be good. A policy may forbid a token to look at itself, so a refusal
// alone proves nothing.
func (s *Store) checkToken(ctx context.Context) (bool, error) {
	_, err := s.client.Auth().Token().LookupSelfWithContext(ctx)
	var refused *api.ResponseError
	if errors.As(err, &refused) && refused.StatusCode == http.StatusForbidden {
		return false, nil
	}
	if err != nil {
		told, advice := classify(ctx, "read", err)
		return false, fmt.Errorf("looking the token up at Vault failed: %s; %s: %w", told.Msg, advice, errors.Join(err, errLater))
	}
	return true, nil
}

// checkMount asks which engine is at the mount, over the path that needs no policy of its own.
func (s *Store) checkMount(ctx context.Context, tokenGood bool) error {
	res, err := s.client.Logical().ReadWithContext(ctx, "sys/internal/ui/mounts/"+s.mount)
	var refused *api.ResponseError
	if errors.As(err, &refused) && refused.StatusCode == http.StatusForbidden {
		if !tokenGood {
			return errors.New("Vault refuses the token; set VAULT_TOKEN or --vault-token to one that is valid")
		}
		return fmt.Errorf("the token sees nothing at %[1]s/: either no engine is mounted there (vault secrets enable -path=%[1]s kv-v2), or the token's policy grants nothing below %[1]s/data/", s.mount)
	}
	if err != nil {
		told, advice := classify(ctx, "read", err)
		err = fmt.Errorf("asking Vault for the engine at %s/ failed: %s; %s: %w", s.mount, told.Msg, advice, err)
		if errs.Is(told, errs.Unavailable) {
			err = errors.Join(err, errLater)
		}
		return err
	}
	if res == nil {
		return fmt.Errorf("nothing is mounted at %[1]s/; run: vault secrets enable -path=%[1]s kv-v2", s.mount)
	}
	kind, _ := res.Data["type"].(string)
	options, _ := res.Data["options"].(map[string]any)
	version, _ := options["version"].(string)
	switch {
	case kind != "kv" && kind != "generic":
		return fmt.Errorf("the engine at %[1]s/ is %[2]q and not KV; mount one: vault secrets enable -path=%[1]s kv-v2", s.mount, kind)
	case version != "2":
		return fmt.Errorf("the engine at %[1]s/ is KV version 1, which keeps no versions to check a write against; enable kv-v2: vault kv enable-versioning %[1]s/", s.mount)
	}
	return nil
}
