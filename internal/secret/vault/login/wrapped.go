package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// unwrapper takes secret IDs out of wrapped answers, each once: Vault gives it out once, and a log-in needs it each
// time. A session logs in once at a time.
type unwrapper struct {
	keep      bool   // give Wrapped in place of unwrapping
	prefix    string // of the path that the answer must come from
	token     string // the last that was unwrapped
	unwrapped string
}

// wrappingToken is the form of Vault's (hvs.…) and OpenBao's (s.…) tokens. Secret IDs are UUIDs, if one does not choose
// them oneself.
var wrappingToken = regexp.MustCompile(`^(hvs|s)\.[A-Za-z0-9_-]{20,}$`)

// Wrapped is the error of a log-in that leaves a wrapped secret ID as it is, which is good for as long.
type Wrapped struct{ Left time.Duration }

func (w Wrapped) Error() string {
	return "the wrapped secret ID is left as it is; it is good for " + Words(w.Left)
}

// secretID is the secret ID itself, out of its wrapping where it has one.
func (u *unwrapper) secretID(ctx context.Context, client *api.Client, given string) (string, error) {
	switch {
	case !wrappingToken.MatchString(given):
		return given, nil
	case given == u.token:
		return u.unwrapped, nil
	}
	about, err := client.Logical().WriteWithContext(ctx, "sys/wrapping/lookup", map[string]any{"token": given})
	var refused *api.ResponseError
	if errors.As(err, &refused) && refused.StatusCode < 500 {
		return "", errors.New("the wrapped secret ID has been unwrapped before, or has expired; if it was not this " +
			"server that unwrapped it, somebody else has it: revoke it, and give another with --vault-auth-secret-id")
	}
	if err != nil {
		return "", err
	}
	// Who can put a wrapping token in its place could have us log in as somebody else.
	path, _ := about.Data["creation_path"].(string)
	if !strings.HasPrefix(path, u.prefix) || !strings.HasSuffix(path, "/secret-id") {
		return "", fmt.Errorf("the wrapping token of --vault-auth-secret-id was not made for a secret ID of this "+
			"mount (%s<role>/secret-id) but by %q; take it as an attack until you know better", u.prefix, path)
	}
	if u.keep {
		created, _ := about.Data["creation_time"].(string)
		ttl, _ := about.Data["creation_ttl"].(json.Number)
		seconds, _ := ttl.Int64()
		left := time.Duration(seconds) * time.Second
		if at, err := time.Parse(time.RFC3339Nano, created); err == nil {
			left = max(0, min(left, time.Until(at.Add(left))))
		}
		return "", Wrapped{left}
	}
	answer, err := client.Logical().UnwrapWithContext(ctx, given)
	if err != nil {
		return "", fmt.Errorf("unwrapping the secret ID: %w", err)
	}
	id, _ := answer.Data["secret_id"].(string)
	if id == "" {
		return "", errors.New("the wrapped answer of --vault-auth-secret-id holds no secret ID")
	}
	u.token, u.unwrapped = given, id
	return id, nil
}
