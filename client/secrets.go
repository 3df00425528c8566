package client

import (
	"context"
	"fmt"
	"net/http"
	"unicode/utf8"
)

// SecretKeys lists the names of the organisation's secrets, sorted.
func (c *Client) SecretKeys(ctx context.Context, orgID string) ([]string, error) {
	var out struct{ Secrets []string }
	if err := c.do(ctx, call{method: http.MethodGet, path: api("orgs", orgID, "secrets"), out: &out}); err != nil {
		return nil, err
	}
	return out.Secrets, nil
}

// SetSecrets sets all the given secrets or, where it fails, none of them. Keys and values must be valid UTF-8, as JSON is;
// anything else is refused before it is sent, since JSON would put other characters in its place.
func (c *Client) SetSecrets(ctx context.Context, orgID string, values map[string]string) error {
	for key, value := range values {
		if err := validKeys(key); err != nil {
			return err
		}
		if !utf8.ValidString(value) {
			return fmt.Errorf("the value of %q is not text in UTF-8, which is all a secret can be; encode it, for example with base64", key)
		}
	}
	return c.do(ctx, call{method: http.MethodPatch, path: api("orgs", orgID, "secrets"), in: values})
}

// DeleteSecrets deletes the secrets of the given keys; one that does not exist is no error.
func (c *Client) DeleteSecrets(ctx context.Context, orgID string, keys ...string) error {
	if err := validKeys(keys...); err != nil {
		return err
	}
	in := map[string][]string{"secrets": keys}
	return c.do(ctx, call{method: http.MethodPost, path: api("orgs", orgID, "secrets", "delete"), in: in})
}

// DeleteSecret deletes one secret by its path. InfluxDB's own server does not decode the key and keeps one that has a
// slash or a space in its name, and still answers that it deleted it: use DeleteSecrets there.
func (c *Client) DeleteSecret(ctx context.Context, orgID, key string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: api("orgs", orgID, "secrets", key)})
}

func validKeys(keys ...string) error {
	for _, key := range keys {
		if !utf8.ValidString(key) {
			return fmt.Errorf("the key %q is not text in UTF-8", key)
		}
	}
	return nil
}
