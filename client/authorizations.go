package client

import (
	"context"
	"net/http"
	"time"
)

// Authorization is a token with what it may do. Token is filled where it was just made; a server that keeps hashes only
// has nothing, or REDACTED, to show later.
type Authorization struct {
	ID          string       `json:"id"`
	Token       string       `json:"token,omitempty"`
	Status      string       `json:"status"`
	Description string       `json:"description"`
	OrgID       string       `json:"orgID"`
	Org         string       `json:"org,omitempty"`
	UserID      string       `json:"userID"`
	User        string       `json:"user,omitempty"`
	Permissions []Permission `json:"permissions"`
	CreatedAt   *time.Time   `json:"createdAt,omitempty"`
	UpdatedAt   *time.Time   `json:"updatedAt,omitempty"`
	ExpiresAt   *time.Time   `json:"expiresAt,omitempty"`
	LastUsedAt  *time.Time   `json:"lastUsedAt,omitempty"`
	Links       Links        `json:"links,omitempty"`
}

// Permission is an action, "read" or "write", or "use" of secrets, on a resource.
type Permission struct {
	Action   string   `json:"action"`
	Resource Resource `json:"resource"`
}

// Resource is what a permission is about: all of a type, or those of one organisation, or one by its ID. On secrets,
// Name is one key or, with a star at its end, all keys of a prefix.
type Resource struct {
	Type  string `json:"type"`
	ID    string `json:"id,omitempty"`
	OrgID string `json:"orgID,omitempty"`
	Org   string `json:"org,omitempty"`
	Name  string `json:"name,omitempty"`
}

// String is the permission as InfluxDB writes it, such as read:orgs/031c8cbefe101000/secrets.
func (p Permission) String() string {
	r := p.Resource
	s := p.Action + ":"
	if r.OrgID != "" {
		s += "orgs/" + r.OrgID + "/"
	}
	s += r.Type
	if r.ID != "" {
		s += "/" + r.ID
	}
	if r.Type == "secrets" && r.Name != "" {
		s += "/" + r.Name
	}
	return s
}

// AuthorizationFilter narrows a list of authorizations; its zero value is all the caller may see.
type AuthorizationFilter struct {
	UserID, User, OrgID, Org string
}

// Authorizations lists authorizations.
func (c *Client) Authorizations(ctx context.Context, f AuthorizationFilter) ([]Authorization, error) {
	var out struct{ Authorizations []Authorization }
	query := params("userID", f.UserID, "user", f.User, "orgID", f.OrgID, "org", f.Org)
	err := c.do(ctx, call{method: http.MethodGet, path: api("authorizations"), query: query, out: &out})
	return out.Authorizations, err
}

// Authorization finds one authorization by ID.
func (c *Client) Authorization(ctx context.Context, id string) (*Authorization, error) {
	return one[Authorization](ctx, c, http.MethodGet, api("authorizations", id), nil)
}

// NewAuthorization asks for a token.
type NewAuthorization struct {
	OrgID       string       `json:"orgID"`
	UserID      string       `json:"userID,omitempty"`
	Description string       `json:"description,omitempty"`
	Status      string       `json:"status,omitempty"`
	Permissions []Permission `json:"permissions"`
	// Token is one to take over, which only an operator may; empty lets the server make one.
	Token     string     `json:"token,omitempty"`
	ExpiresAt *time.Time `json:"expiresAt,omitempty"`
}

// CreateAuthorization makes a token, which the answer shows this once.
func (c *Client) CreateAuthorization(ctx context.Context, in NewAuthorization) (*Authorization, error) {
	return one[Authorization](ctx, c, http.MethodPost, api("authorizations"), in)
}

// AuthorizationUpdate changes what is not nil.
type AuthorizationUpdate struct {
	Status      *string `json:"status,omitempty"`
	Description *string `json:"description,omitempty"`
}

// UpdateAuthorization makes a token active or inactive, or describes it.
func (c *Client) UpdateAuthorization(ctx context.Context, id string, up AuthorizationUpdate) (*Authorization, error) {
	return one[Authorization](ctx, c, http.MethodPatch, api("authorizations", id), up)
}

// DeleteAuthorization revokes a token for good.
func (c *Client) DeleteAuthorization(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: api("authorizations", id)})
}

// Resources lists the types of resources permissions can name.
func (c *Client) Resources(ctx context.Context) ([]string, error) {
	var out []string
	err := c.do(ctx, call{method: http.MethodGet, path: api("resources"), out: &out})
	return out, err
}
