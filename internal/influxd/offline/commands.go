// Package offline has the commands that are given on the machine itself: on data that no server has open, or that
// are only read beside one.
package offline

import (
	"context"
	"fmt"

	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/offline/auditverify"
	"strongroom/internal/influxd/offline/moving"
	"strongroom/internal/influxd/offline/recovery"
)

// Commands are all of them.
func Commands() []command.Spec {
	return []command.Spec{
		{Name: "audit verify", Summary: "check that no line of the audit log is missing or altered",
			Run: auditverify.Run, Flags: auditverify.Flags},
		{Name: "seal status", Summary: "show what the data are sealed with, and how old the keys are", Run: sealStatus},
		{Name: "seal rotate", Summary: "seal everything anew with new data keys",
			Run: ofServers(sealRotate, "rotates the keys", "influx seal rotate")},
		{Name: "seal change", Summary: "make a new root key, under the same seal or another", Flags: sealFlags,
			Run: ofServers(sealChange, "makes a new root key, for all of them", "influx seal change")},
		{Name: "import", Summary: "take over what a real InfluxDB 2 keeps: users, tokens, secrets",
			Run: moving.InfluxDB, Flags: moving.InfluxDBFlags},
		{Name: "check", Summary: "look at every record of the data, in the file or in etcd, and tell what is wrong",
			Run: check},
		{Name: "restore", Summary: "check a backup whole and put it in the place of the data file, or into etcd",
			Run: restore, Flags: restoreFlags},
		{Name: "store copy", Summary: "copy all data from a file to etcd or back, for servers to start on",
			Run: copyStore, Flags: storeCopyFlags},
		{Name: "recovery auth create-operator", Summary: "make a token that may do everything, where all are lost",
			Run: recovery.CreateOperator, Flags: recovery.TokenFlags},
		{Name: "recovery auth list", Summary: "list the tokens, without themselves", Run: recovery.ListAuths},
		{Name: "recovery org list", Summary: "list the organizations", Run: recovery.ListOrgs},
		{Name: "recovery user create", Summary: "make a user", Run: recovery.CreateUser, Flags: recovery.CreateFlags},
		{Name: "recovery user list", Summary: "list the users", Run: recovery.ListUsers},
		{Name: "recovery user update", Summary: "set a user's password, make them an operator, or active again",
			Run: recovery.UpdateUser, Flags: recovery.UpdateFlags},
		{Name: "vault check", Summary: "walk the settings for Vault step by step, and print the policy they need",
			Run: checkVault},
		{Name: "secrets copy", Summary: "copy secrets from one store to another, and read them back",
			Run: moving.Copy, Flags: moving.CopyFlags},
		{Name: "secrets relayout", Summary: "convert secrets in Vault from one --vault-layout to the other, " +
			"where they are", Run: moving.Relayout, Flags: moving.RelayoutFlags},
		{Name: "secrets export", Summary: "write secrets to a file, encrypted by age", Run: moving.Export,
			Flags: moving.ExportFlags},
		{Name: "secrets import", Summary: "take secrets from such a file", Run: moving.Import,
			Flags: moving.ImportFlags},
	}
}

// ofServers is for a command that works on the data file alone: with several servers, one that runs does the same. It
// would else look at the file that a machine had before its data went to etcd.
func ofServers(run func(context.Context, command.Process, config.Args) error, does,
	instead string) func(context.Context, command.Process, config.Args) error {
	return func(ctx context.Context, p command.Process, args config.Args) error {
		cfg, err := config.Load(args, p.Env)
		if err != nil {
			return err
		}
		if cfg.Store == config.EngineEtcd {
			line := instead
			for _, f := range sealFlags {
				if value := args.Flag(f.Name); value != "" {
					line += " --" + f.Name + " " + value
				}
			}
			return command.Usage(fmt.Errorf("%s: the data are in etcd, and a server that runs %s: %s",
				cfg.Place("store"), does, line))
		}
		return run(ctx, p, args)
	}
}
