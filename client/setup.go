package client

import (
	"context"
	"fmt"
	"net/http"
)

// SetupRequest makes the first user, organisation, bucket and operator token.
type SetupRequest struct {
	Username string `json:"username"`
	Password string `json:"password,omitempty"`
	Org      string `json:"org"`
	Bucket   string `json:"bucket"`
	// RetentionPeriodSeconds is how long the bucket keeps data; 0 is for ever.
	RetentionPeriodSeconds int64 `json:"retentionPeriodSeconds"`
	// Token is the operator's token; empty lets the server make one, which is the better choice.
	Token string `json:"token,omitempty"`
}

// SetupResult is what set-up made. Auth.Token is shown here and never again.
type SetupResult struct {
	User   User          `json:"user"`
	Org    Org           `json:"org"`
	Bucket Bucket        `json:"bucket"`
	Auth   Authorization `json:"auth"`
}

// SetupAllowed says whether the server still waits to be set up.
func (c *Client) SetupAllowed(ctx context.Context) (bool, error) {
	var out struct{ Allowed bool }
	err := c.do(ctx, call{method: http.MethodGet, path: api("setup"), out: &out, anonymous: true})
	return out.Allowed, err
}

// Setup sets the server up. A second time gives an *Error of code "conflict".
func (c *Client) Setup(ctx context.Context, req SetupRequest) (*SetupResult, error) {
	var out SetupResult
	if err := c.do(ctx, call{method: http.MethodPost, path: api("setup"), in: req, out: &out,
		anonymous: true}); err != nil {
		return nil, err
	}
	if out.Auth.Token == "" {
		return nil, fmt.Errorf("%s answered the set-up without a token; is it an InfluxDB server?", c.host)
	}
	return &out, nil
}
