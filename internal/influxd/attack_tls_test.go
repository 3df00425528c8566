package influxd

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// certificateFor makes a certificate for localhost in the folder, and a transport that trusts it.
func certificateFor(t *testing.T, dir string) (cert, key string, transport *http.Transport) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	must(t, os.WriteFile(cert, text, 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return cert, key, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
}

// attackTLS leaves handshakes half done, asks for what is too old, and sends what is none.
func attackTLS(t *testing.T, v *victim) string {
	var group sync.WaitGroup
	began := time.Now()
	for i := range 200 {
		conn := v.dial(t)
		group.Go(func() {
			_ = conn.SetDeadline(time.Now().Add(8 * time.Second))
			switch i % 4 {
			case 0: // nothing at all
			case 1:
				_, _ = conn.Write(bytes.Repeat([]byte{0x16, 0x03, 0x01, 0x3f}, 4000))
			case 2: // the beginning of a handshake
				_, _ = conn.Write([]byte{0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03})
			case 3:
				c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10,
					MaxVersion: tls.VersionTLS11})
				if c.Handshake() == nil {
					t.Error("TLS 1.1 is spoken")
				}
				return
			}
			if _, err := io.Copy(io.Discard, conn); os.IsTimeout(err) {
				t.Errorf("kind %d is still connected after %v", i%4, time.Since(began))
			}
		})
	}
	group.Wait()
	return fmt.Sprintf("200 connections, all closed after %.1f s", time.Since(began).Seconds())
}

// attackHTTP2 has what servers of HTTP/2 fell to: streams that are reset at once, headers without end, pings and
// settings that all want an answer, a window that lets nothing through.
func attackHTTP2(t *testing.T, v *victim) string {
	before := v.memory(t)
	connect := func() (*http2.Framer, io.Closer) {
		c := tls.Client(v.dial(t), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		must(t, c.Handshake())
		if c.ConnectionState().NegotiatedProtocol != "h2" {
			t.Fatal("HTTP/2 is not spoken")
		}
		must(t, c.SetDeadline(time.Now().Add(5*time.Second)))
		_, err := io.WriteString(c, http2.ClientPreface)
		must(t, err)
		f := http2.NewFramer(c, c)
		must(t, f.WriteSettings())
		go func() { _, _ = io.Copy(io.Discard, c) }()
		return f, c
	}
	// Fields that need nothing of the table of what was sent before.
	head := func() []byte {
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		for _, h := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"},
			{":path", v.secrets}, {"authorization", "Token " + v.token}} {
			_ = e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1], Sensitive: true})
		}
		return b.Bytes()
	}()
	sent := make(map[string]int)
	var mu sync.Mutex
	var group sync.WaitGroup
	for name, attack := range map[string]func(f *http2.Framer, n uint32) error{
		"resets": func(f *http2.Framer, n uint32) error {
			id := 2*n + 1
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head, EndHeaders: true,
				EndStream: true}); err != nil {
				return err
			}
			return f.WriteRSTStream(id, http2.ErrCodeCancel)
		},
		"streams left open": func(f *http2.Framer, n uint32) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*n + 1, BlockFragment: head, EndHeaders: true})
		},
		"continuations": func(f *http2.Framer, n uint32) error {
			if n == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head})
			}
			return f.WriteContinuation(1, false, bytes.Repeat([]byte{0x00, 0x01, 'a', 0x01, 'b'}, 200))
		},
		"pings": func(f *http2.Framer, _ uint32) error { return f.WritePing(false, [8]byte{1}) },
		"settings": func(f *http2.Framer, _ uint32) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		},
	} {
		f, conn := connect()
		group.Go(func() {
			defer conn.Close()
			n := uint32(0)
			for end := time.Now().Add(time.Second); time.Now().Before(end) && n < 100_000; n++ {
				if attack(f, n) != nil {
					break // the server has closed the connection, as it may
				}
			}
			mu.Lock()
			sent[name] = int(n)
			mu.Unlock()
		})
	}
	group.Wait()
	after := v.grown(t, before, 150)
	return fmt.Sprintf("frames %v, memory %d to %d MiB", sent, before, after)
}

// attackHeaders sends headers that are far too large over HTTP/2: one field of a megabyte in many frames, thousands of
// short ones, and one that is written in a byte each, out of the table of what was sent before.
func attackHeaders(t *testing.T, v *victim) string {
	var heads [3][]byte
	for kind := range heads {
		heads[kind] = v.largeHeaders(kind)
	}
	before := v.memory(t)
	codes := make(map[string]int)
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range 30 {
		group.Go(func() {
			end := v.sendHeaders(t, heads[i%3])
			mu.Lock()
			defer mu.Unlock()
			codes[end]++
		})
	}
	group.Wait()
	after := v.grown(t, before, 100)
	if codes["200"] > 0 || codes["open"] > 0 {
		t.Errorf("answers %v", codes)
	}
	return fmt.Sprintf("30 of up to 4 MiB: %v, memory %d to %d MiB", codes, before, after)
}

// largeHeaders are the headers of a request, of which those of one kind are many.
func (v *victim) largeHeaders(kind int) []byte {
	var head bytes.Buffer
	e := hpack.NewEncoder(&head)
	for _, h := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"},
		{":path", v.secrets}, {"authorization", "Token " + v.token}} {
		_ = e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	field := hpack.HeaderField{Name: "x-a", Value: strings.Repeat("v", 4000)}
	for i := 0; head.Len() < 4<<20 && i < 300_000; i++ {
		switch kind {
		case 0:
			_ = e.WriteField(hpack.HeaderField{Name: "x-one", Value: strings.Repeat("v", 1<<20)})
		case 1:
			_ = e.WriteField(hpack.HeaderField{Name: fmt.Sprintf("x-%d", i), Value: "v", Sensitive: true})
		case 2: // in the table once, and then a byte that stands for 4,000
			_ = e.WriteField(field)
		}
	}
	return head.Bytes()
}

// sendHeaders sends one request with the headers, and tells how it ended: the status, closed, or open.
func (v *victim) sendHeaders(t *testing.T, head []byte) string {
	conn := tls.Client(v.dial(t), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if err := conn.Handshake(); err != nil {
		t.Error(err)
		return "no handshake"
	}
	_, _ = io.WriteString(conn, http2.ClientPreface)
	f := http2.NewFramer(conn, conn)
	_ = f.WriteSettings()
	go func() { // the server may end it in the middle
		b, first := head, true
		for len(b) > 0 {
			n := min(len(b), 16<<10)
			var err error
			if first {
				err = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:n], EndStream: true,
					EndHeaders: n == len(b)})
			} else {
				err = f.WriteContinuation(1, n == len(b), b[:n])
			}
			if err != nil {
				return
			}
			b, first = b[n:], false
		}
	}()
	answers := http2.NewFramer(io.Discard, conn)
	answers.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := answers.ReadFrame()
		if err != nil {
			if os.IsTimeout(err) {
				return "open"
			}
			return "closed"
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.GoAwayFrame:
			return "closed"
		}
	}
}
