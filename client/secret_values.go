package client

import (
	"context"
	"net/http"
	"net/url"
)

// SecretValues gives the values of the named secrets, all of them or none; without names, of all that the token may
// use. It takes a token that may use secrets: influx auth create --use-secret. The Error of a secret that is not there,
// or that the token may not use, has CodeNotFound. InfluxDB's own server gives no values.
func (c *Client) SecretValues(ctx context.Context, orgID string, keys ...string) (map[string]Secret, error) {
	if err := validKeys(keys...); err != nil {
		return nil, err
	}
	var out map[string]string
	r := call{method: http.MethodGet, path: api("orgs", orgID, "secret-values"), out: &out}
	if len(keys) > 0 {
		r.query = url.Values{"key": keys}
	}
	if err := c.do(ctx, r); err != nil {
		return nil, err
	}
	values := make(map[string]Secret, len(out))
	for key, text := range out {
		values[key] = NewSecret(text)
	}
	return values, nil
}

// SecretValue gives one value, as SecretValues does.
func (c *Client) SecretValue(ctx context.Context, orgID, key string) (Secret, error) {
	if err := validKeys(key); err != nil {
		return Secret{}, err
	}
	var out struct{ Value string }
	err := c.do(ctx, call{method: http.MethodGet, path: api("orgs", orgID, "secret-values", key), out: &out})
	return NewSecret(out.Value), err
}
