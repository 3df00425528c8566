package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"strongroom/internal/influxd/config/value"
)

// Etcd is the cluster that has the data of several servers.
type Etcd struct {
	Endpoints              []string
	Prefix                 string
	CACert, Cert, Key      string
	Username, PasswordFile string
	Wait                   time.Duration
	Stale, StaleSecrets    time.Duration
	ServerName, ServerURL  string
	Patience               time.Duration // no setting: tests have a longer one
}

func (c *Config) etcdSettings() group {
	e := &c.Etcd
	return group{"Data of several servers, in etcd (--store etcd)", []setting{
		{name: "etcd-endpoints", value: value.List(&e.Endpoints),
			help: "URLs of the cluster's members, such as https://a:2379,https://b:2379,https://c:2379"},
		{name: "etcd-prefix", value: value.Text(&e.Prefix), def: "strongroom/",
			help: "what all keys in the cluster begin with; another one for another set of servers"},
		{name: "etcd-cacert", value: value.Path(&e.CACert),
			help: "file with the CA certificate that the members' certificates are checked against (PEM)"},
		{name: "etcd-cert", value: value.Path(&e.Cert),
			help: "file with the certificate shown to etcd (PEM)"},
		{name: "etcd-key", value: value.Path(&e.Key),
			help: "file with that certificate's private key (PEM)"},
		{name: "etcd-username", value: value.Text(&e.Username),
			help: "user of etcd, where it asks for one"},
		{name: "etcd-password-file", value: value.Path(&e.PasswordFile),
			help: "file with that user's password"},
		{name: "etcd-wait", value: value.Duration(&e.Wait), def: "30s",
			help: "how long a start waits for an etcd that cannot be reached or has no leader"},
		{name: "store-stale", value: value.Duration(&e.Stale), def: "10s",
			help: "how long users and tokens are believed from memory when etcd does not say that they are as " +
				"they were; 0 to ask it at each request"},
		{name: "store-stale-secrets", value: value.Duration(&e.StaleSecrets), def: "0",
			help: "how long names and values of secrets are read from memory, as etcd's watch keeps them, when etcd " +
				"is silent; a change made at another server may then show some milliseconds later; 0 to ask etcd at " +
				"each request"},
		{name: "server-name", value: value.Text(&e.ServerName),
			help: "name of this server among several, in the audit log; the host's name where not set"},
		{name: "server-url", value: value.Text(&e.ServerURL),
			help: "URL at which the other servers reach this one, to ask for its audit log; where not set, the " +
				"host's name, or the address that it listens on, and its port"},
	}}
}

// engine takes InfluxDB's name for a file, too: units that say --store disk go on.
func engine(p *string) value.Value { return engineValue{value.OneOf(p, EngineBolt, EngineEtcd)} }

type engineValue struct{ value.Value }

func (v engineValue) Set(s string) error {
	if strings.EqualFold(s, "disk") {
		s = EngineBolt
	}
	return v.Value.Set(s)
}

// checkEtcd checks the settings of the cluster against each other.
func (c *Config) checkEtcd() error {
	e := &c.Etcd
	if c.Store == EngineEtcd && len(e.Endpoints) == 0 {
		return fmt.Errorf("%s: etcd needs --etcd-endpoints, the URLs of its members", c.Place("store"))
	}
	if u, err := url.Parse(e.ServerURL); err != nil || e.ServerURL != "" && (u.Host == "" || u.User != nil ||
		u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("%s: is not a URL without a user's name in it, such as https://a.example.com:8086",
			c.Place("server-url"))
	}
	secure := 0
	for _, endpoint := range e.Endpoints {
		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("%s: has an item that is not the URL of a member without a user's name in it, such as "+
				"https://127.0.0.1:2379", c.Place("etcd-endpoints"))
		}
		if u.Scheme == "https" {
			secure++
		}
	}
	var err error
	switch {
	case secure > 0 && secure < len(e.Endpoints):
		err = errors.New("https and http do not go together")
	case secure == 0 && (e.CACert != "" || e.Cert != "" || e.Key != "") && len(e.Endpoints) > 0:
		err = errors.New("needs https for --etcd-cacert, --etcd-cert and --etcd-key")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.Place("etcd-endpoints"), err)
	}
	for _, pair := range [][2]string{{"etcd-cert", "etcd-key"}, {"etcd-key", "etcd-cert"},
		{"etcd-username", "etcd-password-file"}, {"etcd-password-file", "etcd-username"}} {
		if c.Source(pair[0]) != "default" && c.Source(pair[1]) == "default" {
			return fmt.Errorf("%s: needs --%s too", c.Place(pair[0]), pair[1])
		}
	}
	return nil
}
