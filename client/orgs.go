package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Links are paths of related resources by name.
type Links map[string]string

// Org is an organisation.
type Org struct {
	Links       Links      `json:"links,omitempty"`
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Description string     `json:"description"`
	CreatedAt   *time.Time `json:"createdAt,omitempty"`
	UpdatedAt   *time.Time `json:"updatedAt,omitempty"`
}

// OrgFilter narrows a list of organisations; its zero value is all of them.
type OrgFilter struct {
	Name, ID, UserID string
}

// Orgs lists the organisations the caller may see, fetching page after page. An unknown name is an *Error of code "not
// found".
func (c *Client) Orgs(ctx context.Context, f OrgFilter) ([]Org, error) {
	query := params("org", f.Name, "orgID", f.ID, "userID", f.UserID)
	return pages(query, 0, 0, func(o Org) string { return o.ID }, func(q url.Values) ([]Org, error) {
		var out struct{ Orgs []Org }
		err := c.do(ctx, call{method: http.MethodGet, path: api("orgs"), query: q, out: &out})
		return out.Orgs, err
	})
}

// OrgByName finds one organisation by its name.
func (c *Client) OrgByName(ctx context.Context, name string) (*Org, error) {
	orgs, err := c.Orgs(ctx, OrgFilter{Name: name})
	if err != nil {
		return nil, err
	}
	// A server that does not know the filter lists them all: never take another organisation than the one asked for.
	for i := range orgs {
		if orgs[i].Name == name {
			return &orgs[i], nil
		}
	}
	return nil, &Error{
		StatusCode: http.StatusNotFound,
		Code:       CodeNotFound,
		Message:    fmt.Sprintf("organization name %q not found", name),
	}
}

// Org finds one organisation by its ID.
func (c *Client) Org(ctx context.Context, id string) (*Org, error) {
	return one[Org](ctx, c, http.MethodGet, api("orgs", id), nil)
}

// CreateOrg makes an organisation.
func (c *Client) CreateOrg(ctx context.Context, name, description string) (*Org, error) {
	in := map[string]string{"name": name}
	if description != "" {
		in["description"] = description
	}
	return one[Org](ctx, c, http.MethodPost, api("orgs"), in)
}

// OrgUpdate changes what is not nil.
type OrgUpdate struct {
	Name        *string `json:"name,omitempty"`
	Description *string `json:"description,omitempty"`
}

// UpdateOrg renames or describes an organisation.
func (c *Client) UpdateOrg(ctx context.Context, id string, up OrgUpdate) (*Org, error) {
	return one[Org](ctx, c, http.MethodPatch, api("orgs", id), up)
}

// DeleteOrg deletes an organisation and all that belongs to it, its secrets included. Where it has ended and something
// of it is still to be removed, left says what and why; the server goes on with that.
func (c *Client) DeleteOrg(ctx context.Context, id string) (left string, err error) {
	var out struct{ Message string }
	err = c.do(ctx, call{method: http.MethodDelete, path: api("orgs", id), out: &out})
	return out.Message, err
}

// Member is a user with a role in an organisation: "member" or "owner".
type Member struct {
	User
	Role string `json:"role"`
}

// Members lists the organisation's members, owners not among them.
func (c *Client) Members(ctx context.Context, orgID string) ([]Member, error) {
	return c.roleList(ctx, orgID, "members")
}

// AddMember makes a user a member.
func (c *Client) AddMember(ctx context.Context, orgID, userID string) (*Member, error) {
	return one[Member](ctx, c, http.MethodPost, api("orgs", orgID, "members"), map[string]string{"id": userID})
}

// RemoveMember takes a member's role.
func (c *Client) RemoveMember(ctx context.Context, orgID, userID string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: api("orgs", orgID, "members", userID)})
}

// Owners lists the organisation's owners.
func (c *Client) Owners(ctx context.Context, orgID string) ([]Member, error) {
	return c.roleList(ctx, orgID, "owners")
}

// AddOwner makes a user an owner.
func (c *Client) AddOwner(ctx context.Context, orgID, userID string) (*Member, error) {
	return one[Member](ctx, c, http.MethodPost, api("orgs", orgID, "owners"), map[string]string{"id": userID})
}

// RemoveOwner takes an owner's role.
func (c *Client) RemoveOwner(ctx context.Context, orgID, userID string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: api("orgs", orgID, "owners", userID)})
}

func (c *Client) roleList(ctx context.Context, orgID, role string) ([]Member, error) {
	var out struct{ Users []Member }
	err := c.do(ctx, call{method: http.MethodGet, path: api("orgs", orgID, role), out: &out})
	return out.Users, err
}

func one[T any](ctx context.Context, c *Client, method, path string, in any) (*T, error) {
	out := new(T)
	if err := c.do(ctx, call{method: method, path: path, in: in, out: out}); err != nil {
		return nil, err
	}
	return out, nil
}

// params are the query parameters of the given names and values, empty values left out.
func params(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// pageSize is the most a server of this API gives at once.
const pageSize = 100

// pages fetches page after page until limit (0: all). A server that knows no paging gives the same things again, which
// ends it too.
func pages[T any](
	query url.Values,
	limit, offset int,
	id func(T) string,
	fetch func(url.Values) ([]T, error),
) ([]T, error) {
	var all []T
	seen := map[string]bool{}
	for {
		size := pageSize
		if limit > 0 {
			size = min(size, limit-len(all))
		}
		query.Set("limit", strconv.Itoa(size))
		if offset > 0 {
			query.Set("offset", strconv.Itoa(offset))
		}
		page, err := fetch(query)
		if err != nil {
			return nil, err
		}
		fresh := 0
		for _, item := range page {
			if !seen[id(item)] {
				seen[id(item)] = true
				all = append(all, item)
				fresh++
			}
		}
		offset += len(page)
		if len(page) < size || fresh == 0 || limit > 0 && len(all) >= limit {
			return all, nil
		}
	}
}
