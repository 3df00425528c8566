package client

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

// SecretValues gives the values of the named secrets, all of them or none; without names, of all that the token may
// use. It takes a token that may use secrets: influx auth create --use-secret. The Error of a secret that is not there,
// or that the token may not use, has CodeNotFound. InfluxDB's own server gives no values.
func (c *Client) SecretValues(ctx context.Context, orgID string, keys ...string) (map[string]Secret, error) {
	set, err := c.secretSet(ctx, orgID, keys, "", 0)
	return set.Values, err
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

// SecretSet is the values of several secrets at one moment.
type SecretSet struct {
	Values map[string]Secret
	tag    string // the server's, for "these values"
}

// SecretSet gives the values as SecretValues does, so that NextSecretSet can wait for others.
func (c *Client) SecretSet(ctx context.Context, orgID string, keys ...string) (SecretSet, error) {
	return c.secretSet(ctx, orgID, keys, "", 0)
}

// errNotModified is the answer to a caller who has what there is.
var errNotModified = errors.New("not modified")

// The pauses of NextSecretSet, in which up to half is added at random.
const (
	pauseEqual = 2 * time.Second // where the server, of another version, does not wait
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
)

// NextSecretSet waits until the values are not those of last any more, and gives the new ones. As long as the server
// cannot be reached or is unavailable it goes on trying. It returns ctx's error, and the Error of any other refusal:
// CodeNotFound where one of the secrets is not there any more.
func (c *Client) NextSecretSet(ctx context.Context, orgID string, last SecretSet, keys ...string) (SecretSet, error) {
	pause := firstPause
	for {
		// It goes on trying by itself.
		set, err := c.secretSet(ctx, orgID, keys, last.tag, max(1, min(25*time.Second, c.timeout*3/4)))
		var refused *Error
		switch {
		case err == nil && !maps.Equal(set.Values, last.Values):
			return set, nil
		case err == nil:
			last.tag = set.tag
			pause = pauseEqual
		case errors.Is(err, errNotModified):
			pause = 0
		case ctx.Err() != nil:
			return SecretSet{}, ctx.Err()
		case errors.Is(err, ErrUnreachable), errors.As(err, &refused) && mayPass(refused.StatusCode):
			pause = min(max(2*pause, firstPause), lastPause)
		default:
			return SecretSet{}, err
		}
		if pause > 0 {
			timer := time.NewTimer(pause + rand.N(pause/2))
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return SecretSet{}, ctx.Err()
			}
		}
	}
}

// mayPass says whether the same request may be answered later.
func mayPass(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusBadGateway ||
		status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// secretSet reads values, or waits for others than those of the tag.
func (c *Client) secretSet(
	ctx context.Context, orgID string, keys []string, known string, wait time.Duration,
) (SecretSet, error) {
	if err := validKeys(keys...); err != nil {
		return SecretSet{}, err
	}
	var out map[string]string
	set := SecretSet{}
	r := call{method: http.MethodGet, path: api("orgs", orgID, "secret-values"), out: &out, query: url.Values{},
		known: known, tag: &set.tag, once: wait > 0}
	if len(keys) > 0 {
		r.query["key"] = keys
	}
	if known != "" && wait > 0 {
		r.query.Set("watch", wait.String())
	}
	if err := c.do(ctx, r); err != nil {
		return SecretSet{}, err
	}
	set.Values = make(map[string]Secret, len(out))
	for key, text := range out {
		set.Values[key] = NewSecret(text)
	}
	return set, nil
}
