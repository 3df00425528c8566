package client

import (
	"context"
	"net/http"
	"time"
)

// SealStatus is what the server's embedded data are sealed with. It holds no key.
type SealStatus struct {
	Seal struct {
		Type    string    `json:"type"` // "key-file", "passphrase" or "transit"
		KeyID   string    `json:"keyID,omitempty"`
		Since   time.Time `json:"since"`
		Restart string    `json:"restart,omitempty"` // what to configure before the next start
	} `json:"seal"`
	Term     int          `json:"term"`
	Terms    []SealTerm   `json:"terms"`
	Rotation SealRotation `json:"rotation"`
	Names    string       `json:"names"` // of secrets: "clear", "sealed", "sealing" or "unsealing"
}

// SealTerm is one generation of the data keys.
type SealTerm struct {
	Term    int       `json:"term"`
	Created time.Time `json:"created"`
}

// SealRotation is how far the data have been sealed anew, or their names brought to another form.
type SealRotation struct {
	State   string `json:"state"` // "idle", "running" or "waiting"
	Orgs    int    `json:"orgs"`
	AllOrgs int    `json:"allOrgs"`
	Records int    `json:"records"`
	Message string `json:"message,omitempty"`
}

// SealChange names the seal to change to; without a Type, a new root key comes under the present one.
type SealChange struct {
	Type       string `json:"type,omitempty"`
	KeyFile    string `json:"keyFile,omitempty"` // a path on the server
	Passphrase string `json:"passphrase,omitempty"`

	TransitKey   string `json:"transitKey,omitempty"` // in Vault
	TransitMount string `json:"transitMount,omitempty"`
}

// Seal tells what the server's data are sealed with. Needs an operator, as do the others.
func (c *Client) Seal(ctx context.Context) (*SealStatus, error) {
	return c.seal(ctx, call{method: http.MethodGet, path: api("seal")})
}

// RotateSeal begins a new term of the data keys; Seal then tells how far everything has been sealed anew.
func (c *Client) RotateSeal(ctx context.Context) (*SealStatus, error) {
	return c.seal(ctx, call{method: http.MethodPost, path: api("seal", "rotate")})
}

// ChangeSeal makes a new root key under the seal that is named.
func (c *Client) ChangeSeal(ctx context.Context, to SealChange) (*SealStatus, error) {
	return c.seal(ctx, call{method: http.MethodPost, path: api("seal", "change"), in: to})
}

func (c *Client) seal(ctx context.Context, r call) (*SealStatus, error) {
	var out SealStatus
	r.out = &out
	if err := c.do(ctx, r); err != nil {
		return nil, err
	}
	return &out, nil
}
