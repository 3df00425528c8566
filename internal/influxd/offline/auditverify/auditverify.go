// Package auditverify is the command that tells whether an audit log is whole: which files are one log, and what the
// data know of its end. internal/audit/verify looks at the lines.
package auditverify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"strongroom/internal/audit/chain"
	"strongroom/internal/audit/verify"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/offline/datafile"
	"strongroom/internal/influxd/parts"
)

var Flags = []config.Flag{
	{Name: "files", Value: "PATH,PATH", Help: "check these files as one log, or as one of each server that " +
		"they name, in any order, and not those that --audit-sinks names; .gz is unpacked"},
	{Name: "older-removed", Help: "the oldest files were put away on purpose: that they are not there is no problem"},
}

// Run checks the chain of the audit log's files, rotated ones beside them included: those of each sink by
// themselves. The server may be running: the key of the chain is derived from the keyring, which is read
// past the server's lock.
func Run(ctx context.Context, p command.Process, args config.Args) error {
	cfg, err := config.Load(args, p.Env)
	if err != nil {
		return err
	}
	keys, marks, err := datafile.PeekKeyring(ctx, p, cfg)
	if err != nil {
		return err
	}
	defer keys.Close()
	chainKey, err := keys.DeriveKey(parts.AuditLabel)
	if err != nil {
		return err
	}
	defer clear(chainKey)
	one := func(server string, files []string) error {
		expect := verify.Expect{OlderRemoved: args.Switch("older-removed")}
		var failed error
		if mark := marks[server]; mark == nil {
			fmt.Fprintln(p.Stdout, "note: the data do not know how far the log goes; what was cut off its end "+
				"does not show")
		} else if m, err := chain.ParseMark(mark, chainKey); err != nil {
			failed = err
		} else {
			expect.Mark = &m
		}
		return errors.Join(failed, verify.Files(ctx, files, chainKey, expect, p.Stdout))
	}
	var failed []error
	if s := args.Flag("files"); s != "" {
		of, err := verify.OfServers(strings.Split(s, ","))
		if err != nil {
			return err
		}
		for _, server := range slices.Sorted(maps.Keys(of)) {
			if len(of) > 1 {
				fmt.Fprintf(p.Stdout, "server %q:\n", server)
			}
			failed = append(failed, one(server, of[server]))
		}
		return errors.Join(failed...)
	}
	logs, err := auditFiles(cfg.AuditSinks)
	if err != nil {
		return err
	}
	for _, files := range logs {
		if len(logs) > 1 {
			fmt.Fprintf(p.Stdout, "%s:\n", files[0])
		}
		failed = append(failed, one(parts.AmongSeveral(cfg), files))
	}
	return errors.Join(failed...)
}

// auditFiles are the files of each sink, with those that were rotated away and stand beside them.
func auditFiles(sinks []string) (logs [][]string, err error) {
	isSink := make(map[string]bool)
	for _, s := range sinks {
		isSink[strings.TrimPrefix(s, "file:")] = true
	}
	for _, s := range sinks {
		path, isFile := strings.CutPrefix(s, "file:")
		if !isFile && !strings.Contains(s, "/") {
			continue
		}
		found, err := filepath.Glob(escapeGlob(path) + "*")
		if err != nil {
			return nil, err
		}
		var files []string
		for _, f := range found {
			if rest := strings.TrimPrefix(f, path); rest == "" || (rest[0] == '.' || rest[0] == '-') && !isSink[f] {
				files = append(files, f)
			}
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("the audit log %s is not there: it was removed, or is kept elsewhere; name it "+
				"with --audit-sinks as the server has it, or with --files", path)
		}
		logs = append(logs, files)
	}
	if len(logs) == 0 {
		return nil, fmt.Errorf("there is no file of the audit log: name it with --audit-sinks as the server has it, " +
			"or with --files")
	}
	return logs, nil
}

// escapeGlob makes a path match itself.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
