package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Backup writes a copy of the server's data to w, as it is at one moment, and gives its length. The copy is
// as sealed as the data are. It takes an operator. Without an error, the copy is whole; the client's timeout
// does not count, ctx does.
func (c *Client) Backup(ctx context.Context, w io.Writer) (int64, error) {
	if c.user != "" {
		// Something small first: a session that has expired is renewed by it.
		if err := c.do(ctx, call{method: http.MethodGet, path: api("me")}); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+api("backup", "kv"), nil)
	if err != nil {
		return 0, fmt.Errorf("build the request: %w", err)
	}
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept-Encoding", "identity")
	if err := c.authenticate(ctx, req, call{}); err != nil {
		return 0, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, c.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return 0, c.answerError(resp)
	}
	if resp.Header.Get("Content-Type") != "application/octet-stream" {
		return 0, c.notOurs(resp)
	}
	n, err := io.Copy(w, resp.Body)
	if err != nil {
		return n, fmt.Errorf("the copy from %s ended early, after %d bytes: %w", c.host, n, err)
	}
	return n, nil
}
