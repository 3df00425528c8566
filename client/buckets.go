package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Bucket is a bucket's record.
type Bucket struct {
	ID             string          `json:"id,omitempty"`
	OrgID          string          `json:"orgID,omitempty"`
	Type           string          `json:"type,omitempty"`
	Description    string          `json:"description,omitempty"`
	Name           string          `json:"name"`
	RetentionRules []RetentionRule `json:"retentionRules"`
	CreatedAt      *time.Time      `json:"createdAt,omitempty"`
	UpdatedAt      *time.Time      `json:"updatedAt,omitempty"`
	Links          Links           `json:"links,omitempty"`
	Labels         json.RawMessage `json:"labels,omitempty"` // passed through
}

// RetentionRule says how long a bucket keeps data; no rule, or 0, is for ever.
type RetentionRule struct {
	Type                      string `json:"type"`
	EverySeconds              int64  `json:"everySeconds"`
	ShardGroupDurationSeconds int64  `json:"shardGroupDurationSeconds,omitempty"`
}

// BucketFilter narrows a list of buckets; its zero value is all of them. Limit 0 is no limit.
type BucketFilter struct {
	OrgID, Org, ID, Name string
	Offset, Limit        int
}

// Buckets lists buckets, fetching page after page.
func (c *Client) Buckets(ctx context.Context, f BucketFilter) ([]Bucket, error) {
	query := params("orgID", f.OrgID, "org", f.Org, "id", f.ID, "name", f.Name)
	return pages(query, f.Limit, f.Offset, func(b Bucket) string { return b.ID }, func(q url.Values) ([]Bucket, error) {
		var out struct{ Buckets []Bucket }
		err := c.do(ctx, call{method: http.MethodGet, path: api("buckets"), query: q, out: &out})
		return out.Buckets, err
	})
}

// Bucket finds one bucket by ID.
func (c *Client) Bucket(ctx context.Context, id string) (*Bucket, error) {
	return one[Bucket](ctx, c, http.MethodGet, api("buckets", id), nil)
}

// CreateBucket makes a bucket's record: OrgID and Name are required.
func (c *Client) CreateBucket(ctx context.Context, b Bucket) (*Bucket, error) {
	if b.RetentionRules == nil {
		b.RetentionRules = []RetentionRule{}
	}
	return one[Bucket](ctx, c, http.MethodPost, api("buckets"), b)
}

// BucketUpdate changes what is not nil.
type BucketUpdate struct {
	Name           *string         `json:"name,omitempty"`
	Description    *string         `json:"description,omitempty"`
	RetentionRules []RetentionRule `json:"retentionRules,omitempty"`
}

// UpdateBucket changes a bucket's record.
func (c *Client) UpdateBucket(ctx context.Context, id string, up BucketUpdate) (*Bucket, error) {
	return one[Bucket](ctx, c, http.MethodPatch, api("buckets", id), up)
}

// DeleteBucket deletes a bucket's record.
func (c *Client) DeleteBucket(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: api("buckets", id)})
}

// ServerConfig is the server's configuration by option, for operators; whole numbers are json.Number.
func (c *Client) ServerConfig(ctx context.Context) (map[string]any, error) {
	var out struct{ Config json.RawMessage }
	if err := c.do(ctx, call{method: http.MethodGet, path: api("config"), out: &out}); err != nil {
		return nil, err
	}
	return decodeNumbers(out.Config)
}

// decodeNumbers keeps numbers as they were written: a limit of 4194304 must not become 4.194304e+06.
func decodeNumbers(raw json.RawMessage) (map[string]any, error) {
	config := map[string]any{}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&config); err != nil {
		return nil, fmt.Errorf("the server's configuration is not a JSON object: %w", err)
	}
	return config, nil
}
