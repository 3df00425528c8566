package client

import (
	"context"
	"net/http"
	"time"
)

// Health is what the server says about itself. Status is "pass" or "fail".
type Health struct {
	Name    string        `json:"name"`
	Message string        `json:"message"`
	Status  string        `json:"status"`
	Checks  []HealthCheck `json:"checks"`
	Version string        `json:"version"`
	Commit  string        `json:"commit"`
}

// HealthCheck is the health of one part, such as the secret store.
type HealthCheck struct {
	Name    string `json:"name"`
	Message string `json:"message,omitempty"`
	Status  string `json:"status"`
}

// Health asks for the server's health. A server that is up but not well gives both: what it says, and an *Error.
func (c *Client) Health(ctx context.Context) (*Health, error) {
	var h Health
	err := c.do(ctx, call{method: http.MethodGet, path: "/health", out: &h, anonymous: true, anyStatus: true})
	if err != nil && h.Status == "" {
		return nil, err
	}
	return &h, err
}

// Ready is since when the server takes requests.
type Ready struct {
	Status  string    `json:"status"`
	Started time.Time `json:"started"`
	Up      string    `json:"up"`
}

// Ready asks whether the server takes requests.
func (c *Client) Ready(ctx context.Context) (*Ready, error) {
	var r Ready
	if err := c.do(ctx, call{method: http.MethodGet, path: "/ready", out: &r, anonymous: true}); err != nil {
		return nil, err
	}
	return &r, nil
}

// Ping asks for a sign of life and nothing else.
func (c *Client) Ping(ctx context.Context) error {
	return c.do(ctx, call{method: http.MethodGet, path: "/ping", anonymous: true})
}
