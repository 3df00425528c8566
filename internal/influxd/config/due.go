package config

import (
	"fmt"
	"time"

	"strongroom/internal/influxd/config/value"
	"strongroom/internal/secret/due"
)

// Due is how secrets are looked for that should be replaced.
type Due struct {
	Every, Soon      time.Duration
	Webhook, KeyFile string
}

func dueSettings(d *Due) group {
	return group{"Secrets that should be replaced", []setting{
		{name: "secret-due-check", value: value.Duration(&d.Every), def: "1h",
			help: "how often one of the servers looks for secrets whose dates have come, for the metrics and the " +
				"webhook; 0 for never"},
		{name: "secret-due-soon", value: value.Duration(&d.Soon), def: "720h",
			help: "how long before its date a secret is due soon"},
		{name: "secret-due-webhook", value: value.Text(&d.Webhook), secret: true,
			help: "URL that is told of each secret by its name, once when it is due soon and once when it is " +
				"overdue; https, unless it is on this machine"},
		{name: "secret-due-webhook-key-file", value: value.Path(&d.KeyFile),
			help: "file with the key, of 16 bytes at least, that what is sent there is signed with (HMAC-SHA-256)"},
	}}
}

func (c *Config) checkDue() error {
	d := c.Due
	switch {
	case d.Webhook == "" && d.KeyFile != "":
		return fmt.Errorf("%s: needs --secret-due-webhook too", c.Place("secret-due-webhook-key-file"))
	case d.Webhook == "":
		return nil
	case d.KeyFile == "":
		return fmt.Errorf("%s: needs --secret-due-webhook-key-file too", c.Place("secret-due-webhook"))
	case d.Every == 0:
		return fmt.Errorf("%s: needs --secret-due-check to be more than 0", c.Place("secret-due-webhook"))
	}
	if err := due.ValidURL(d.Webhook); err != nil {
		return fmt.Errorf("%s: %w", c.Place("secret-due-webhook"), err)
	}
	return nil
}
