// Package servers lets the several servers over the same data know of each other, and asks all of them what was done.
//
// Each server has a record, servers/<name>: its URL, version and data format. It is put before the server serves and
// removed when it ends; that of one which was killed stays, and who asks it gets no answer. A name is held for as long
// as its server runs (kv.Store.Hold), so that two of one name are noticed. Records have a code (HMAC) by a key that is
// derived from the keyring: who writes to the engine alone adds no server.
package servers

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"strongroom/internal/kv"
)

// Label is of the key that Config.Key is derived for.
const Label = "servers"

// Folder is what the keys of the servers' records begin with.
const Folder = "servers/"

// FormatRecord has the format of the data, where that is not the first one. guard changes with every server that comes.
const (
	FormatRecord = "core/format"
	guard        = "core/servers"
)

// Format is the newest format of the data that this server reads and writes. A server that knows a newer one reads the
// older, and writes what is new in it only when Raised says so.
const Format = 1

// Member is what a server tells of itself.
type Member struct {
	Name    string    `json:"name"`
	URL     string    `json:"url,omitempty"` // "" where it cannot be asked
	Version string    `json:"version,omitempty"`
	Format  int       `json:"format"`
	Since   time.Time `json:"since"`
	// Keys are SHA-256 hashes of the public keys that its TLS certificates have.
	Keys [][]byte `json:"keys,omitempty"`
	// Run tells one run of the server from another.
	Run string `json:"run"`
}

// record is a member with its code.
type record struct {
	Member json.RawMessage `json:"member"`
	Code   []byte          `json:"code"`
}

// Config is what a Server is made with.
type Config struct {
	KV     kv.Store
	Key    []byte // derived from the keyring
	Self   Member
	Logger *slog.Logger
	// Format is Format where it is 0; a test is newer.
	Format int
	// Refused hears of each record that is not one of these servers'; nil: nobody does.
	Refused func()
}

// Server is this one among the others. Make it with Enter.
type Server struct {
	Config

	mu     sync.Mutex
	twice  bool // another server has the name
	format int  // of the data
	shows  func() *tls.Certificate
	told   bool // the record is as Self is
}

// ErrNewer is data of a format that this server does not know.
var ErrNewer = errors.New("the data are of a newer format")

// Enter puts this server's record. It gives ErrNewer where the data have become of a format that it does not know.
func Enter(ctx context.Context, c Config) (*Server, error) {
	s := &Server{Config: c}
	if s.Format == 0 {
		s.Format = Format
	}
	s.Self.Format, s.Self.Run = s.Format, rand.Text()
	for range attempts {
		cond, format, err := s.readFormat(ctx)
		if err != nil {
			return nil, err
		}
		s.format = format
		put, err := s.put()
		if err != nil {
			return nil, err
		}
		_, err = s.KV.Txn(ctx, []kv.Cond{cond}, []kv.Op{put, kv.Put(guard, []byte(s.Self.Run))})
		if err == nil || !errors.Is(err, kv.ErrConflict) && !errors.Is(err, kv.ErrFull) {
			return s, err
		}
		if errors.Is(err, kv.ErrFull) { // a server starts without room, too: what reads goes on
			s.Logger.Warn("this server cannot tell the others of itself, since the data have no room", "error", err)
			return s, nil
		}
	}
	return nil, fmt.Errorf("the format of the data changes all the time; start this server again")
}

const attempts = 10

// getter is an engine, or a part of one.
type getter interface {
	Get(ctx context.Context, key string) (kv.Record, error)
}

// CheckFormat gives ErrNewer where the data are of a format that this program does not know. Whoever opens data asks it
// first, over any engine: data that several servers have raised may have come into a file since.
func CheckFormat(ctx context.Context, data getter) error {
	_, _, err := readFormat(ctx, data, Format)
	return err
}

func (s *Server) readFormat(ctx context.Context) (kv.Cond, int, error) {
	return readFormat(ctx, s.KV, s.Format)
}

// readFormat gives the format of the data, and the condition that it stays.
func readFormat(ctx context.Context, data getter, known int) (kv.Cond, int, error) {
	rec, err := data.Get(ctx, FormatRecord)
	if errors.Is(err, kv.ErrNotFound) {
		return kv.Missing(FormatRecord), 1, nil
	}
	if err != nil {
		return kv.Cond{}, 0, err
	}
	var is struct{ Format int }
	if err := json.Unmarshal(rec.Value, &is); err != nil || is.Format < 1 {
		return kv.Cond{}, 0, fmt.Errorf("the record %s is damaged; restore the data from a backup", FormatRecord)
	}
	if is.Format > known {
		return kv.Cond{}, 0, fmt.Errorf("%w (%d; this influxd knows %d): use the influxd that wrote them, or a newer "+
			"one", ErrNewer, is.Format, known)
	}
	return kv.Unchanged(rec), is.Format, nil
}

// RaiseAlone raises the data's format to the newest that this server knows, for a server that is the only one over
// them. It gives ErrNewer where they are of a format that it does not know.
func RaiseAlone(ctx context.Context, data kv.Store) error {
	return raiseAlone(ctx, data, Format)
}

func raiseAlone(ctx context.Context, data kv.Store, known int) error {
	cond, format, err := readFormat(ctx, data, known)
	if err != nil || format == known {
		return err
	}
	op, err := putFormat(known)
	if err != nil {
		return err
	}
	_, err = data.Txn(ctx, []kv.Cond{cond}, []kv.Op{op})
	return err
}

func putFormat(format int) (kv.Op, error) {
	value, err := json.Marshal(struct{ Format int }{format})
	return kv.Put(FormatRecord, value), err
}

// Raised is the format that this server may write: the data's, which is the newest that all servers know.
func (s *Server) Raised() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.format
}

// raise raises the data's format to this server's where all servers know it. From then on an older one does not start.
func (s *Server) raise(ctx context.Context) error {
	cond, format, err := s.readFormat(ctx)
	if err != nil {
		return err
	}
	if format < s.Format {
		came, err := s.KV.Get(ctx, guard)
		if err != nil {
			return err
		}
		all, err := s.Members(ctx)
		if err != nil {
			return err
		}
		for _, m := range all {
			if m.Format < s.Format {
				return nil
			}
		}
		put, err := putFormat(s.Format)
		if err != nil {
			return err
		}
		_, err = s.KV.Txn(ctx, []kv.Cond{cond, kv.Unchanged(came)}, []kv.Op{put})
		if errors.Is(err, kv.ErrConflict) {
			return nil // next time
		}
		if err != nil {
			return err
		}
		format = s.Format
		s.Logger.InfoContext(ctx, "all servers know the newer format of the data, and older ones cannot be started "+
			"any more", "format", format)
	}
	s.mu.Lock()
	s.format = format
	s.mu.Unlock()
	return nil
}

func (s *Server) put() (kv.Op, error) {
	s.mu.Lock()
	s.Self.Keys = s.keys()
	s.told = false
	member, err := json.Marshal(s.Self)
	s.mu.Unlock()
	if err != nil {
		return kv.Op{}, err
	}
	value, err := json.Marshal(record{member, s.code("member", member)})
	return kv.Put(Folder+s.Self.Name, value), err
}

// code is the HMAC of a message of a kind.
func (s *Server) code(kind string, message []byte) []byte {
	h := hmac.New(sha256.New, s.Key)
	h.Write([]byte("strongroom/v1/servers/" + kind + "\n"))
	h.Write(message)
	return h.Sum(nil)
}

// Members are the servers that have a record, by name. One whose code is wrong is left out, and told to the log.
func (s *Server) Members(ctx context.Context) ([]Member, error) {
	var all []Member
	for rec, err := range kv.Each(ctx, s.KV, Folder, 100) {
		if err != nil {
			return all, err
		}
		m, err := s.open(rec)
		if err != nil {
			if s.Refused != nil {
				s.Refused()
			}
			s.Logger.WarnContext(ctx, "a record of a server is not one of these servers' and is left out", "record",
				rec.Key)
			continue
		}
		all = append(all, m)
	}
	return all, nil
}

func (s *Server) open(rec kv.Record) (m Member, err error) {
	var r record
	if err := json.Unmarshal(rec.Value, &r); err != nil {
		return m, err
	}
	if !hmac.Equal(r.Code, s.code("member", r.Member)) {
		return m, errCode
	}
	if err := json.Unmarshal(r.Member, &m); err != nil || m.Name != strings.TrimPrefix(rec.Key, Folder) {
		return m, errCode
	}
	return m, nil
}

var errCode = errors.New("its code is wrong")

// tellEvery is how often Run looks whether something is to be told.
const tellEvery = 10 * time.Second

// waitTold is how long a name may be another server's until that is told: one that was killed has it for kv.HoldTime.
const waitTold = kv.HoldTime + 5*time.Second

// Run holds the server's name until ctx ends, keeps its record as it is to be, and removes it in the end.
func (s *Server) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { s.hold(ctx) })
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		if err := s.raise(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, kv.ErrUnavailable) {
			s.Logger.WarnContext(ctx, "looking at the format of the data failed and will be tried again", "error", err)
		}
		if s.stale() {
			s.renew(ctx)
		}
		select {
		case <-ctx.Done():
			s.leave(ctx)
			return
		case <-tick.C:
		}
	}
}

// Serves tells the others where this one is asked, and the certificate that it shows, which is nil without TLS.
func (s *Server) Serves(ctx context.Context, url string, shows func() *tls.Certificate) {
	s.mu.Lock()
	s.Self.URL, s.shows = url, shows
	s.mu.Unlock()
	s.renew(ctx)
}

// renew puts the record anew: the server serves, or shows another certificate.
func (s *Server) renew(ctx context.Context) {
	put, err := s.put()
	if err == nil {
		_, err = s.KV.Txn(ctx, nil, []kv.Op{put})
	}
	if err != nil && ctx.Err() == nil {
		s.Logger.WarnContext(ctx, "the other servers could not be told where this one is, and will be later", "error",
			err)
	}
	if err == nil {
		s.mu.Lock()
		s.told = true
		s.mu.Unlock()
	}
}

// keys are the hashes of the public keys of the certificate that is shown now. The caller holds s.mu.
func (s *Server) keys() [][]byte {
	if s.shows == nil {
		return nil
	}
	pair := s.shows()
	if pair == nil || len(pair.Certificate) == 0 {
		return nil
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil
	}
	return [][]byte{KeyOf(leaf)}
}

// stale reports whether the record is another than it should be.
func (s *Server) stale() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Self.URL != "" && (!s.told || !slices.EqualFunc(s.keys(), s.Self.Keys, slices.Equal[[]byte]))
}

// leave removes the record, unless another run has put its own.
func (s *Server) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	rec, err := s.KV.Get(ctx, Folder+s.Self.Name)
	if err != nil {
		return
	}
	if m, err := s.open(rec); err == nil && m.Run == s.Self.Run {
		_, _ = s.KV.Txn(ctx, []kv.Cond{kv.Unchanged(rec)}, []kv.Op{kv.Delete(rec.Key)}) // else it is named as silent
	}
}

// hold holds the name, and tells where another server has it.
func (s *Server) hold(ctx context.Context) {
	for ctx.Err() == nil {
		told := time.AfterFunc(waitTold, func() { s.setTwice(ctx, true) })
		held, release, err := s.KV.Hold(ctx, "server/"+s.Self.Name)
		told.Stop()
		if err == nil {
			s.setTwice(ctx, false)
			<-held.Done()
			release()
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(kv.HoldTime):
		}
	}
}

func (s *Server) setTwice(ctx context.Context, twice bool) {
	s.mu.Lock()
	before := s.twice
	s.twice = twice
	s.mu.Unlock()
	switch {
	case twice && !before:
		s.Logger.ErrorContext(ctx, "another server over the same data has the same name: give each its own with "+
			"--server-name; their audit logs cannot be told apart", "name", s.Self.Name)
	case !twice && before:
		s.Logger.InfoContext(ctx, "no other server has this one's name any more", "name", s.Self.Name)
	}
}

// Twice says, for a health check, that another server has this one's name; "" where none has.
func (s *Server) Twice() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.twice {
		return ""
	}
	return "another server over the same data has the name " + s.Self.Name + ", too: give each its own (--server-name)"
}

// Prefixes are what the keys of all records of this package begin with.
var Prefixes = []string{Folder, FormatRecord, guard}

// Check looks at every record in store, and reports those of servers whose codes are wrong.
func Check(ctx context.Context, store kv.Store, key []byte, report func(key, what string)) error {
	s := &Server{Config: Config{KV: store, Key: key}}
	for rec, err := range kv.Each(ctx, store, Folder, 100) {
		if err != nil {
			return err
		}
		if _, err := s.open(rec); err != nil {
			report(rec.Key, "it is not one of these servers', or damaged")
		}
	}
	return nil
}
