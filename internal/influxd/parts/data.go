package parts

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/influxd/config"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/kv/etcd"
	"strongroom/internal/pemfile"
)

// Data is the engine of the server's data.
type Data interface {
	kv.Store
	// Backup writes the data as they are at one moment, as a file that bolt.Open opens, and as sealed as they are.
	Backup(ctx context.Context, w io.Writer) error
	// Health says why nothing can be written, or read, if that is so.
	Health() error
}

// Copying is the record of data that a copy has begun to make and not ended: they are not whole.
const Copying = "core/copying"

// errCopying keeps servers off such data.
var errCopying = errors.New("a copy to these data was begun and has not ended: run influxd store copy once " +
	"more, to its end")

// OpenData opens the engine that the configuration names.
func OpenData(ctx context.Context, cfg *config.Config, log *slog.Logger) (Data, error) {
	data, err := OpenEngine(ctx, cfg, cfg.Store, log)
	if err != nil {
		return nil, err
	}
	switch _, err := data.Get(ctx, Copying); {
	case err == nil:
		return nil, errors.Join(fmt.Errorf("%s: %w", DataPlace(cfg, cfg.Store), errCopying), data.Close())
	case !errors.Is(err, kv.ErrNotFound):
		return nil, errors.Join(fmt.Errorf("%s: %w", DataPlace(cfg, cfg.Store), err), data.Close())
	}
	return data, nil
}

// OpenEngine opens an engine, whatever its data are.
func OpenEngine(ctx context.Context, cfg *config.Config, name string, log *slog.Logger) (Data, error) {
	if name == config.EngineEtcd {
		data, err := openEtcd(ctx, cfg, log)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", DataPlace(cfg, name), err)
		}
		return data, nil
	}
	data, err := bolt.Open(cfg.BoltPath, bolt.Options{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", DataPlace(cfg, name), err)
	}
	return data, nil
}

// DataPlace is the setting that says where the data are.
func DataPlace(cfg *config.Config, engine string) string {
	if engine == config.EngineEtcd {
		return cfg.Place("etcd-endpoints")
	}
	return cfg.Place("bolt-path")
}

// etcdData is etcd as the server's engine.
//
// Its transactions are settled (kv.Settled), for all that stands on it: the answer of a member that is lost meanwhile,
// or of a leader, is no rarity, and another server may have changed the same records before it is asked for.
type etcdData struct {
	*etcd.Store
	settled kv.Store
	stop    func()

	mu     sync.Mutex
	health error // of the last probe
	full   error // of the last write, where etcd had no room for it
}

var _ prometheus.Collector = (*etcdData)(nil)

// probeEvery is how often etcd is asked whether it serves, and probeTime how long that may take.
const (
	probeEvery = time.Second
	probeTime  = 3 * time.Second
)

func openEtcd(ctx context.Context, cfg *config.Config, log *slog.Logger) (*etcdData, error) {
	e := &cfg.Etcd
	c := etcd.Config{Endpoints: e.Endpoints, Username: e.Username, Prefix: e.Prefix}
	if !strings.HasSuffix(c.Prefix, "/") {
		c.Prefix += "/"
	}
	if e.PasswordFile != "" {
		b, err := os.ReadFile(e.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cfg.Place("etcd-password-file"), err)
		}
		c.Password = strings.TrimRight(string(b), "\r\n")
		if c.Password == "" {
			return nil, fmt.Errorf("%s: the file %s is empty", cfg.Place("etcd-password-file"), e.PasswordFile)
		}
	}
	var followers []*pemfile.Follower
	if strings.HasPrefix(e.Endpoints[0], "https://") {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		if e.CACert != "" {
			authorities, err := pemfile.Pool("etcd-authorities", cfg.Place("etcd-cacert"), e.CACert, log)
			if err != nil {
				return nil, err
			}
			c.Roots = func() *x509.CertPool {
				_, pool, _ := authorities.Get()
				return pool
			}
			followers = append(followers, authorities)
		}
		if e.Cert != "" {
			own, err := pemfile.Pair("etcd-certificate", cfg.Place("etcd-cert"), e.Cert, e.Key, log)
			if err != nil {
				return nil, err
			}
			// Asked for at each handshake, so that a renewed file counts.
			c.TLS.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				pair, _, _ := own.Get()
				return pair, nil
			}
			followers = append(followers, own)
		}
	}
	store, err := etcd.Open(ctx, c)
	if errors.Is(err, kv.ErrUnavailable) {
		return nil, fmt.Errorf("%w; start etcd, or correct --etcd-endpoints", err)
	}
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	d := &etcdData{Store: store, settled: kv.Settled(store)}
	var wg sync.WaitGroup
	wg.Go(func() { d.probe(running) })
	if len(followers) > 0 {
		wg.Go(func() { pemfile.Watch(running, followers...) })
	}
	d.stop = func() { stop(); wg.Wait() }
	return d, nil
}

// Txn is etcd's, settled.
func (d *etcdData) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	rev, err := d.settled.Txn(ctx, conds, ops)
	puts := slices.ContainsFunc(ops, func(op kv.Op) bool { return op.Kind == kv.OpPut })
	if full := errors.Is(err, kv.ErrFull); full || err == nil && puts {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.full = nil; full {
			d.full = err
		}
	}
	return rev, err
}

// Settled says so to kv.Settled.
func (d *etcdData) Settled() {}

// probe asks etcd now and then whether it serves.
func (d *etcdData) probe(ctx context.Context) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, probeTime)
		_, err := d.List(asking, "core/", "", 1)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			err = fmt.Errorf("%w: etcd does not serve", kv.ErrUnavailable)
		}
		d.mu.Lock()
		d.health = err
		d.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Health is what the last probe found, or that the last write found no room.
func (d *etcdData) Health() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return cmp.Or(d.health, d.full)
}

// Close ends the probes and the connections.
func (d *etcdData) Close() error {
	d.stop()
	return d.Store.Close()
}

// Backup makes a data file of the records of one moment, and writes that: what restores and checks a backup of one
// server does so with this one. The file is of mode 0600 in a folder of its own, and goes with the call.
func (d *etcdData) Backup(ctx context.Context, w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "strongroom-backup-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "influxd.bolt")
	file, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return err
	}
	if err := errors.Join(d.Each(ctx, func(recs []kv.Record) error {
		return put(ctx, file, recs)
	}), file.Close()); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// put writes the records in as few transactions as they fit in.
func put(ctx context.Context, to kv.Store, recs []kv.Record) error {
	for len(recs) > 0 {
		var ops []kv.Op
		size := 0
		for _, r := range recs {
			size += len(r.Key) + len(r.Value)
			if len(ops) == kv.MaxOps || len(ops) > 0 && size > kv.MaxTxnBytes {
				break
			}
			ops = append(ops, kv.Put(r.Key, r.Value))
		}
		if _, err := to.Txn(ctx, nil, ops); err != nil {
			return err
		}
		recs = recs[len(ops):]
	}
	return nil
}

// Copied says what CopyData did, or would do.
type Copied struct{ Records, Same, Removed int }

// CopyData makes the records of to those of from. It takes data that are empty, or that an earlier copy of the same
// data has begun; until it has ended, no server starts on them. What is already the same is not written again. Nobody
// may be at work on either.
func CopyData(ctx context.Context, from, to kv.Store, dry bool) (done Copied, err error) {
	mark, err := from.Get(ctx, "core/seal")
	if errors.Is(err, kv.ErrNotFound) {
		return done, errors.New("there are no data to copy")
	}
	if err != nil {
		return done, err
	}
	switch begun, err := to.Get(ctx, Copying); {
	case errors.Is(err, kv.ErrNotFound):
		if recs, err := to.List(ctx, "", "", 1); err != nil || len(recs) > 0 {
			if err == nil {
				err = errors.New("there are data already where the copy is to be; for a new copy, name another " +
					"--etcd-prefix or --bolt-path")
			}
			return done, err
		}
	case err != nil:
		return done, err
	case string(begun.Value) != string(mark.Value):
		return done, errors.New("there is the beginning of a copy of other data where the copy is to be; name " +
			"another --etcd-prefix or --bolt-path")
	}
	if !dry {
		if _, err := to.Txn(ctx, nil, []kv.Op{kv.Put(Copying, mark.Value)}); err != nil {
			return done, err
		}
	}
	const page = 512
	// Both sides in the order of their keys, side by side.
	source, target := newReader(from, page), newReader(to, page)
	var pending []kv.Record
	flush := func() error {
		if dry {
			pending = nil
			return nil
		}
		err := put(ctx, to, pending)
		pending = nil
		return err
	}
	for {
		s, err := source.next(ctx)
		if err != nil {
			return done, err
		}
		t, err := target.next(ctx)
		if err != nil {
			return done, err
		}
		switch {
		case s == nil && t == nil:
			if err := flush(); err != nil || dry {
				return done, err
			}
			return done, verify(ctx, from, to)
		case t != nil && t.Key == Copying:
			source.back()
		case s != nil && s.Key == Copying:
			return done, errCopying
		case t == nil || s != nil && s.Key < t.Key:
			target.back()
			done.Records++
			if pending = append(pending, *s); len(pending) == page {
				if err := flush(); err != nil {
					return done, err
				}
			}
		case s == nil || t.Key < s.Key: // of an earlier copy, and gone at the source since
			source.back()
			done.Removed++
			if !dry {
				if _, err := to.Txn(ctx, nil, []kv.Op{kv.Delete(t.Key)}); err != nil {
					return done, err
				}
			}
		case string(s.Value) == string(t.Value):
			done.Records++
			done.Same++
		default:
			done.Records++
			pending = append(pending, *s)
		}
	}
}

// verify reads both sides again, and then lets servers start on the copy.
func verify(ctx context.Context, from, to kv.Store) error {
	source, target := newReader(from, 512), newReader(to, 512)
	for {
		s, err := source.next(ctx)
		if err != nil {
			return err
		}
		t, err := target.next(ctx)
		if err == nil && t != nil && t.Key == Copying {
			t, err = target.next(ctx)
		}
		switch {
		case err != nil:
			return err
		case s == nil && t == nil:
			_, err := to.Txn(ctx, nil, []kv.Op{kv.Delete(Copying)})
			return err
		case s == nil || t == nil || s.Key != t.Key || string(s.Value) != string(t.Value):
			return errors.New("the copy is not what was copied: somebody has written to one of the two meanwhile; " +
				"end the servers on both, and copy once more")
		}
	}
}

// reader gives all records of an engine one by one.
type reader struct {
	store kv.Store
	page  int
	recs  []kv.Record
	last  *kv.Record
	again bool
	after string
	ended bool
}

func newReader(s kv.Store, page int) *reader { return &reader{store: s, page: page} }

// back has next give the same record again.
func (r *reader) back() { r.again = true }

// next gives the next record, and nil at the end.
func (r *reader) next(ctx context.Context) (*kv.Record, error) {
	if r.again {
		r.again = false
		return r.last, nil
	}
	r.last = nil
	if len(r.recs) == 0 && !r.ended {
		recs, err := r.store.List(ctx, "", r.after, r.page)
		if err != nil {
			return nil, err
		}
		if r.recs = recs; len(recs) == 0 {
			r.ended = true
		} else {
			r.after = recs[len(recs)-1].Key
		}
	}
	if len(r.recs) > 0 {
		r.last, r.recs = &r.recs[0], r.recs[1:]
	}
	return r.last, nil
}
