package parts

import "strongroom/internal/influxd/config"

// NotesPath is the file beside the data file in which commands leave what is to go on record.
func NotesPath(cfg *config.Config) string { return cfg.BoltPath + ".acts" }

// CopiedPath is the file beside the data file that remembers what was copied.
func CopiedPath(cfg *config.Config) string { return cfg.BoltPath + ".copied" }
