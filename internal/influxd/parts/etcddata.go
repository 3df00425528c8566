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

	"strongroom/internal/identity"
	"strongroom/internal/influxd/config"
	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd"
	"strongroom/internal/kv/near"
	"strongroom/internal/pemfile"
	"strongroom/internal/secret/embedded/records"
	"strongroom/internal/tempdir"
)

// etcdData is etcd as the server's engine, with what is read often in memory (package near).
//
// Its transactions are settled (kv.Settled), for all that stands on it: the answer of a member that is lost meanwhile,
// or of a leader, is no rarity, and another server may have changed the same records before it is asked for.
type etcdData struct {
	*near.Store
	cluster *etcd.Store
	files   []*pemfile.Follower // of certificates
	stop    func()
	backups chan struct{} // has one for each that is being made

	mu     sync.Mutex
	health error // of the last probe
	full   error // of the last write, where etcd had no room for it
}

var _ prometheus.Collector = (*etcdData)(nil)

// maxBackups is how many backups are made at a time, as with a data file.
const maxBackups = 4

// maxNear bounds in bytes what is kept in memory of the records: those of secrets, and of organisations.
const maxNear = 64 << 20

var nearPrefixes = []string{records.Root, identity.OrgFolder}

// probeEvery is how often etcd is asked whether it serves, and probeTime how long that may take.
const (
	probeEvery = time.Second
	probeTime  = 3 * time.Second
)

func openEtcd(ctx context.Context, cfg *config.Config, prefixes []string, log *slog.Logger) (*etcdData, error) {
	e := &cfg.Etcd
	c := etcd.Config{Endpoints: e.Endpoints, Username: e.Username, Prefix: e.Prefix,
		Patience: e.Patience}
	if !strings.HasSuffix(c.Prefix, "/") {
		c.Prefix += "/"
	}
	if e.PasswordFile != "" {
		c.Password = func() (string, error) {
			b, err := os.ReadFile(e.PasswordFile)
			if err != nil {
				return "", fmt.Errorf("%s: %w", cfg.Place("etcd-password-file"), err)
			}
			password := strings.TrimRight(string(b), "\r\n")
			if password == "" {
				return "", fmt.Errorf("%s: the file %s is empty", cfg.Place("etcd-password-file"), e.PasswordFile)
			}
			return password, nil
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
	store, err := awaitEtcd(ctx, c, e.Wait, log)
	if errors.Is(err, kv.ErrUnavailable) && !strings.Contains(err.Error(), "; check --") {
		return nil, fmt.Errorf("%w, and the start has waited for it (--etcd-wait %s); start etcd, or correct "+
			"--etcd-endpoints", err, e.Wait)
	}
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	d := &etcdData{cluster: store, files: followers, backups: make(chan struct{}, maxBackups)}
	d.Store = near.New(kv.Settled(store), near.Config{Prefixes: prefixes, Limit: maxNear, Largest: maxNear / 64,
		Revision: store.Revision, Hasten: store.Hasten})
	var wg sync.WaitGroup
	if len(prefixes) > 0 {
		wg.Go(func() {
			d.Follow(running, func(err error) {
				log.Warn("etcd does not tell what changes, and is asked for everything until it does", "error", err)
			})
		})
	}
	wg.Go(func() { d.probe(running) })
	if len(followers) > 0 {
		wg.Go(func() { pemfile.Watch(running, followers...) })
	}
	d.stop = func() { stop(); wg.Wait() }
	return d, nil
}

// Txn is etcd's, settled.
func (d *etcdData) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	rev, err := d.Store.Txn(ctx, conds, ops)
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

// Describe implements prometheus.Collector.
func (d *etcdData) Describe(to chan<- *prometheus.Desc) {
	d.cluster.Describe(to)
	d.Store.Describe(to)
}

// Collect implements prometheus.Collector.
func (d *etcdData) Collect(to chan<- prometheus.Metric) {
	d.cluster.Collect(to)
	d.Store.Collect(to)
}

// awaitEtcd opens the cluster, and waits for one that is not there yet: machines start in any order.
func awaitEtcd(ctx context.Context, c etcd.Config, wait time.Duration, log *slog.Logger) (*etcd.Store, error) {
	end := time.Now().Add(wait)
	for told := false; ; told = true {
		store, err := etcd.Open(ctx, c)
		if !errors.Is(err, kv.ErrUnavailable) || !time.Now().Before(end) {
			return store, err
		}
		if !told {
			log.Warn("etcd does not serve yet; the start waits for it", "wait", wait.String(), "error", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(min(probeEvery, time.Until(end))):
		}
	}
}

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
		d.mu.Lock()
		d.health = probed(err)
		d.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// probed says what a probe's error tells of etcd.
func probed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return silent{}
	}
	return fmt.Errorf("etcd does not serve: %w", err)
}

// silent is an etcd that has not answered a probe at all.
type silent struct{}

func (silent) Error() string {
	return fmt.Sprintf("etcd does not serve: no answer within %v", probeTime)
}
func (silent) Unwrap() error { return kv.ErrUnavailable }

// Health is what the last probe found, or that the last write found no room.
func (d *etcdData) Health() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return cmp.Or(d.health, d.full)
}

// Held gives the names that servers, and commands, hold.
func (d *etcdData) Held(ctx context.Context) ([]string, error) { return d.cluster.Held(ctx) }

// Unused refuses data that servers are at work on: each holds names for as long as it runs, also one whose records
// somebody has removed. What the command itself may hold counts for nothing.
func Unused(ctx context.Context, data Data, own ...string) error {
	d, ok := data.(*etcdData)
	if !ok {
		return nil
	}
	names, err := d.Held(ctx)
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(own, name) })
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("servers are at work there, or were %s ago (they hold %s); end them first", kv.HoldTime,
			strings.Join(names, ", "))
	}
	return err
}

// Certificates are the states of the files of certificates by which etcd is reached.
func (d *etcdData) Certificates() []pemfile.State { return pemfile.States(d.files...) }

// Close ends the probes and the connections.
func (d *etcdData) Close() error {
	d.stop()
	return d.Store.Close()
}

// Backup makes a data file of the records of one moment, and writes that: what restores and checks a backup of one
// server does so with this one. The file is of mode 0600 in a folder of its own, and goes with the call.
//
// It returns kv.ErrManyBackups where maxBackups are being read already: each takes as much room as the data.
func (d *etcdData) Backup(ctx context.Context, w io.Writer) (err error) {
	select {
	case d.backups <- struct{}{}:
		defer func() { <-d.backups }()
	default:
		return kv.ErrManyBackups
	}
	dir, remove, err := tempdir.New("backup")
	if err != nil {
		return err
	}
	remove = sync.OnceValue(remove)
	defer func() { err = errors.Join(err, remove()) }()
	path := filepath.Join(dir, "influxd.bolt")
	if err := d.dump(ctx, path, put); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := remove(); err != nil { // a reader may be slow, and the server be killed meanwhile
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
