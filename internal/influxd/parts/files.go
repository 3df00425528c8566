package parts

import (
	"fmt"
	"log/slog"
	"strings"

	"strongroom/internal/influxd/config"
	"strongroom/internal/ownfile"
	"strongroom/internal/seal"
)

// GuardFiles takes from others what they may do with the server's files: with the seal's key or passphrase
// anything, with the data and the audit log writing. It warns of what it set right. The error is for what it
// cannot, with what to do.
func GuardFiles(cfg *config.Config, log *slog.Logger) error {
	secrets := map[string]string{seal.TypeKeyFile: cfg.SealKeyFile, seal.TypePassphrase: cfg.Seal.PassphraseFile}
	if path := secrets[cfg.Seal.Type]; path != "" {
		if was := ownfile.CloseSecret(path); was != 0 {
			log.Warn("what opens the data could be read or written by others, which was taken from them; think of "+
				"who has read it",
				"file", path, "mode", fmt.Sprintf("%04o", was))
		}
	}
	guard := func(setting, path string) error {
		changed, err := ownfile.Guard(path)
		for _, what := range changed {
			log.Warn(what)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", cfg.Place(setting), err)
		}
		return nil
	}
	if err := guard("bolt-path", cfg.BoltPath); err != nil {
		return err
	}
	for _, sink := range cfg.AuditSinks {
		path, isFile := strings.CutPrefix(sink, "file:")
		if !isFile && (!strings.Contains(sink, "/") || strings.HasPrefix(sink, "syslog:")) {
			continue
		}
		if err := guard("audit-sinks", path); err != nil {
			return err
		}
	}
	return nil
}
