package conn

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/pemfile"
	"strongroom/internal/secret/vault/login"
	"strongroom/internal/secret/vault/wire"
)

// connect makes the client from the settings. Each is set on what the variables have said before, so that it wins;
// ConfigureTLS changes only what it is given, which is why it can be called after the variables and must
// be told nothing twice.
func (c Config) connect(s *Conn) error {
	if err := checkVariables(); err != nil {
		return err
	}
	var conf *api.Config
	login.WithVariables(func() { conf = api.DefaultConfig() })
	if conf.Error != nil {
		return fmt.Errorf("Vault's variables: %w", conf.Error)
	}
	s.Timeout = DefaultTimeout
	if login.Variable(api.EnvVaultClientTimeout) != "" {
		s.Timeout = conf.Timeout
	}
	if c.ClientTimeout != nil {
		s.Timeout = *c.ClientTimeout
	}
	if s.Timeout <= 0 {
		return fmt.Errorf("%s: must be more than 0", Either(c.ClientTimeout != nil, "--vault-client-timeout",
			login.VariableName(api.EnvVaultClientTimeout)))
	}
	if c.Address != "" {
		if err := checkAddress(c.Address); err != nil {
			return fmt.Errorf("--vault-addr: %w", err)
		}
		conf.Address, conf.AgentAddress = c.Address, ""
	}
	if c.MaxRetries != nil {
		conf.MaxRetries = *c.MaxRetries
	}
	conf.Timeout = 0 // every call carries a deadline of its own
	retryWithin(conf, s.Timeout, s.metrics.retries.Inc)
	conf.ReadYourWrites = true // on Vault Enterprise, where reads are served by standbys; nothing elsewhere
	to, err := c.transport(conf, s)
	if err != nil {
		return err
	}
	s.Address = cmp.Or(conf.AgentAddress, conf.Address)
	if socket, is := strings.CutPrefix(s.Address, "unix://"); is {
		// The client's own way is for a transport of its own, and heeds no context.
		to.Base.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}
		conf.Address, conf.AgentAddress = "http://localhost", ""
	}
	conf.HttpClient.Transport = to
	var client *api.Client
	login.WithVariables(func() { client, err = api.NewClient(conf) })
	if err != nil {
		return fmt.Errorf("Vault's variables: %w", err)
	}
	client.SetWrappingLookupFunc(func(string, string) string { return "" })
	if ns := strings.Trim(c.Namespace, "/"); ns != "" {
		client.SetNamespace(ns)
	}
	s.Client, s.Root, s.wire = client, client.WithNamespace(""), to
	return c.session(s)
}

// session sets up how the client gets its token.
func (c Config) session(s *Conn) error {
	how := c.Login
	how.Token = c.Token
	other := how.TokenFile != "" || how.Method != "" && how.Method != login.Token
	if how.Token == "" && !other {
		how.Token = s.Client.Token() // VAULT_TOKEN
	}
	how.NoToken = how.Token == "" && !other
	m, err := login.NewMethod(how)
	if err != nil {
		return err
	}
	if other {
		s.Client.ClearToken()
	} else {
		s.Client.SetToken(how.Token)
	}
	s.Session = login.NewSession(s.Client, m, s.Timeout, s.Log)
	return nil
}

// transport sets up TLS and the connections. Certificates, keys and authorities are followed in their files.
func (c Config) transport(conf *api.Config, s *Conn) (*wire.Wire, error) {
	tr := conf.HttpClient.Transport.(*http.Transport)
	ca, caFile := "--vault-cacert", c.CACert // a file goes before a folder
	if caFile == "" {
		ca, caFile = "--vault-capath", c.CAPath
	}
	if caFile == "" {
		ca, caFile = "variable "+login.VariableName(api.EnvVaultCACert), login.Variable(api.EnvVaultCACert)
	}
	if caFile == "" && login.Variable(api.EnvVaultCACertBytes) == "" { // which the client has taken itself
		ca, caFile = "variable "+login.VariableName(api.EnvVaultCAPath), login.Variable(api.EnvVaultCAPath)
	}
	w := &wire.Wire{Base: tr, Patience: min(time.Second, s.Timeout/4)}
	log := cmp.Or(c.Files, s.Log)
	var err error
	if caFile != "" {
		if w.Pool, err = pemfile.Pool("vault-ca", ca, caFile, log); err != nil {
			return nil, fmt.Errorf("%s: %w", ca, err)
		}
	}
	cert := Either(c.ClientCert != "", c.ClientCert, login.Variable(api.EnvVaultClientCert))
	key := Either(c.ClientKey != "", c.ClientKey, login.Variable(api.EnvVaultClientKey))
	if cert != "" || key != "" {
		where := Either(c.ClientCert+c.ClientKey != "", "--vault-client-cert",
			"variable "+login.VariableName(api.EnvVaultClientCert))
		if cert == "" || key == "" {
			return nil, fmt.Errorf("%s: a certificate and its key belong together; the other is missing", where)
		}
		if w.Pair, err = pemfile.Pair("vault-client-certificate", where, cert, key, log); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
	}
	if c.TLSServerName != "" {
		tr.TLSClientConfig.ServerName = c.TLSServerName
	}
	if c.SkipVerify != nil {
		tr.TLSClientConfig.InsecureSkipVerify = *c.SkipVerify
	}
	// A connection that has died without a word is found out, rather than used until every request on it has
	// timed out. The standard library's HTTP/2 takes the place of the client's, which would keep one set of
	// connections for all copies.
	tr.TLSNextProto, tr.ForceAttemptHTTP2 = nil, true
	tr.HTTP2 = &http.HTTP2Config{SendPingTimeout: time.Second, PingTimeout: time.Second}
	tr.MaxIdleConnsPerHost = 64
	return w, nil
}

// configureTLS is the client's own, but for folders (see pemfile.Certificates); one without
// certificates would trust nobody.
func configureTLS(conf *api.Config, t api.TLSConfig) error {
	if folder := t.CAPath; folder != "" {
		pem, err := pemfile.Certificates(folder)
		if err != nil {
			return err
		}
		if len(pem) == 0 {
			return fmt.Errorf("there is no certificate in %s", folder)
		}
		t.CAPath, t.CACertBytes = "", pem
	}
	if err := conf.ConfigureTLS(&t); err != nil {
		return err
	}
	return nil
}

// once marks contexts made by Once.
type once struct{}

// Once has the requests of a context sent no second time where their answers are lost: by then, others may count on
// what the first has done.
func Once(ctx context.Context) context.Context { return context.WithValue(ctx, once{}, true) }

// watched marks contexts made by Watched.
type watched struct{}

// sending is what has become of a context's requests.
type sending struct{ begun, lost atomic.Bool }

// Watched is a context that tells whether a request of it was sent and not answered, so that what it asked for
// may have been done all the same. Those count that the client sent again by itself: what the second finds may be
// what the first has done.
func Watched(ctx context.Context) (sent context.Context, lost func() bool) {
	s := new(sending)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { s.begun.Store(true) }})
	return context.WithValue(ctx, watched{}, s), func() bool { return s.lost.Load() || s.begun.Load() }
}

// ended notes how a request has ended that was sent or was to be.
func (s *sending) ended(resp *http.Response, err error) {
	if s.begun.Swap(false) && (err != nil || resp.StatusCode >= http.StatusInternalServerError && !refuses(resp)) {
		s.lost.Store(true)
	}
}

// refuses reports whether an answer is that of a Vault which serves no request, or takes no such path. Others of its
// status may be of what stands before Vault, or of a Vault that has failed in the middle.
func refuses(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusServiceUnavailable:
		return says(resp, saysSealed) || says(resp, saysUninitialised)
	case http.StatusInternalServerError:
		return says(resp, saysLongName)
	}
	return false
}

// says reports whether the answer's body, which is in memory, has the words.
func says(resp *http.Response, words string) bool {
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return err == nil && bytes.Contains(body, []byte(words))
}

// retryWithin has the client repeat requests with waits that leave the deadline room for an answer. Where it leaves
// none, the last answer (that Vault is sealed, say) is worth more than a timeout.
func retryWithin(conf *api.Config, timeout time.Duration, retried func()) {
	longest := min(time.Second, timeout/4)
	conf.Backoff = func(_, _ time.Duration, attempt int, resp *http.Response) time.Duration {
		retried()
		if resp != nil { // of a quota (429), say
			if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s >= 0 {
				return min(time.Duration(s)*time.Second, longest)
			}
		}
		wait := 50 * time.Millisecond << min(attempt, 10)
		return min(wait+rand.N(2*wait), longest)
	}
	conf.CheckRetry = func(ctx context.Context, resp *http.Response, err error) (bool, error) {
		if s, is := ctx.Value(watched{}).(*sending); is {
			s.ended(resp, err)
		}
		if ctx.Value(once{}) != nil {
			return false, ctx.Err()
		}
		if resp != nil && resp.StatusCode == http.StatusInternalServerError && says(resp, saysLongName) {
			return false, nil
		}
		if d, ok := ctx.Deadline(); ok && time.Until(d) < longest {
			return false, ctx.Err()
		}
		return api.DefaultRetryPolicy(ctx, resp, err)
	}
}

// checkVariables tries each of Vault's variables alone, since the client's own errors do not say which is wrong. Values
// are not repeated where they may hold a secret.
func checkVariables() error {
	type check struct {
		name string
		try  func(v string) error
	}
	tlsWith := func(set func(*api.TLSConfig, string)) func(string) error {
		return func(v string) error {
			var t api.TLSConfig
			set(&t, v)
			return configureTLS(&api.Config{
				HttpClient: &http.Client{Transport: &http.Transport{TLSClientConfig: new(tls.Config)}}}, t)
		}
	}
	isBool := func(v string) error {
		if _, err := strconv.ParseBool(v); err != nil {
			return fmt.Errorf("%q is neither true nor false", v)
		}
		return nil
	}
	proxy := func(v string) error {
		if u, err := url.Parse(v); err != nil || u.Host == "" {
			return errors.New("is not a URL such as http://proxy:3128")
		}
		return nil
	}
	for _, c := range []check{
		{api.EnvVaultAddress, checkAddress},
		{api.EnvVaultAgentAddr, checkAddress},
		{api.EnvVaultMaxRetries, func(v string) error {
			if _, err := strconv.ParseUint(v, 10, 31); err != nil {
				return fmt.Errorf("%q is not a number of retries, 0 or more", v)
			}
			return nil
		}},
		{api.EnvVaultCACert, tlsWith(func(t *api.TLSConfig, v string) { t.CACert = v })},
		{api.EnvVaultCACertBytes, tlsWith(func(t *api.TLSConfig, v string) { t.CACertBytes = []byte(v) })},
		{api.EnvVaultCAPath, tlsWith(func(t *api.TLSConfig, v string) { t.CAPath = v })},
		{api.EnvVaultClientCert, tlsWith(func(t *api.TLSConfig, v string) {
			t.ClientCert, t.ClientKey = v, login.Variable(api.EnvVaultClientKey)
		})},
		{api.EnvVaultClientKey, tlsWith(func(t *api.TLSConfig, v string) {
			t.ClientCert, t.ClientKey = login.Variable(api.EnvVaultClientCert), v
		})},
		{api.EnvVaultSkipVerify, isBool},
		{api.EnvVaultSRVLookup, isBool},
		{api.EnvVaultDisableRedirects, isBool},
		{api.EnvHTTPProxy, proxy},
		{api.EnvVaultProxyAddr, proxy},
		{api.EnvVaultHeaders, func(v string) error {
			if json.Unmarshal([]byte(v), new(map[string]string)) != nil {
				return errors.New(`is not a JSON object of texts such as {"X-Team": "data"}`)
			}
			return nil
		}},
		{api.EnvVaultToken, func(v string) error {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' }) {
				return errors.New("holds a line break or another control character")
			}
			return nil
		}},
	} {
		if v := login.Variable(c.name); v != "" {
			if err := c.try(v); err != nil {
				return fmt.Errorf("variable %s: %w", login.VariableName(c.name), err)
			}
		}
	}
	return nil
}

func checkAddress(addr string) error {
	u, err := url.Parse(addr)
	switch {
	case err == nil && u.User == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "":
		return nil
	case err == nil && u.Scheme == "unix" && u.Path != "":
		return nil
	}
	if err == nil && u.User != nil {
		return errors.New("is not the URL of a server without a user's name in it, such as https://127.0.0.1:8200")
	}
	return errors.New("is not the URL of a server, such as https://127.0.0.1:8200; it begins with https:// or http://")
}

// Either is the first or the second.
func Either[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}
