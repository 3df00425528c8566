// Package client speaks the HTTP API of Strongroom, which is that of InfluxDB v2 as far as secrets, organisations,
// users and tokens go; it works with either server. It needs the standard library only.
//
//	c, err := client.New(client.Config{Host: "http://localhost:9999", Token: token})
//	…
//	err = c.SetSecrets(ctx, orgID, map[string]string{"db/password": value})
//
// Every method takes a context first and gives back an *Error where the server refused the request. No error holds a
// secret's value, a token or a password.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultTimeout bounds each request, its answer included, where Config.Timeout is zero.
const DefaultTimeout = 30 * time.Second

const (
	// maxAnswer bounds an answer: an organisation's list of 10,000 keys of 1 KiB each fits three times over.
	maxAnswer = 32 << 20
	// maxErrorAnswer bounds an error's body, which is one line of JSON from any server of this API.
	maxErrorAnswer = 64 << 10

	sessionCookie = "influxdb-oss-session"
)

// Config is what New needs. Host is required; then either Token, or Username and Password, or neither for what needs no
// authentication (Ping, Health, Ready, Setup).
type Config struct {
	// Host is the server's address with its scheme, such as http://localhost:9999, and with a path
	// where a proxy adds one; or the path of its Unix socket, as in unix:///run/strongroom/influxd.sock.
	Host string
	// Token is sent with each request.
	Token string
	// Username and Password are exchanged for a session at the first request that needs one, and again once it expired.
	Username, Password string
	// HTTPClient carries TLS and proxy settings; nil means one like http.DefaultClient. It is copied: the client
	// follows no redirect to another host, so that neither token nor secret ends up there. Its transport is used for
	// a Unix socket, too, where it is an *http.Transport; any other must know the way there by itself (DialSocket).
	HTTPClient *http.Client
	// UserAgent names the program to the server.
	UserAgent string
	// Timeout bounds each request; zero means DefaultTimeout.
	Timeout time.Duration
	// Retries is how often a request is sent again that was answered 429, 502, 503 or 504, with a pause of half a
	// second at first, or as long as the answer says: one that reads, and one whose repetition changes nothing more.
	// Zero means 2, and a number below zero none.
	Retries int
}

// Client is a connection to one server. It is safe for concurrent use.
type Client struct {
	base      string // scheme, host and path, without a trailing slash
	host      string // the same for people; of a Unix socket its own
	token     string
	user      string
	password  string
	http      *http.Client
	userAgent string
	timeout   time.Duration
	retries   int

	mu      sync.Mutex
	session string // the session cookie's value, empty while signed out
}

// New returns a client that has not spoken to the server yet.
func New(cfg Config) (*Client, error) {
	host, socket, err := parseHost(cfg.Host)
	if err != nil {
		return nil, err
	}
	if cfg.Token != "" && cfg.Username != "" {
		return nil, errors.New("give either a token or a username and password, not both")
	}
	if strings.ContainsFunc(cfg.Token, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, errors.New("the token holds a line break or another control character; copy it again")
	}
	c := &Client{
		base: host, host: host, token: cfg.Token, user: cfg.Username, password: cfg.Password,
		userAgent: cfg.UserAgent, timeout: cfg.Timeout, retries: cfg.Retries,
	}
	if c.retries == 0 {
		c.retries = 2
	}
	if c.userAgent == "" {
		c.userAgent = "strongroom-client-go"
	}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	hc := http.Client{}
	if cfg.HTTPClient != nil {
		hc = *cfg.HTTPClient
	}
	if socket != "" {
		c.base = "http://local"
		overSocket(&hc, socket)
	}
	hc.CheckRedirect = sameOriginOnly
	c.http = &hc
	return c, nil
}

// Host is the server's address, as requests use it.
func (c *Client) Host() string { return c.host }

// parseHost reads the address of a server. socket is the path of its Unix socket, where it is one.
func parseHost(host string) (address, socket string, err error) {
	u, err := url.Parse(host)
	// The address is not repeated in the first messages: one with a password in it is a likely reason to be here.
	switch {
	case err != nil || host == "":
		return "", "", errors.New("the host is not a URL; give one such as http://localhost:9999")
	case u.User != nil:
		return "", "", errors.New("the host must not hold a username or password; give those on their own")
	case u.Scheme == "unix":
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") || u.RawQuery != "" || u.Fragment != "" {
			return "", "", fmt.Errorf("host %q is not a socket's path; give one such as "+
				"unix:///run/strongroom/influxd.sock", host)
		}
		return "unix://" + u.Path, u.Path, nil
	case u.Scheme != "http" && u.Scheme != "https":
		return "", "", fmt.Errorf("host %q needs a scheme of http or https, such as http://localhost:9999", host)
	case u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return "", "", fmt.Errorf("host %q is not a server's address; give one such as http://localhost:9999", host)
	}
	return strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/"), "", nil
}

// DialSocket is what makes a transport's connections to the Unix socket of a host, and nil where the host is another.
func DialSocket(host string) func(ctx context.Context, network, address string) (net.Conn, error) {
	_, socket, err := parseHost(host)
	if err != nil || socket == "" {
		return nil
	}
	return dialSocket(socket)
}

func dialSocket(path string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
}

// overSocket has the client's connections go to a Unix socket.
func overSocket(hc *http.Client, path string) {
	transport, ok := hc.Transport.(*http.Transport)
	if hc.Transport == nil {
		transport, ok = http.DefaultTransport.(*http.Transport)
	}
	if !ok {
		return
	}
	transport = transport.Clone()
	transport.Proxy, transport.DialContext = nil, dialSocket(path)
	hc.Transport = transport
}

// sameOriginOnly lets a redirect through only to the address the caller named. net/http would drop the Authorization
// header for another host, but would send the body, which may be a secret, again.
func sameOriginOnly(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Scheme != first.Scheme || req.URL.Host != first.Host {
		return fmt.Errorf(
			"it redirects to %s://%s; name that as the host if it is the right one",
			req.URL.Scheme,
			req.URL.Host,
		)
	}
	if len(via) >= 5 {
		return errors.New("it redirects in circles")
	}
	return nil
}

// path joins segments to a path, each escaped: a key such as "a/b" stays one segment. A dot segment is spelled out,
// because servers and proxies resolve a plain one.
func path(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		if s == "." || s == ".." {
			b.WriteString(strings.ReplaceAll(s, ".", "%2E"))
			continue
		}
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

func api(segments ...string) string { return "/api/v2" + path(segments...) }

// call is one request.
type call struct {
	method, path string
	query        url.Values
	in, out      any
	condition    string    // the name of a header that says "*"
	at           *int      // the version that the one secret must have
	again        bool      // a change whose repetition changes nothing more
	once         bool      // is not sent again, whatever it is
	known        string    // the entity tag of what the caller has: errNotModified where that is what there is
	tag          *string   // where the answer's entity tag goes; nil: nowhere
	wrapFor      int64     // seconds; 0 for an answer as it is
	none         bool      // 404 is an empty answer
	anonymous    bool      // no token, no session
	basic        *userinfo // basic authentication, instead of token and session
	anyStatus    bool      // decode the answer whatever its status, and only then give the error
}

type userinfo struct{ name, password string }

func (c *Client) do(ctx context.Context, r call) error {
	var body []byte
	if r.in != nil {
		var err error
		if body, err = json.Marshal(r.in); err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
	}
	err := c.sendAgain(ctx, r, body)
	var refused *Error
	if c.user != "" && !r.anonymous && r.basic == nil && errors.As(err, &refused) &&
		refused.StatusCode == http.StatusUnauthorized {
		// The session may have expired, or the permission may be missing; a fresh session tells which.
		fresh, signErr := c.renewSession(ctx)
		if signErr != nil || !fresh {
			return err
		}
		return c.sendAgain(ctx, r, body)
	}
	return err
}

// The pauses before a request is sent again, to which up to as much is added at random. No answer makes us wait longer.
const (
	retryPause   = 500 * time.Millisecond
	longestRetry = 5 * time.Second
)

// sendAgain is send for a server that cannot serve at the moment, where the request may be sent again.
func (c *Client) sendAgain(ctx context.Context, r call, body []byte) error {
	may := !r.once && !r.anyStatus && (r.method == http.MethodGet || r.method == http.MethodPut || r.again)
	for try := 0; ; try++ {
		err := c.send(ctx, r, body)
		var refused *Error
		if !may || try >= c.retries || !errors.As(err, &refused) || !mayPass(refused.StatusCode) {
			return err
		}
		pause := retryPause << min(try, 3)
		pause = min(max(pause, refused.RetryAfter), longestRetry)
		timer := time.NewTimer(pause + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err // which says more than that the time is over
		}
	}
}

func (c *Client) send(ctx context.Context, r call, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("build the request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.condition != "" {
		req.Header.Set(r.condition, "*")
	}
	if r.at != nil {
		req.Header.Set("If-Match", strconv.Quote(strconv.Itoa(*r.at)))
	}
	if r.wrapFor > 0 {
		req.Header.Set("X-Vault-Wrap-TTL", strconv.FormatInt(r.wrapFor, 10))
	}
	if r.known != "" {
		req.Header.Set("If-None-Match", r.known)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if err := c.authenticate(ctx, req, r); err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.lost(err, r, sent.Load())
	}
	defer func() { _ = resp.Body.Close() }()
	if r.none && resp.StatusCode == http.StatusNotFound {
		return nil
	}
	if resp.StatusCode == http.StatusNotModified && r.known != "" {
		return errNotModified
	}
	if r.tag != nil {
		*r.tag = resp.Header.Get("ETag")
	}
	if resp.StatusCode >= 300 && !r.anyStatus {
		return c.answerError(resp)
	}
	return c.decode(resp, r)
}

func (c *Client) authenticate(ctx context.Context, req *http.Request, r call) error {
	switch {
	case r.basic != nil:
		req.SetBasicAuth(r.basic.name, r.basic.password)
	case r.anonymous:
	case c.token != "":
		req.Header.Set("Authorization", "Token "+c.token)
	case c.user != "":
		session, err := c.sessionFor(ctx)
		if err != nil {
			return err
		}
		req.AddCookie(&http.Cookie{Name: sessionCookie, Value: session})
	}
	return nil
}

func (c *Client) decode(resp *http.Response, r call) error {
	if r.out == nil && !r.anyStatus {
		// A success without a body is expected, but an answer of another kind of server must not pass for one.
		if resp.StatusCode == http.StatusOK && isHTML(resp) {
			return c.notOurs(resp)
		}
		return nil
	}
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return c.unreachable(err)
	}
	if len(raw) > maxAnswer {
		return fmt.Errorf("the answer of %s is over %d MiB", c.host, maxAnswer>>20)
	}
	if err := json.Unmarshal(raw, r.out); err != nil {
		return c.notOurs(resp)
	}
	if resp.StatusCode >= 300 {
		return newError(resp, raw)
	}
	return nil
}

func isHTML(resp *http.Response) bool {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return kind == "text/html"
}

// unreachable turns a transport's error into one that says where and what to do. The URL of the request stays out of
// it: a query may name what its reader should not see.
func (c *Client) unreachable(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var op *net.OpError
	var text string
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		text = c.host + " did not answer in time"
	case errors.As(err, &op) && op.Op == "dial":
		text = fmt.Sprintf("cannot reach %s: %v; is influxd running there?", c.host, err)
	default:
		text = fmt.Sprintf("request to %s failed: %v", c.host, err)
	}
	return &noAnswer{text: text, cause: err}
}

// lost is unreachable for a request that may have been sent: a change may have been made then, and its answer is lost.
func (c *Client) lost(err error, r call, sent bool) error {
	err = c.unreachable(err)
	var silent *noAnswer
	if sent && r.method != http.MethodGet && errors.As(err, &silent) {
		silent.text += "; the change may have been made all the same"
	}
	return err
}
