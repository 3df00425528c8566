package client

import (
	"context"
	"errors"
	"io"
	"net/http"
)

// SignIn exchanges the client's username and password for a session now, rather than at the first request.
func (c *Client) SignIn(ctx context.Context) error {
	if c.user == "" {
		return errors.New("this client has no username and password to sign in with")
	}
	_, err := c.renewSession(ctx)
	return err
}

// SignOut ends the session, if there is one.
func (c *Client) SignOut(ctx context.Context) error {
	c.mu.Lock()
	open := c.session != ""
	c.mu.Unlock()
	if !open {
		return nil
	}
	err := c.send(ctx, call{method: http.MethodPost, path: api("signout")}, nil)
	c.mu.Lock()
	c.session = ""
	c.mu.Unlock()
	return err
}

// sessionFor returns the session's cookie, signing in where there is none.
func (c *Client) sessionFor(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == "" {
		session, err := c.signIn(ctx)
		if err != nil {
			return "", err
		}
		c.session = session
	}
	return c.session, nil
}

// renewSession signs in again and says whether there is a new session to try with.
func (c *Client) renewSession(ctx context.Context) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	session, err := c.signIn(ctx)
	if err != nil {
		return false, err
	}
	c.session = session
	return true, nil
}

func (c *Client) signIn(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+api("signin"), http.NoBody)
	if err != nil {
		return "", err
	}
	req.SetBasicAuth(c.user, c.password)
	req.Header.Set("User-Agent", c.userAgent)
	resp, err := c.http.Do(req)
	if err != nil {
		return "", c.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		return "", c.answerError(resp)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorAnswer))
	for _, cookie := range resp.Cookies() {
		if cookie.Name == sessionCookie {
			return cookie.Value, nil
		}
	}
	return "", c.notOurs(resp)
}
