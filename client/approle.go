package client

import (
	"context"
	"net/http"
)

// AppRole is what a program logs in as over Vault's API, with a secret ID: it is given tokens with the role's
// permissions for a time. Zero fields are the server's to say.
type AppRole struct {
	Name string `json:"-"`
	// Policies are permissions in the form of Permission.String.
	Policies []string `json:"token_policies"`
	TTL      int64    `json:"token_ttl,omitempty"`     // seconds
	MaxTTL   int64    `json:"token_max_ttl,omitempty"` // seconds
}

// SecretID is a secret ID of a role. It is shown once; where it is handed over wrapped, the token that it is unwrapped
// with stands in its place.
type SecretID struct {
	SecretID      string `json:"secret_id,omitempty"`
	Accessor      string `json:"secret_id_accessor"`
	Uses          int    `json:"secret_id_num_uses"`
	TTL           int64  `json:"secret_id_ttl"` // seconds
	WrappingToken string `json:"wrapping_token,omitempty"`
}

// SecretIDOptions bounds a secret ID; what is zero is not bounded.
type SecretIDOptions struct {
	Uses     int      `json:"num_uses,omitempty"`
	TTL      int64    `json:"ttl,omitempty"`       // seconds
	Networks []string `json:"cidr_list,omitempty"` // from which it is taken
	WrapFor  int64    `json:"-"`                   // seconds for which it can be unwrapped, once
}

func appRole(segments ...string) string {
	return "/v1/auth/approle/role" + path(segments...)
}

// SetAppRole makes a role, or changes the one of that name, and returns its ID.
func (c *Client) SetAppRole(ctx context.Context, r AppRole) (roleID string, err error) {
	if err := c.do(ctx, call{method: http.MethodPost, path: appRole(r.Name), in: r}); err != nil {
		return "", err
	}
	return c.AppRoleID(ctx, r.Name)
}

// AppRoleID is the ID that a program logs in with.
func (c *Client) AppRoleID(ctx context.Context, name string) (string, error) {
	var out struct {
		Data struct {
			RoleID string `json:"role_id"`
		} `json:"data"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: appRole(name, "role-id"), out: &out})
	return out.Data.RoleID, err
}

// AppRoles lists the names of the roles that the caller may manage.
func (c *Client) AppRoles(ctx context.Context) ([]string, error) {
	var out struct{ Data struct{ Keys []string } }
	err := c.do(ctx, call{method: http.MethodGet, path: appRole(), query: params("list", "true"), out: &out,
		none: true})
	return out.Data.Keys, err
}

// DeleteAppRole removes a role with its secret IDs, and ends its tokens.
func (c *Client) DeleteAppRole(ctx context.Context, name string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: appRole(name)})
}

// NewSecretID makes a secret ID of a role.
func (c *Client) NewSecretID(ctx context.Context, role string, o SecretIDOptions) (SecretID, error) {
	var out struct {
		Data SecretID `json:"data"`
		Wrap struct {
			Token    string `json:"token"`
			Accessor string `json:"accessor"`
		} `json:"wrap_info"`
	}
	err := c.do(ctx, call{method: http.MethodPost, path: appRole(role, "secret-id"), in: o, out: &out,
		wrapFor: o.WrapFor})
	if out.Wrap.Token != "" {
		return SecretID{Accessor: out.Wrap.Accessor, Uses: o.Uses, TTL: o.TTL, WrappingToken: out.Wrap.Token}, err
	}
	return out.Data, err
}
