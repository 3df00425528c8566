package config

import (
	"os"
	"path/filepath"
	"testing"

	"strongroom/internal/influxd/config/file"
)

// FuzzFile reads configuration files of each format, and looks at what came of them as a start does.
func FuzzFile(f *testing.F) {
	f.Add(uint8(0), []byte("bolt-path = \"/x\"\nvault-routes = [\"031c8cbefe101000 mount=m\"]\n[section]\nkey = 1\n"))
	f.Add(uint8(1), []byte("bolt-path: /x\nhttp-idle-timeout: 3m\naudit-sinks: [stdout, syslog]\n"))
	f.Add(uint8(1), []byte("a: &a [*a]\n"))
	f.Add(uint8(1), []byte("&a a: *a\n? {x: y}\n: 1\n"))
	f.Add(uint8(3), []byte(`{"session-length":60,"secret-store":"vault","vault-token":"t","tls-strict-ciphers":true}`))
	f.Add(uint8(3), []byte(`{"a":1,"a":2}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, format uint8, data []byte) {
		path := filepath.Join(dir, "config"+file.Extensions[int(format)%len(file.Extensions)])
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		args, err := ParseArgs([]string{"--config-path", path})
		if err != nil {
			t.Fatal(err)
		}
		c, err := Load(args, []string{"HOME=/h"})
		if err != nil {
			return
		}
		_, _ = c.Notices(), c.Public()
	})
}
