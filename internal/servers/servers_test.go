package servers

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
)

var key = bytes.Repeat([]byte{7}, 32)

func openKV(t *testing.T) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// book is a log in memory: the sequence of a record is its place, counted from 1.
type book struct {
	records []audit.Record // oldest first
	err     error
	scan    int // how many a query looks through; 0 is all
}

func (b *book) Top() uint64 { return uint64(len(b.records)) + 1 }

func (b *book) Query(_ context.Context, f audit.Filter) (page audit.Page, err error) {
	seen := 0
	for _, r := range slices.Backward(b.records) {
		switch {
		case f.Before > 0 && r.Seq >= f.Before:
			continue
		case len(page.Records) == f.Limit, b.scan > 0 && seen == b.scan:
			page.Next = r.Seq + 1
			return page, b.err
		}
		seen++
		if f.Action == "" || r.Action == f.Action {
			page.Records = append(page.Records, r)
		}
	}
	return page, b.err
}

// one is a server that runs, with its log.
type one struct {
	*Server
	*book
	log  *bytes.Buffer
	http *httptest.Server
	stop func()
}

func enter(t *testing.T, db kv.Store, name string, secure bool) *one {
	t.Helper()
	o := &one{book: &book{}, log: &bytes.Buffer{}}
	var err error
	o.Server, err = Enter(t.Context(), Config{KV: db, Key: key, Self: Member{Name: name},
		Logger: slog.New(slog.NewTextHandler(o.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	handler := http.NewServeMux()
	handler.Handle(Path, o.Handler(o.book))
	var shows func() *tls.Certificate
	if secure {
		o.http = httptest.NewTLSServer(handler)
		shows = func() *tls.Certificate { return &o.http.TLS.Certificates[0] }
	} else {
		o.http = httptest.NewServer(handler)
	}
	o.Serves(t.Context(), o.http.URL, shows)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { o.Run(ctx) })
	o.stop = sync.OnceFunc(func() { stop(); running.Wait(); o.http.Close() })
	t.Cleanup(o.stop)
	return o
}

// did puts acts on record, a second after each other from the given one on.
func (o *one) did(action string, seconds ...int) {
	for _, s := range seconds {
		o.records = append(o.records, audit.Record{Seq: uint64(len(o.records)) + 1, Server: o.Self.Name,
			Entry: audit.Entry{Time: time.Unix(int64(s), 0), Action: action}})
	}
}

func (o *one) acts(logs ...string) *Acts {
	return &Acts{Own: o.book, Server: o.Server, Logs: func(context.Context) ([]string, error) { return logs, nil }}
}

// all asks for page after page, and gives the acts' times, newest first, and who is missing.
func all(t *testing.T, a *Acts, f audit.Filter) (times []int, missing []audit.Absent) {
	t.Helper()
	var before audit.Before
	for range 100 {
		got, err := a.Query(t.Context(), f, before)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Records) > f.Limit {
			t.Errorf("a page of %d", len(got.Records))
		}
		for _, r := range got.Records {
			times = append(times, int(r.Time.Unix()))
		}
		missing = append(missing, got.Missing...)
		if got.Next == "" {
			return times, missing
		}
		var wrong error
		if before, wrong = audit.ParseBefore(got.Next); wrong != nil {
			t.Fatal(wrong)
		}
	}
	t.Fatal("the pages do not come to an end")
	return nil, nil
}

// TestActsOfAll merges three servers' logs, over pages of every size, also where a server looks through a part of its
// log at a time, and over TLS with a certificate that nobody else knows.
func TestActsOfAll(t *testing.T) {
	db := openKV(t)
	a, b, c := enter(t, db, "a", false), enter(t, db, "b & co", true), enter(t, db, "c", true)
	a.did("x", 1, 5, 6, 20)
	b.did("x", 2, 3, 4, 7)
	b.did("other", 8, 9, 10, 11)
	c.did("x", 12, 13)
	want := []int{20, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}
	for limit := 1; limit <= 15; limit++ {
		for scan := range 4 {
			a.scan, b.scan = scan, scan
			if got, missing := all(t, a.acts("a", "b & co"), audit.Filter{Limit: limit}); !slices.Equal(got, want) ||
				len(missing) > 0 {
				t.Errorf("in pages of %d, and by %d at a time: %v, without %v", limit, scan, got, missing)
			}
		}
	}
	if got, _ := all(t, c.acts(), audit.Filter{Limit: 3, Action: "other"}); !slices.Equal(got, []int{11, 10, 9, 8}) {
		t.Errorf("with a filter, at another server: %v", got)
	}
}

// TestMissing has servers that do not answer, or not as they should: they are named, and the rest is there.
func TestMissing(t *testing.T) {
	db := openKV(t)
	a, b := enter(t, db, "a", false), enter(t, db, "b", false)
	a.did("x", 1)
	b.did("x", 2)
	want := func(what string, times []int, missing string) {
		t.Helper()
		got, absent := all(t, a.acts("a", "b", "long gone"), audit.Filter{Limit: 10})
		if !slices.Equal(got, times) || fmt.Sprint(absent) != missing {
			t.Errorf("%s: %v, without %v", what, got, absent)
		}
	}
	want("one does not run", []int{2, 1}, "[{long gone it does not run}]")
	b.err = errors.New("its disk is broken, at /secret/path")
	want("one cannot read its log", []int{1}, "[{b its audit log cannot be searched; its own log says why} "+
		"{long gone it does not run}]")
	b.err = nil

	// A stranger at its address, who has recorded an answer and gives it again.
	var recorded []byte
	var code string
	body := []byte(nil)
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if recorded == nil {
			body, _ = io.ReadAll(r.Body)
			req, _ := http.NewRequest("POST", b.http.URL+Path, bytes.NewReader(body))
			req.Header = r.Header.Clone()
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			recorded, _ = io.ReadAll(res.Body)
			code = res.Header.Get(header)
		}
		w.Header().Set(header, code)
		_, _ = w.Write(recorded)
	}))
	defer stranger.Close()
	b.Serves(t.Context(), stranger.URL, nil)
	want("passed on", []int{2, 1}, "[{long gone it does not run}]")
	want("an answer given again", []int{1}, "[{b something else answers at its address (--server-url)} {long gone it "+
		"does not run}]")

	// One whose record nobody of these servers has made.
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(Folder+"eve", []byte(`{"member":{"name":"eve","url":"`+
		stranger.URL+`"},"code":"AAAA"}`))}); err != nil {
		t.Fatal(err)
	}
	b.Serves(t.Context(), b.http.URL, nil)
	want("a forged record", []int{2, 1}, "[{long gone it does not run}]")
	b.http.Close()
	want("killed", []int{1}, "[{b it does not answer} {long gone it does not run}]")
	b.stop()
	want("ended in order", []int{1}, "[{b it does not run} {long gone it does not run}]")
	if _, err := a.acts().Query(t.Context(), audit.Filter{}, audit.Before{Seq: 12}); !errors.Is(err, audit.ErrBefore) {
		t.Errorf("a place of no page: %v", err)
	}
}

// TestAnotherCertificate has a server show a certificate that it has not told of.
func TestAnotherCertificate(t *testing.T) {
	db := openKV(t)
	a, b := enter(t, db, "a", false), enter(t, db, "b", true)
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, signer, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	told := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, told, told, other, signer)
	if err != nil {
		t.Fatal(err)
	}
	b.Serves(t.Context(), b.http.URL, func() *tls.Certificate { return &tls.Certificate{Certificate: [][]byte{der}} })
	_, missing := all(t, a.acts(), audit.Filter{Limit: 10})
	if fmt.Sprint(missing) != "[{b it does not answer}]" {
		t.Errorf("without %v", missing)
	}
}

// TestStrangers ask without the key, for another server, and too late.
func TestStrangers(t *testing.T) {
	db := openKV(t)
	a := enter(t, db, "a", false)
	for name, c := range map[string]struct {
		body string
		code func(body []byte) string
	}{
		"no code":        {`{"to":"a"}`, func([]byte) string { return "" }},
		"another key":    {`{"to":"a"}`, func(b []byte) string { return fmt.Sprintf("%x", (&Server{}).code("ask", b)) }},
		"an answer":      {`{"to":"a"}`, func(b []byte) string { return fmt.Sprintf("%x", a.code("answer", b)) }},
		"another server": {`{"to":"b"}`, func(b []byte) string { return fmt.Sprintf("%x", a.code("ask", b)) }},
		"long ago": {`{"to":"a","at":"2026-01-01T00:00:00Z"}`, func(b []byte) string {
			return fmt.Sprintf("%x", a.code("ask", b))
		}},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", a.http.URL+Path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(header, c.code([]byte(c.body)))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 404 {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
}

// TestFormat starts a newer server beside an older one: it writes what the older one reads until that has ended, and
// then no older one starts any more.
func TestFormat(t *testing.T) {
	db := openKV(t)
	server := func(name string, format int) (*Server, error) {
		return Enter(t.Context(), Config{KV: db, Key: key, Self: Member{Name: name}, Logger: slog.New(slog.DiscardHandler),
			Format: format})
	}
	older, err := server("older", 1)
	if err != nil {
		t.Fatal(err)
	}
	newer, err := server("newer", 2)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := newer.raise(t.Context()); err != nil || newer.Raised() != 1 {
			t.Errorf("beside an older server it writes format %d: %v", newer.Raised(), err)
		}
	}
	older.leave(t.Context())
	if err := newer.raise(t.Context()); err != nil || newer.Raised() != 2 {
		t.Errorf("without an older server it writes format %d: %v", newer.Raised(), err)
	}
	if _, err := server("older", 1); !errors.Is(err, ErrNewer) || strings.Contains(err.Error(), "\n") {
		t.Errorf("an older one starts: %v", err)
	}
	if again, err := server("newer", 2); err != nil || again.Raised() != 2 {
		t.Errorf("a newer one does not start again: %v", err)
	}
}

// TestFormatAlone has a newer server over data that only one server has: it raises them at once, and no older one
// starts any more. One that knows no newer format writes nothing.
func TestFormatAlone(t *testing.T) {
	db := openKV(t)
	if err := raiseAlone(t.Context(), db, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Get(t.Context(), FormatRecord); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("the first format is written: %v", err)
	}
	for _, known := range []int{3, 3} {
		if err := raiseAlone(t.Context(), db, known); err != nil {
			t.Fatal(err)
		}
	}
	if _, format, err := readFormat(t.Context(), db, 3); err != nil || format != 3 {
		t.Errorf("the data are of format %d: %v", format, err)
	}
	if err := raiseAlone(t.Context(), db, 2); !errors.Is(err, ErrNewer) {
		t.Errorf("an older one raises them: %v", err)
	}
}

// overtaken is an engine in which a server comes just before a transaction on the format.
type overtaken struct {
	kv.Store
	come func()
}

func (o *overtaken) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if ops[0].Key == FormatRecord && o.come != nil {
		o.come()
		o.come = nil
	}
	return o.Store.Txn(ctx, conds, ops)
}

// TestFormatOvertaken has an older server come while a newer one raises the format: one of the two gives way.
func TestFormatOvertaken(t *testing.T) {
	db := &overtaken{Store: openKV(t)}
	conf := func(name string, format int) Config {
		return Config{KV: db, Key: key, Self: Member{Name: name}, Logger: slog.New(slog.DiscardHandler), Format: format}
	}
	newer, err := Enter(t.Context(), conf("newer", 2))
	if err != nil {
		t.Fatal(err)
	}
	db.come = func() {
		if _, err := Enter(t.Context(), conf("older", 1)); err != nil {
			t.Error(err)
		}
	}
	if err := newer.raise(t.Context()); err != nil || newer.Raised() != 1 || db.come != nil {
		t.Errorf("it writes format %d beside an older server that has just come: %v", newer.Raised(), err)
	}
}
