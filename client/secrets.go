package client

import (
	"context"
	"net/http"
)

// SecretKeys lists the names of the organisation's secrets, sorted.
func (c *Client) SecretKeys(ctx context.Context, orgID string) ([]string, error) {
	var out struct{ Secrets []string }
	if err := c.do(ctx, call{method: http.MethodGet, path: api("orgs", orgID, "secrets"), out: &out}); err != nil {
		return nil, err
	}
	return out.Secrets, nil
}

// SetSecrets sets all the given secrets or, where it fails, none of them. Values must be valid UTF-8, as JSON is.
func (c *Client) SetSecrets(ctx context.Context, orgID string, values map[string]string) error {
	return c.do(ctx, call{method: http.MethodPatch, path: api("orgs", orgID, "secrets"), in: values})
}

// DeleteSecrets deletes the secrets of the given keys; one that does not exist is no error.
func (c *Client) DeleteSecrets(ctx context.Context, orgID string, keys ...string) error {
	in := map[string][]string{"secrets": keys}
	return c.do(ctx, call{method: http.MethodPost, path: api("orgs", orgID, "secrets", "delete"), in: in})
}

// DeleteSecret deletes one secret by its path. InfluxDB's own server does not decode the key and keeps one that has a
// slash or a space in its name, and still answers that it deleted it: use DeleteSecrets there.
func (c *Client) DeleteSecret(ctx context.Context, orgID, key string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: api("orgs", orgID, "secrets", key)})
}
