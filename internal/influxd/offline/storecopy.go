package offline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/parts"
)

var storeCopyFlags = []config.Flag{
	{Name: "from", Value: "ENGINE", Help: "bolt or etcd, where the data are"},
	{Name: "to", Value: "ENGINE", Help: "bolt or etcd, where they shall be; nothing may be there but what an earlier " +
		"copy has begun"},
	{Name: "dry-run", Help: "report what would happen and change nothing"},
}

// copyStore copies everything from one engine to the other, as sealed as it is, and reads it back. Cut short, it goes
// on when it is given again; until it has ended, no server starts on the copy.
func copyStore(ctx context.Context, p command.Process, args config.Args) (err error) {
	cfg, err := config.Load(args, p.Env)
	if err != nil {
		return err
	}
	from, to := args.Flag("from"), args.Flag("to")
	for _, flag := range []string{"from", "to"} {
		if name := args.Flag(flag); name != config.EngineBolt && name != config.EngineEtcd {
			return command.Usage(fmt.Errorf("flag --%s: must be one of bolt, etcd", flag))
		}
	}
	if from == to {
		return command.Usage(errors.New("flags --from and --to: they are the same engine"))
	}
	if len(cfg.Etcd.Endpoints) == 0 {
		return command.Usage(errors.New("--etcd-endpoints is missing: it says where etcd is"))
	}
	_, statErr := os.Stat(cfg.BoltPath)
	missing := errors.Is(statErr, fs.ErrNotExist)
	dry := args.Switch("dry-run")
	if missing && from == config.EngineBolt {
		return fmt.Errorf("%s: there is no file %s", cfg.Place("bolt-path"), cfg.BoltPath)
	}
	if missing && dry {
		return fmt.Errorf("%s: there is no file %s yet: all would be copied", cfg.Place("bolt-path"), cfg.BoltPath)
	}
	source, err := parts.OpenEngine(ctx, cfg, from, p.Log())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if err := parts.HasData(ctx, source); err != nil { // before the target is made
		return fmt.Errorf("%s: %w", parts.DataPlace(cfg, from), err)
	}
	target, err := parts.OpenEngine(ctx, cfg, to, p.Log())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	done, err := parts.CopyData(ctx, source, target, dry)
	what := "copied and read back"
	if dry {
		what = "would be copied"
	}
	if err == nil {
		fmt.Fprintf(p.Stdout, "%d records %s, %d of them were there already", done.Records, what, done.Same)
		if done.Removed > 0 {
			fmt.Fprintf(p.Stdout, "; %d that are gone from the source removed", done.Removed)
		}
		fmt.Fprintln(p.Stdout)
	}
	return err
}
