package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// SecretInfo is what the server tells of a secret. Its value is never part of it.
type SecretInfo struct {
	Key         string          `json:"key"`
	OrgID       string          `json:"orgID"`
	Version     int             `json:"version"`
	CreatedAt   time.Time       `json:"createdAt"`
	UpdatedAt   time.Time       `json:"updatedAt"`
	UpdatedBy   string          `json:"updatedBy,omitempty"`
	LastUsedAt  *time.Time      `json:"lastUsedAt,omitempty"` // to about a minute; nil: never
	Description string          `json:"description"`
	ExpiresAt   *time.Time      `json:"expiresAt,omitempty"`
	DeletedAt   *time.Time      `json:"deletedAt,omitempty"`
	DeletedBy   string          `json:"deletedBy,omitempty"`
	KeptUntil   *time.Time      `json:"keptUntil,omitempty"` // when a deleted secret is gone for good
	Versions    []SecretVersion `json:"versions"`            // oldest first
}

// SecretVersion is one value that a secret had.
type SecretVersion struct {
	Version    int       `json:"version"`
	CreatedAt  time.Time `json:"createdAt"`
	CreatedBy  string    `json:"createdBy,omitempty"`
	Restorable bool      `json:"restorable"`
}

// Secret tells what is known of a secret, also of a deleted one that can be brought back.
func (c *Client) Secret(ctx context.Context, orgID, key string) (*SecretInfo, error) {
	var out SecretInfo
	if err := c.do(ctx, call{method: http.MethodGet, path: api("orgs", orgID, "secrets", key), out: &out}); err != nil {
		return nil, err
	}
	return &out, nil
}

// SecretInfos tells what is known of all secrets that the token may read of, without their versions. Where the server's
// store keeps no history, that is the names and the last uses. InfluxDB's own server does not answer this.
func (c *Client) SecretInfos(ctx context.Context, orgID string) ([]SecretInfo, error) {
	return c.secretInfos(ctx, orgID, nil)
}

// ExpiringSecrets tells of the secrets whose values should be replaced before a time, as SecretInfos does.
func (c *Client) ExpiringSecrets(ctx context.Context, orgID string, before time.Time) ([]SecretInfo, error) {
	return c.secretInfos(ctx, orgID, url.Values{"expiringBefore": {before.UTC().Format(time.RFC3339)}})
}

func (c *Client) secretInfos(ctx context.Context, orgID string, query url.Values) ([]SecretInfo, error) {
	var out struct{ Secrets []SecretInfo }
	if err := c.do(ctx, call{method: http.MethodGet, path: api("orgs", orgID, "secret-infos"), query: query,
		out: &out}); err != nil {
		return nil, err
	}
	for i := range out.Secrets {
		out.Secrets[i].OrgID = orgID
	}
	return out.Secrets, nil
}

// SecretUsage is how much an organisation has of what it may have. A bound of 0 is none; Bytes is nil where they are
// not counted.
type SecretUsage struct {
	Secrets    int64  `json:"secrets"`
	MaxSecrets int64  `json:"maxSecrets,omitempty"`
	Bytes      *int64 `json:"bytes,omitempty"`
	MaxBytes   int64  `json:"maxBytes,omitempty"`
}

// SecretUsage tells how many secrets the organisation has, and may have. InfluxDB's own server does not answer this.
func (c *Client) SecretUsage(ctx context.Context, orgID string) (*SecretUsage, error) {
	var out SecretUsage
	if err := c.do(ctx, call{method: http.MethodGet, path: api("orgs", orgID, "secret-usage"), out: &out}); err != nil {
		return nil, err
	}
	return &out, nil
}

// DeletedSecrets lists the deleted secrets that can be brought back.
func (c *Client) DeletedSecrets(ctx context.Context, orgID string) ([]SecretInfo, error) {
	var out struct{ Secrets []SecretInfo }
	if err := c.do(ctx, call{method: http.MethodGet, path: api("orgs", orgID, "deleted-secrets"),
		out: &out}); err != nil {
		return nil, err
	}
	return out.Secrets, nil
}

// DeletedSecretPages is DeletedSecrets, some at a time, each time as they are then: so many that they should not all be
// in memory. It ends with the first error.
func (c *Client) DeletedSecretPages(ctx context.Context, orgID string) iter.Seq2[[]SecretInfo, error] {
	return c.secretPages(ctx, api("orgs", orgID, "deleted-secrets"))
}

// SecretInfoPages is SecretInfos, as DeletedSecretPages is DeletedSecrets.
func (c *Client) SecretInfoPages(ctx context.Context, orgID string) iter.Seq2[[]SecretInfo, error] {
	return func(yield func([]SecretInfo, error) bool) {
		for page, err := range c.secretPages(ctx, api("orgs", orgID, "secret-infos")) {
			for i := range page {
				page[i].OrgID = orgID
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

// secretsPage is how many secrets are asked for at a time.
const secretsPage = 500

// secretPages gives page after page. A server that knows no pages gives all as one, without a link to another.
func (c *Client) secretPages(ctx context.Context, path string) iter.Seq2[[]SecretInfo, error] {
	return func(yield func([]SecretInfo, error) bool) {
		query := url.Values{"limit": {strconv.Itoa(secretsPage)}}
		for {
			var out struct {
				Links   Links
				Secrets []SecretInfo
			}
			err := c.do(ctx, call{method: http.MethodGet, path: path, query: query, out: &out})
			if err != nil {
				yield(nil, err)
				return
			}
			n := len(out.Secrets)
			if !yield(out.Secrets, nil) || out.Links["next"] == "" || n == 0 {
				return
			}
			last := out.Secrets[n-1].Key
			if last <= query.Get("after") {
				yield(nil, errors.New("the pages of secrets do not come to an end"))
				return
			}
			query.Set("after", last)
		}
	}
}

// RestoreSecret sets the value of an earlier version as a new one. Version 0 brings back a deleted secret.
func (c *Client) RestoreSecret(ctx context.Context, orgID, key string, version int) error {
	in := map[string]int{"version": version}
	return c.do(ctx, call{method: http.MethodPost, path: api("orgs", orgID, "secrets", key, "restore"), in: in})
}

// DescribeSecret replaces a secret's description and the date at which its value should have been
// replaced; zero is none.
func (c *Client) DescribeSecret(ctx context.Context, orgID, key, description string, expires time.Time) error {
	in := struct {
		Description string     `json:"description"`
		ExpiresAt   *time.Time `json:"expiresAt,omitempty"`
	}{Description: description}
	if !expires.IsZero() {
		in.ExpiresAt = &expires
	}
	return c.do(ctx, call{method: http.MethodPut, path: api("orgs", orgID, "secrets", key, "description"), in: in})
}
