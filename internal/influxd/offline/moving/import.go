package moving

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/influxd/server"
	"strongroom/internal/influxdb"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/tempdir"
	"strongroom/internal/transfer"
	"strongroom/internal/transfer/report"
)

var InfluxDBFlags = []config.Flag{
	{Name: "influxdb", Value: "PATH", Help: "InfluxDB's influxd.bolt, or the folder it is in; it is only read, " +
		"and InfluxDB may be running"},
	{Name: "no-secrets", Help: "leave out the secrets: once InfluxDB keeps them here, its file has those of before"},
	{Name: "dry-run", Help: "report what would happen and change nothing"},
	{Name: "json", Help: "write the report as JSON, with a line for everything brought"},
}

// InfluxDB takes over what a real InfluxDB keeps. It opens the data as the server does, and
// so not while one runs.
func InfluxDB(ctx context.Context, p command.Process, args config.Args) error {
	defer collectLess()()
	path := args.Flag("influxdb")
	if path == "" {
		return command.Usage(errors.New("flag --influxdb: name InfluxDB's influxd.bolt, or the folder it is in"))
	}
	contents, err := influxdb.Read(ctx, path)
	if err != nil {
		return err
	}
	if args.Switch("no-secrets") {
		contents.EachSecrets = influxdb.Whole(nil)
	}
	_, err = bring(ctx, p, args, path, func(context.Context, *server.Server) (*influxdb.Contents,
		error) {
		return contents, nil
	})
	return err
}

// collectLess has the garbage collected at four times what is kept, which is a few megabytes of an import, and earlier
// where much is kept: 12 % of an import was collection.
func collectLess() (restore func()) {
	const percent, memory = 300, 120 << 20
	was, limit := debug.SetGCPercent(percent), debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(limit, memory))
	return func() {
		debug.SetGCPercent(was)
		debug.SetMemoryLimit(limit)
	}
}

// bring imports what was read from the path, or tells what that would do. contents gives it for what is here.
func bring(ctx context.Context, p command.Process, args config.Args, path string,
	contents func(context.Context, *server.Server) (*influxdb.Contents, error)) (r *report.Report, err error) {
	cfg, log, err := command.Load(p, args)
	if err != nil {
		return nil, err
	}
	dry, own := args.Switch("dry-run"), cfg
	if dry {
		var remove func() error
		if cfg, remove, err = onCopy(ctx, cfg, log); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, remove()) }()
	} else if err := nobodyAtWork(ctx, cfg, log); err != nil {
		return nil, err
	}
	cfg.PIDFile = "" // which is the server's
	quiet := p
	quiet.Stdout = p.Stderr // an audit record on the standard output is no part of the report
	s, err := server.Open(ctx, cfg, quiet, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if dry && cfg.SealKeyFile != own.SealKeyFile { // before a secret comes beside it, should this be killed
		if err := os.Remove(cfg.SealKeyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	what, err := contents(ctx, s)
	if err != nil {
		return nil, err
	}
	told, write := notable(p.Stdout)
	if args.Switch("json") {
		told, write = report.StreamJSON(p.Stdout)
	}
	r, err = transfer.Import{
		KV: s.Identities, Guard: s.Guard, Secrets: s.Secrets, Store: s.Store, Caller: command.Operator("influxd " +
			"import"), From: path, DryRun: dry,
		Unwritten: dry && cfg.SecretStore == config.StoreVault, Told: told,
	}.Run(ctx, what)
	if err = errors.Join(err, write(r)); err != nil {
		if meet := s.CheckPlaces(ctx); meet != nil {
			return r, fmt.Errorf("the import ended early: %s: %w", cfg.Place("vault-routes"), meet)
		}
		return r, fmt.Errorf("the import ended early, and can be run again to go on: %w", err)
	}
	if err := s.CheckPlaces(ctx); err != nil {
		return r, fmt.Errorf("what was brought is there, and the server will not start with it: %s: %w",
			cfg.Place("vault-routes"), err)
	}
	return r, nil
}

// maxNotable bounds how much a report for reading has one by one.
const maxNotable = 10_000

// notable keeps what needs a reader's eye, and writes the report with it.
func notable(w io.Writer) (told func(report.Item), write func(*report.Report) error) {
	var items []report.Item
	more := 0
	told = func(i report.Item) {
		switch {
		case i.Why == "":
		case len(items) < maxNotable:
			items = append(items, i)
		default:
			more++
		}
	}
	return told, func(r *report.Report) error {
		r.Items = items
		err := r.WriteText(w)
		if more > 0 && err == nil {
			_, err = fmt.Fprintf(w, "  and %d more: --json has a line for each\n", more)
		}
		return err
	}
}

// nobodyAtWork refuses an import into etcd below running servers, as one into a file that a server has open.
func nobodyAtWork(ctx context.Context, cfg *config.Config, log *slog.Logger) (err error) {
	if cfg.Store != config.EngineEtcd {
		return nil
	}
	data, err := parts.OpenEngine(ctx, cfg, cfg.Store, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	if err := parts.Unused(ctx, data); err != nil {
		return fmt.Errorf("%s: %w; nothing was changed", cfg.Place("etcd-prefix"), err)
	}
	return nil
}

// onCopy gives a configuration that works on a copy of the data, for a dry run: what would happen is found out by
// letting it happen there. The copy is as sealed as the data are, and goes with remove.
func onCopy(ctx context.Context, cfg *config.Config, log *slog.Logger) (_ *config.Config, remove func() error,
	err error) {
	dir, remove, err := tempdir.New("dry-run")
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, remove())
		}
	}()
	copied := *cfg
	copied.BoltPath = filepath.Join(dir, "influxd.bolt")
	copied.Store = config.EngineBolt
	copied.AuditSinks = []string{"file:" + filepath.Join(dir, "audit.log")}
	there, err := copyData(ctx, cfg, copied.BoltPath, log)
	if err != nil {
		return nil, remove, err
	}
	if !there {
		copied.SealKeyFile = filepath.Join(dir, "seal.key") // a first start would make both
		return &copied, remove, nil
	}
	return &copied, remove, forgetMark(ctx, &copied)
}

// forgetMark has a copy of the data begin an audit log of its own: how far the server's goes is nothing that the copy's
// lacks.
func forgetMark(ctx context.Context, cfg *config.Config) (err error) {
	data, err := bolt.Open(cfg.BoltPath, bolt.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	_, err = data.Txn(ctx, nil, []kv.Op{kv.Delete(parts.AuditMark), kv.Delete(parts.FormerMark(cfg))})
	return err
}

// copyData copies the data as they are at this moment, or tells that there are none yet.
func copyData(ctx context.Context, cfg *config.Config, path string, log *slog.Logger) (there bool, err error) {
	if _, err := os.Stat(cfg.BoltPath); errors.Is(err, fs.ErrNotExist) && cfg.Store == config.EngineBolt {
		return false, nil
	}
	data, err := parts.OpenEngine(ctx, cfg, cfg.Store, log)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	if cfg.Store == config.EngineEtcd {
		if recs, err := data.List(ctx, "", "", 1); err != nil || len(recs) == 0 {
			return false, err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false, err
	}
	if db, ok := data.(*bolt.DB); ok {
		return true, errors.Join(db.CopyTo(ctx, f), f.Close())
	}
	return true, errors.Join(data.Backup(ctx, f), f.Close())
}
