// Package pemfile keeps certificates, keys and authorities as their files have them. A file is looked at again when
// what is in it is asked for, at most once a second. What cannot be used does not replace what was there before; it is
// logged, and so is a certificate that has ended or ends soon.
package pemfile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// How often files are looked at, at most; how often State is asked for by Watch; and how often a warning is repeated.
const (
	lookEvery  = time.Second
	watchEvery = time.Minute
	warnEvery  = 24 * time.Hour
)

// Follower keeps what was made of files. Make it with Pair or Pool; it is safe for use by many goroutines.
type Follower struct {
	name  string // of what it is, for State
	where string // the settings that name the files, for messages
	log   *slog.Logger
	read  func() ([]byte, error)
	make  func(content []byte) (made, error)

	mu      sync.Mutex
	looked  time.Time
	content [sha256.Size]byte // a sum of the files, when they were last good
	bad     [sha256.Size]byte // or else, when they were last read
	made    made
	version int   // how often something else was made
	err     error // of the files as they are, where they are not what is kept
	said    string
	saidAt  time.Time
}

// made is what was made of the files.
type made struct {
	pair   *tls.Certificate
	pool   *x509.CertPool
	begins time.Time // of the certificate that lasts longest
	ends   time.Time
}

// Pair follows a certificate with its chain and its key. The error is that of the first reading.
func Pair(name, where, cert, key string, log *slog.Logger) (*Follower, error) {
	return follow(&Follower{name: name, where: where, log: log,
		read: func() ([]byte, error) {
			c, err := os.ReadFile(cert)
			if err != nil {
				return nil, err
			}
			k, err := os.ReadFile(key)
			return bytes.Join([][]byte{c, k}, []byte{0}), err
		},
		make: func(content []byte) (made, error) {
			c, k, _ := bytes.Cut(content, []byte{0})
			pair, err := tls.X509KeyPair(c, k)
			if err != nil {
				return made{}, err
			}
			return made{pair: &pair, begins: pair.Leaf.NotBefore, ends: pair.Leaf.NotAfter}, nil
		}})
}

// Pool follows authorities: a file of certificates, or a folder of such files, as it may be mounted by Kubernetes. It
// returns an error if the first reading fails.
func Pool(name, where, path string, log *slog.Logger) (*Follower, error) {
	return follow(&Follower{name: name, where: where, log: log,
		read: func() ([]byte, error) {
			if i, err := os.Stat(path); err == nil && i.IsDir() {
				return Certificates(path)
			}
			return os.ReadFile(path)
		},
		make: func(content []byte) (made, error) {
			m := made{pool: x509.NewCertPool()}
			if !m.pool.AppendCertsFromPEM(content) {
				return m, fmt.Errorf("there is no certificate in %s", path)
			}
			for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
				if c, err := x509.ParseCertificate(block.Bytes); err == nil && c.NotAfter.After(m.ends) {
					m.begins, m.ends = c.NotBefore, c.NotAfter
				}
			}
			return m, nil
		}})
}

// Certificates reads all certificates in a folder and those below. In a folder that Kubernetes mounts, each file is a
// link by way of ..data, a link to the folder that has them; what is named so, with two dots in front, is left alone.
func Certificates(folder string) ([]byte, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		if strings.HasPrefix(e.Name(), "..") {
			continue
		}
		var pem []byte
		if e.IsDir() {
			pem, err = Certificates(path)
		} else if pem, err = os.ReadFile(path); err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
			err = fmt.Errorf("there is no certificate in %s", path)
		}
		if err != nil {
			return nil, err
		}
		all = append(append(all, pem...), '\n')
	}
	return bytes.TrimSpace(all), nil
}

func follow(f *Follower) (*Follower, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look(time.Now())
	if f.version == 0 {
		return nil, f.err
	}
	return f, nil
}

// look reads the files where it is time. The lock is held.
func (f *Follower) look(now time.Time) {
	if !f.looked.IsZero() && now.Sub(f.looked) < lookEvery {
		return
	}
	f.looked = now
	content, err := f.read()
	sum := sha256.Sum256(content)
	if err == nil && f.version > 0 && sum == f.content {
		f.err = nil
		return
	}
	var m made
	if err == nil {
		m, err = f.make(content)
	}
	if err != nil {
		// Files that belong together are not replaced in one moment: what is bad at two looks is.
		again := f.err != nil && sum == f.bad
		if f.err = err; again {
			f.say(now, slog.LevelError, "a file of certificates cannot be used; what it held before still is",
				"error", err)
		}
		f.bad = sum
		return
	}
	if f.version > 0 {
		f.log.Info("a file of certificates has changed and is used", "setting", f.where, "ends",
			m.ends.UTC().Format(time.RFC3339))
	}
	f.content, f.made, f.err = sum, m, nil
	f.version++
}

// say logs what has not been said within a day. The lock is held.
func (f *Follower) say(now time.Time, level slog.Level, what string, args ...any) {
	if what == f.said && now.Sub(f.saidAt) < warnEvery {
		return
	}
	f.said, f.saidAt = what, now
	f.log.Log(context.Background(), level, what, append([]any{"setting", f.where}, args...)...)
}

// Get gives what the files have, and a number that is another where that is.
func (f *Follower) Get() (pair *tls.Certificate, pool *x509.CertPool, version int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look(time.Now())
	return f.made.pair, f.made.pool, f.version
}

// State is what is to be known of the files.
type State struct {
	Name    string
	OK      bool
	Message string
	// Begins and Ends are the time of the certificate; of several authorities, of the one that lasts longest.
	Begins, Ends time.Time
}

// State looks at the files and says how they are, also in the log where they are not well. now is the time to judge by.
func (f *Follower) State(now time.Time) State {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look(time.Now())
	ends := f.made.ends.UTC().Format(time.RFC3339)
	s := State{Name: f.name, OK: true, Message: "ends at " + ends, Begins: f.made.begins, Ends: f.made.ends}
	switch left := f.made.ends.Sub(now); {
	case left <= 0:
		s.OK, s.Message = false, "has ended at "+ends
		f.say(now, slog.LevelError, "a certificate has ended: renew it in its file, which is read again", "ended", ends)
	case f.err != nil:
		s.OK, s.Message = false, "the file cannot be used, and what it held before is; that ends at "+ends
		f.say(now, slog.LevelError, "a file of certificates cannot be used; what it held before still is",
			"error", f.err)
	case left < soon(f.made.ends.Sub(f.made.begins)):
		s.OK, s.Message = false, "ends soon, at "+ends
		f.say(now, slog.LevelWarn, "a certificate ends soon: renew it in its file, which is read again", "ends", ends)
	}
	return s
}

// States returns the present state of each follower.
func States(followers ...*Follower) (states []State) {
	for _, f := range followers {
		states = append(states, f.State(time.Now()))
	}
	return states
}

// soon is how long before its end a certificate should have been renewed: a tenth of its time, and at most two weeks.
func soon(whole time.Duration) time.Duration { return min(whole/10, 14*24*time.Hour) }

// Watch asks for the states once a minute, so that the log has them, until ctx ends.
func Watch(ctx context.Context, followers ...*Follower) {
	if len(followers) == 0 {
		return
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		States(followers...)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
