package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// AuditRecord is one act as the server put it on record. It holds no value of a secret, no token and no password.
type AuditRecord struct {
	Seq       uint64    `json:"seq"`
	Time      time.Time `json:"time"`
	Server    string    `json:"server,omitempty"` // whose log it is, where there are several servers
	RequestID string    `json:"requestID,omitempty"`

	UserID          string `json:"userID,omitempty"`
	User            string `json:"user,omitempty"`
	AuthorizationID string `json:"authorizationID,omitempty"`
	MadeBy          string `json:"madeBy,omitempty"` // the user who made the authorization, where that is another
	Session         bool   `json:"session,omitempty"`
	Address         string `json:"address,omitempty"`

	Action      string   `json:"action"`
	OrgID       string   `json:"orgID,omitempty"`
	Keys        []string `json:"keys,omitempty"`
	KeysOmitted int      `json:"keysOmitted,omitempty"` // how many more keys there were than the record has room for
	// of a change whose keys take several lines, and only some of them were asked for
	Part       int    `json:"part,omitempty"`
	MayInclude bool   `json:"mayInclude,omitempty"` // the key that was asked for may be among those omitted
	Target     string `json:"target,omitempty"`
	Detail     string `json:"detail,omitempty"` // what a change of a user, a token or an organization is

	Outcome string `json:"outcome"` // allowed, denied or failed
	Code    string `json:"code,omitempty"`
	// Repeated counts further refusals like this one, which have no records of their own.
	Repeated int `json:"repeated,omitempty"`

	Previous string `json:"previous,omitempty"`
	Torn     int64  `json:"torn,omitempty"`
	Hash     string `json:"hash"`
}

// AuditFilter narrows a list of records; its zero value is all of them.
type AuditFilter struct {
	OrgID string
	Key   string // of a secret
	Actor string // a user's name or ID, or an authorization's ID
	// Action is one such as "secrets.apply", or a group of them, "secrets".
	Action  string
	Outcome string
	Since   time.Time
	Until   time.Time
	// Limit is how many records there are at most, the newest; 0 is no limit.
	Limit int
}

// maxAuditPage is the most records the server gives at once.
const maxAuditPage = 1000

// AuditMissing is a server, of several over the same data, whose acts could not be had, and why.
type AuditMissing struct {
	Server  string `json:"server"`
	Message string `json:"message"`
}

// Audit lists records, newest first, for operators. It fetches page after page. Of several servers it lists the acts of
// all that answer; AuditOfAll tells which do not.
func (c *Client) Audit(ctx context.Context, f AuditFilter) ([]AuditRecord, error) {
	all, _, err := c.AuditOfAll(ctx, f)
	return all, err
}

// AuditOfAll is Audit, and names the servers whose acts are not among the records.
func (c *Client) AuditOfAll(ctx context.Context, f AuditFilter) ([]AuditRecord, []AuditMissing, error) {
	query := params("orgID", f.OrgID, "key", f.Key, "actor", f.Actor, "action", f.Action, "outcome", f.Outcome)
	for name, at := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !at.IsZero() {
			query.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	var all []AuditRecord
	var missing []AuditMissing
	asked := make(map[string]bool)
	for {
		size := maxAuditPage
		if f.Limit > 0 {
			size = min(size, f.Limit-len(all))
		}
		query.Set("limit", strconv.Itoa(size))
		var out struct {
			Links   Links
			Records []AuditRecord
			Missing []AuditMissing
		}
		if err := c.do(ctx, call{method: http.MethodGet, path: api("audit"), query: query, out: &out}); err != nil {
			return nil, nil, err
		}
		all, missing = append(all, out.Records...), append(missing, out.Missing...)
		if out.Links["next"] == "" || f.Limit > 0 && len(all) >= f.Limit {
			return all, missing, nil
		}
		asked[query.Get("before")] = true
		before, err := nextBefore(out.Links["next"], query.Get("before"), asked)
		if err != nil {
			return nil, nil, err
		}
		query.Set("before", before)
	}
}

// nextBefore takes from a page's link where the next page begins, which must lie further back than this one did. Of one
// server it is a number; of several, a text which is another one each time.
func nextBefore(next, this string, asked map[string]bool) (string, error) {
	u, err := url.Parse(next)
	if err != nil {
		return "", fmt.Errorf("the link to the next page of records is not a URL")
	}
	before := u.Query().Get("before")
	if before == "" {
		return "", fmt.Errorf("the link to the next page of records does not say where it begins")
	}
	n, err := strconv.ParseUint(before, 10, 64)
	last, lastErr := strconv.ParseUint(this, 10, 64)
	if asked[before] || err == nil && lastErr == nil && n >= last {
		return "", fmt.Errorf("the pages of records do not come to an end")
	}
	return before, nil
}
