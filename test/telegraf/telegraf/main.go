// Command telegraf is Telegraf with the few plugins that a test needs: its own agent, its own reading of a configuration
// and of secrets. Telegraf's own command brings hundreds of plugins more.
package main

import (
	"context"
	"flag"
	"log"
	"os/signal"
	"syscall"
	"time"

	"github.com/influxdata/telegraf/agent"
	"github.com/influxdata/telegraf/config"
	_ "github.com/influxdata/telegraf/plugins/inputs/exec"
	_ "github.com/influxdata/telegraf/plugins/outputs/influxdb_v2"
	_ "github.com/influxdata/telegraf/plugins/parsers/influx"
	_ "github.com/influxdata/telegraf/plugins/secretstores/http"
)

func main() {
	path := flag.String("config", "", "the configuration's file")
	once := flag.Bool("once", false, "gather and write once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *path, *once); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, path string, once bool) error {
	c := config.NewConfig()
	if err := c.LoadAll(path); err != nil {
		return err
	}
	a := agent.NewAgent(c)
	if once {
		return a.Once(ctx, time.Duration(0))
	}
	return a.Run(ctx)
}
