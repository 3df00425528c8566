package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// tellSystemd tells systemd that the server serves, that it is well, and, when ctx ends, that it stops. Where no
// systemd listens ($NOTIFY_SOCKET is not set), it does nothing.
//
// The unit's WatchdogSec makes systemd end a process that does not say in time that it is well. It says so as long as
// probe returns nil: a server whose data can no longer be read is to be started again.
func tellSystemd(ctx context.Context, log *slog.Logger, probe func(context.Context) error) {
	say := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			log.Warn("systemd was not told of the server's state", "state", state, "error", err)
		}
	}
	say(daemon.SdNotifyReady)
	context.AfterFunc(ctx, func() { say(daemon.SdNotifyStopping) })

	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("systemd's watchdog setting cannot be read; it will not be answered", "error", err)
	}
	if every <= 0 {
		return
	}
	go func() {
		tick := time.NewTicker(every / 3)
		defer tick.Stop()
		for {
			probing, cancel := context.WithTimeout(ctx, every/3)
			err := probe(probing)
			cancel()
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				say(daemon.SdNotifyWatchdog)
			} else {
				log.Error("the data cannot be read; systemd will start the server again", "error", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
}
