package kv2

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"strongroom/internal/secret/vault/conn"
)

// Keeping is how long Vault keeps what is written, and how many versions of it, as the settings of a
// mount or an entry say.
type Keeping struct {
	After       string `json:"delete_version_after"` // a duration; 0s where Vault deletes nothing by itself
	MaxVersions int    `json:"max_versions"`         // 0: not said
}

// Ends is after what time Vault deletes a version; ok is false where it does not.
func (k Keeping) Ends() (after time.Duration, ok bool) {
	after, err := time.ParseDuration(k.After)
	return after, err == nil && after > 0
}

// Keeping reads the mount's settings. known is false where the token may not.
func (l Location) Keeping(ctx context.Context) (k Keeping, known bool, err error) {
	r := conn.Request{Method: http.MethodGet, Kind: "config", Path: l.Mount + "/config", Needs: "read", Optional: true}
	odd := false
	err = l.Raw(ctx, r, nil, func(a Answer) bool {
		answer := struct{ Data *Keeping }{&k}
		odd = json.Unmarshal(a.Body, &answer) != nil
		return a.Status == http.StatusOK
	})
	switch {
	case conn.Is(err, conn.Denied), conn.Is(err, conn.Unmounted), conn.Is(err, conn.Strange):
		return k, false, nil
	}
	return k, err == nil && !odd, err
}
