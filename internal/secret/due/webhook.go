package due

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// notice is what the webhook is told: a name, and never a value.
type notice struct {
	ID        string    `json:"id"` // the same each time that it is told
	Type      string    `json:"type"`
	Stage     Stage     `json:"stage"`
	OrgID     string    `json:"orgID"`
	Org       string    `json:"org"`
	Key       string    `json:"key"`
	ExpiresAt time.Time `json:"expiresAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	SentAt    time.Time `json:"sentAt"`
}

// Webhook is who is told.
type Webhook struct {
	url    string
	key    []byte
	client *http.Client
	pause  time.Duration
}

const (
	// minKey is how long the key of the signatures must be, in bytes.
	minKey = 16
	// callTime bounds one request, its answer included. Tries is how often one notice is sent, and the pauses between
	// grow from firstRetry.
	callTime   = 10 * time.Second
	tries      = 4
	firstRetry = time.Second
	maxAnswer  = 64 << 10
)

// ValidURL says why the address cannot be a webhook's; nil where it can. It quotes nothing: there may be a token in it.
func ValidURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("is not a URL such as https://hooks.example.com/due")
	case u.User != nil:
		return errors.New("must not have a user's name or password in it")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("must be https, unless it is on this machine: names of secrets go there")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// NewWebhook makes one of an address that is valid and of the key of its signatures.
func NewWebhook(address string, key []byte) (*Webhook, error) {
	if len(key) < minKey {
		return nil, fmt.Errorf("the key has %d bytes, and should have %d at least", len(key), minKey)
	}
	return &Webhook{url: address, key: key, pause: firstRetry, client: &http.Client{
		// Where it leads is whoever answers there to say, and may be inside.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// send sends a notice, and again where the receiver may take it later.
func (h *Webhook) send(ctx context.Context, n notice) error {
	body, err := json.Marshal(n)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		again, err := h.post(ctx, body)
		if err == nil || !again || try == tries {
			return err
		}
		timer := time.NewTimer(h.pause<<(try-1) + rand.N(h.pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// SignatureHeader has the time of a request and its signature: t=<Unix seconds>,v1=<hex of HMAC-SHA-256 of "t.body">.
const SignatureHeader = "Strongroom-Signature"

func (h *Webhook) post(ctx context.Context, body []byte) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return false, errors.New("the address of the webhook is not valid")
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, h.key)
	mac.Write([]byte(at + "."))
	mac.Write(body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "strongroom")
	req.Header.Set(SignatureHeader, "t="+at+",v1="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := h.client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) { // it quotes the address
			err = wrapped.Err
		}
		return true, fmt.Errorf("the webhook cannot be reached: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // so that the connection can be used again
	switch {
	case resp.StatusCode < 300:
		return false, nil
	case resp.StatusCode == http.StatusRequestTimeout || resp.StatusCode == http.StatusTooManyRequests ||
		resp.StatusCode >= 500:
		again = true
	}
	return again, fmt.Errorf("the webhook answered %d", resp.StatusCode)
}
