package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/vault/api"
)

// errNotYet marks what may mend itself: a Vault that is not up yet, sealed or not initialised.
var errNotYet = errors.New("not yet")

// start checks that Vault is there, unsealed, takes the token, and has a KV engine of version 2 at the mount. What only a
// person can mend ends it at once; for the rest it waits as long as patience.
func (s *Store) start(ctx context.Context, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for said := false; ; said = true {
		err := s.check(ctx)
		if !errors.Is(err, errNotYet) || time.Now().After(deadline) {
			return err
		}
		if !said {
			s.log.Warn("waiting for Vault", "for", patience.String(), "reason", err.Error())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (s *Store) check(ctx context.Context) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	address := s.client.Address()
	health, err := s.client.Sys().HealthWithContext(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("Vault at %s cannot be reached; check --vault-addr (VAULT_ADDR), the network, and for TLS --vault-cacert: %w", address, errors.Join(err, errNotYet))
	case !health.Initialized:
		return fmt.Errorf("Vault at %s is not initialised; run: vault operator init: %w", address, errNotYet)
	case health.Sealed:
		return fmt.Errorf("Vault at %s is sealed; run: vault operator unseal: %w", address, errNotYet)
	}
	_, err = s.client.Auth().Token().LookupSelfWithContext(ctx)
	if err != nil && !isStatus(err, http.StatusForbidden) {
		return fmt.Errorf("looking the token up at Vault failed: %w", errors.Join(err, errNotYet))
	}
	s.mayLookUp = err == nil // a policy may forbid it, so a refusal alone proves nothing
	return s.checkMount(ctx)
}

// checkMount asks which engine is at the mount, over the path that needs no policy of its own.
func (s *Store) checkMount(ctx context.Context) error {
	res, err := s.client.Logical().ReadWithContext(ctx, "sys/internal/ui/mounts/"+s.mount)
	switch {
	case isStatus(err, http.StatusForbidden) && !s.mayLookUp:
		return errors.New("Vault refuses the token; give a valid one with VAULT_TOKEN or --vault-token")
	case isStatus(err, http.StatusForbidden):
		return fmt.Errorf("the token sees nothing at %[1]s/: either no engine is mounted there (vault secrets enable -path=%[1]s kv-v2), or its policies grant nothing on %[1]s/data/*", s.mount)
	case err != nil:
		return fmt.Errorf("asking Vault for the engine at %s/ failed: %w", s.mount, errors.Join(err, errNotYet))
	case res == nil:
		return fmt.Errorf("nothing is mounted at %[1]s/; run: vault secrets enable -path=%[1]s kv-v2", s.mount)
	}
	return checkEngine(s.mount, res)
}

func checkEngine(mount string, res *api.Secret) error {
	engine, _ := res.Data["type"].(string)
	options, _ := res.Data["options"].(map[string]any)
	version, _ := options["version"].(string)
	switch {
	case engine != "kv" && engine != "generic":
		return fmt.Errorf("the engine at %[1]s/ is %[2]q and not KV; mount one: vault secrets enable -path=%[1]s kv-v2", mount, engine)
	case version != "2":
		return fmt.Errorf("the engine at %[1]s/ is KV version 1, which has no check-and-set; enable version 2: vault kv enable-versioning %[1]s/", mount)
	}
	return nil
}
