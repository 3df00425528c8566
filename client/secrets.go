package client

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
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

// SetSecrets sets all the given secrets or, where it fails, none of them. Keys and values must be valid UTF-8, as JSON
// is; anything else is refused before it is sent, since JSON would put other characters in its place.
func (c *Client) SetSecrets(ctx context.Context, orgID string, values map[string]string) error {
	return c.setSecrets(ctx, orgID, values, "")
}

// CreateSecrets sets secrets of which none exists yet. Where one does, nothing is changed, and the Error has
// CodePreconditionFailed. The token must be one that may read the keys, too. InfluxDB's own server
// ignores the condition.
func (c *Client) CreateSecrets(ctx context.Context, orgID string, values map[string]string) error {
	return c.setSecrets(ctx, orgID, values, "If-None-Match")
}

// ReplaceSecrets sets secrets that exist, each of them, as CreateSecrets sets those that do not.
func (c *Client) ReplaceSecrets(ctx context.Context, orgID string, values map[string]string) error {
	return c.setSecrets(ctx, orgID, values, "If-Match")
}

// setSecrets sets them on a condition, which is a header whose value is "*".
func (c *Client) setSecrets(ctx context.Context, orgID string, values map[string]string, condition string) error {
	for key, value := range values {
		if err := validKeys(key); err != nil {
			return err
		}
		if err := validValue(key, value); err != nil {
			return err
		}
	}
	return c.do(ctx, call{method: http.MethodPatch, path: api("orgs", orgID, "secrets"), in: values,
		condition: condition, again: condition == ""})
}

// SetSecretAt sets a secret that is at the version, SecretInfo.Version, and 0 for one that is not there. It returns the
// version that the secret then has. Where the secret has another, nothing is changed, and the Error has
// CodePreconditionFailed. The token must be one that may read the secret or use it, too. InfluxDB's own server ignores
// the condition.
func (c *Client) SetSecretAt(ctx context.Context, orgID, key, value string, version int) (int, error) {
	if err := validKeys(key); err != nil {
		return 0, err
	}
	if err := validValue(key, value); err != nil {
		return 0, err
	}
	var tag string
	err := c.do(ctx, call{method: http.MethodPatch, path: api("orgs", orgID, "secrets"),
		in: map[string]string{key: value}, at: &version, tag: &tag})
	if err != nil {
		return 0, err
	}
	now, err := strconv.Atoi(strings.Trim(tag, `"`))
	if err != nil {
		return 0, fmt.Errorf("%s set the secret and told no version: it does not know conditions", c.host)
	}
	return now, nil
}

// DeleteSecretAt deletes a secret that is at the version, as SetSecretAt sets one.
func (c *Client) DeleteSecretAt(ctx context.Context, orgID, key string, version int) error {
	if err := validKeys(key); err != nil {
		return err
	}
	return c.do(ctx, call{method: http.MethodDelete, path: api("orgs", orgID, "secrets", key), at: &version})
}

// DeleteSecrets deletes the secrets of the given keys; one that does not exist is no error.
func (c *Client) DeleteSecrets(ctx context.Context, orgID string, keys ...string) error {
	if err := validKeys(keys...); err != nil {
		return err
	}
	in := map[string][]string{"secrets": keys}
	return c.do(ctx, call{method: http.MethodPost, path: api("orgs", orgID, "secrets", "delete"), in: in,
		again: true})
}

// DeleteSecret deletes one secret by its path. InfluxDB's own server does not decode the key and keeps one that has a
// slash or a space in its name, and still answers that it deleted it: use DeleteSecrets there.
func (c *Client) DeleteSecret(ctx context.Context, orgID, key string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: api("orgs", orgID, "secrets", key)})
}

func validValue(key, value string) error {
	if !utf8.ValidString(value) {
		return fmt.Errorf("the value of %q is not text in UTF-8, which is all a secret can be; encode it, for example "+
			"with base64", key)
	}
	return nil
}

func validKeys(keys ...string) error {
	for _, key := range keys {
		if !utf8.ValidString(key) {
			return fmt.Errorf("the key %q is not text in UTF-8", key)
		}
	}
	return nil
}
