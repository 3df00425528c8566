package servers

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/errs"
)

// Path is where servers ask each other. What they ask and answer has a code in a header, so that a network in between
// can change neither, and nobody else is answered.
const (
	Path   = "/servers/audit"
	header = "Strongroom-Code"
)

// The bounds of one question.
const (
	askTime   = 5 * time.Second
	maxAsk    = 64 << 10
	maxAnswer = 64 << 20
	askSlack  = time.Minute // by how much clocks may differ
)

// question is what one server asks of another.
type question struct {
	To     string       `json:"to"`
	At     time.Time    `json:"at"`
	Nonce  string       `json:"nonce"`
	Filter audit.Filter `json:"filter"`
}

// answer is a page of one server's log. Top is behind all that there was when it was asked.
type answer struct {
	Page audit.Page `json:"page"`
	Top  uint64     `json:"top"`
	None string     `json:"none,omitempty"` // why there is no page
}

// ask asks another server, over its TLS or none, and believes what has its code.
func (s *Server) ask(ctx context.Context, m Member, f audit.Filter) (got answer, err error) {
	if m.URL == "" {
		return got, errs.New(errs.Unavailable, "it has no address (--server-url)")
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	body, err := json.Marshal(question{To: m.Name, At: time.Now(), Nonce: rand.Text(), Filter: f})
	if err != nil {
		return got, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(m.URL, "/")+Path,
		bytes.NewReader(body))
	if err != nil {
		return got, errs.New(errs.Unavailable, "its address is not a URL")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(header, hex.EncodeToString(s.code("ask", body)))
	transport := &http.Transport{TLSClientConfig: s.pinned(m), DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	res, err := client.Do(req)
	if err != nil {
		return got, errSilent
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil || len(b) > maxAnswer:
		return got, errSilent
	case res.StatusCode != http.StatusOK:
		return got, errRefused
	}
	code, err := hex.DecodeString(res.Header.Get(header))
	if err != nil || !hmac.Equal(code, s.code("answer", slices.Concat(body, b))) {
		return got, errRefused
	}
	if err := json.Unmarshal(b, &got); err != nil {
		return got, errRefused
	}
	if got.None != "" {
		return got, errs.New(errs.Unavailable, "%s", got.None)
	}
	return got, nil
}

var (
	errSilent  = errs.New(errs.Unavailable, "it does not answer")
	errRefused = errs.New(errs.Unavailable, "something else answers at its address (--server-url)")
)

// pinned is TLS that takes the certificates whose keys the server has told of, and those that any client would take:
// a proxy may stand before it.
func (s *Server) pinned(m Member) *tls.Config {
	return &tls.Config{
		// A server that asks clients for certificates is shown this one's own.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.shows == nil {
				return &tls.Certificate{}, nil
			}
			return s.shows(), nil
		},
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does it
		VerifyConnection: func(c tls.ConnectionState) error {
			leaf := c.PeerCertificates[0]
			if slices.ContainsFunc(m.Keys, func(key []byte) bool { return hmac.Equal(key, KeyOf(leaf)) }) {
				return nil
			}
			between := x509.NewCertPool()
			for _, cert := range c.PeerCertificates[1:] {
				between.AddCert(cert)
			}
			_, err := leaf.Verify(x509.VerifyOptions{DNSName: c.ServerName, Intermediates: between})
			return err
		},
	}
}

// KeyOf is the hash of a certificate's public key.
func KeyOf(c *x509.Certificate) []byte {
	h := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return h[:]
}

// Handler answers what other servers ask of this one's log, and nobody else.
func (s *Server) Handler(own Own) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAsk))
		code, codeErr := hex.DecodeString(r.Header.Get(header))
		var q question
		if r.Method != http.MethodPost || err != nil || codeErr != nil || !hmac.Equal(code, s.code("ask", body)) ||
			json.Unmarshal(body, &q) != nil || q.To != s.Self.Name || time.Since(q.At).Abs() > askSlack {
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		got := s.own(r.Context(), own, q.Filter)
		b, err := json.Marshal(got)
		if err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set(header, hex.EncodeToString(s.code("answer", slices.Concat(body, b))))
		_, _ = w.Write(b)
	})
}

// Own is this server's log.
type Own interface {
	Query(ctx context.Context, f audit.Filter) (audit.Page, error)
	// Top is behind all lines that there are.
	Top() uint64
}

func (s *Server) own(ctx context.Context, own Own, f audit.Filter) answer {
	got := answer{Top: own.Top()}
	page, err := own.Query(ctx, f)
	if err != nil {
		s.Logger.WarnContext(ctx, "the audit log could not be searched for another server", "error", err)
		got.None = "its audit log cannot be searched; its own log says why"
	}
	got.Page = page
	return got
}
