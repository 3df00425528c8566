package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// User is an account. Status is "active" or "inactive".
type User struct {
	Links  Links  `json:"links,omitempty"`
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status,omitempty"`
	// LastSignInAt is when the user last opened a session; nil where that is not known.
	LastSignInAt *time.Time `json:"lastSignInAt,omitempty"`
}

// UserFilter narrows a list of users; its zero value is all of them.
type UserFilter struct {
	Name, ID string
}

// Users lists users, fetching page after page.
func (c *Client) Users(ctx context.Context, f UserFilter) ([]User, error) {
	query := params("name", f.Name, "id", f.ID)
	return pages(query, 0, 0, func(u User) string { return u.ID }, func(q url.Values) ([]User, error) {
		var out struct{ Users []User }
		err := c.do(ctx, call{method: http.MethodGet, path: api("users"), query: q, out: &out})
		return out.Users, err
	})
}

// User finds one user by ID.
func (c *Client) User(ctx context.Context, id string) (*User, error) {
	return one[User](ctx, c, http.MethodGet, api("users", id), nil)
}

// CreateUser makes a user without a password, who therefore cannot sign in until SetPassword.
func (c *Client) CreateUser(ctx context.Context, name string) (*User, error) {
	return one[User](ctx, c, http.MethodPost, api("users"), map[string]string{"name": name})
}

// UserUpdate changes what is not nil.
type UserUpdate struct {
	Name   *string `json:"name,omitempty"`
	Status *string `json:"status,omitempty"`
}

// UpdateUser renames a user or changes the status.
func (c *Client) UpdateUser(ctx context.Context, id string, up UserUpdate) (*User, error) {
	return one[User](ctx, c, http.MethodPatch, api("users", id), up)
}

// DeleteUser deletes a user.
func (c *Client) DeleteUser(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: api("users", id)})
}

// SetPassword sets a user's password: 8 to 72 bytes.
func (c *Client) SetPassword(ctx context.Context, id, password string) error {
	in := map[string]string{"password": password}
	return c.do(ctx, call{method: http.MethodPost, path: api("users", id, "password"), in: in})
}

// Me is the user the client's token or session belongs to.
func (c *Client) Me(ctx context.Context) (*User, error) {
	return one[User](ctx, c, http.MethodGet, api("me"), nil)
}

// SetMyPassword changes the password of the named user, who proves to be that by the old one.
func (c *Client) SetMyPassword(ctx context.Context, name, old, password string) error {
	in := map[string]string{"password": password}
	return c.do(ctx, call{method: http.MethodPut, path: api("me", "password"), in: in, basic: &userinfo{name, old}})
}
