package walkthrough

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/internal/secret/vault/vaulttest"
	"strongroom/test/daemon"
)

// ssh and scp reach another machine, which is a folder beside this one's.
const (
	ssh = `#!/bin/sh -e
cd "$HOME/../$1"
export HOME="$PWD"
shift
exec sh -c "$*"
`
	scp = `#!/bin/sh -e
[ "$1" = -pq ]
exec cp -p "$2" "$HOME/../${3%%:*}/${3#*:}"
`
)

// TestSeveral goes from one server to three on etcd, over TLS, and back to one, with a folder in the place of each
// machine.
func TestSeveral(t *testing.T) {
	blocks := readBlocks(t, "docs/several.md")
	homes, bin, tools := t.TempDir(), daemon.Bin(t), t.TempDir()
	write(t, filepath.Join(tools, "ssh"), ssh, 0o700)
	write(t, filepath.Join(tools, "scp"), scp, 0o700)

	authority := vaulttest.NewAuthority(t, "etcd")
	trusted := authority.File(t, tools)
	cert, key := authority.Issue(t, tools, "member", "127.0.0.1")
	cluster := etcdtest.Start(t, 3, "-cert", cert, "-key", key, "-client-ca", trusted)

	names := []string{"a", "b", "c"}
	ends := []string{"https://a:2379,https://b:2379,https://c:2379", strings.Join(cluster.Endpoints(), ","),
		"https://a:2379", cluster.Endpoints()[0]}
	hosts := "http://$host:9999"
	ports := make(map[string]string)
	byName := "http://localhost:$("
	for _, name := range names {
		ports[name] = freePort(t)
		ends = append(ends, "http://"+name+":9999", "http://localhost:"+ports[name])
		byName += "test $host = " + name + " && echo " + ports[name] + ";"
	}
	ends = append(ends, hosts, byName+")")
	machines := make(map[string]*walk)
	for _, name := range names {
		home := filepath.Join(homes, name)
		tls := filepath.Join(home, "tls")
		if err := os.MkdirAll(tls, 0o700); err != nil {
			t.Fatal(err)
		}
		own, ownKey := authority.Issue(t, tls, "server")
		for from, to := range map[string]string{trusted: "ca.pem", own: "server.pem", ownKey: "server.key"} {
			b, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(tls, to), string(b), 0o600)
		}
		w := &walk{t: t, home: home, fix: strings.NewReplacer(ends...), env: append(os.Environ(), "HOME="+home,
			"PATH="+tools+":"+bin+":"+os.Getenv("PATH"), "INFLUXD_HTTP_BIND_ADDRESS=127.0.0.1:"+ports[name],
			"INFLUXD_SERVER_NAME="+name)} // in the place of the machine's name
		w.startShell()
		machines[name] = w
	}

	// The one server that there is before.
	a := machines["a"]
	a.startServer(block{cmds: []command{{"influxd", []string{"Data:     ~/.strongroom/influxd.bolt…"}}}})
	a.typed(command{line: "curl -sf --retry 30 --retry-connrefused http://a:9999/ready -o /dev/null"})
	a.typed(command{line: "head -c 18 /dev/urandom | base64 > ~/password; influx setup --host http://a:9999 --force " +
		"--username admin --password-file ~/password --org my-org --bucket my-bucket > /dev/null"})

	every, runs := 0, 0
	for _, blk := range blocks {
		switch blk.kind {
		case "":
			for _, c := range blk.cmds {
				if strings.HasPrefix(c.line, "influxd store copy") { // "Stop the server", "Stop all servers"
					for _, name := range names {
						machines[name].stopServer()
					}
				}
				a.typed(c)
			}
		case "every":
			every++
			for _, name := range names {
				machines[name].startServer(blk)
			}
		case "run":
			runs++
			a.startServer(blk)
		default:
			t.Fatalf("docs/several.md has a block of unknown kind %q", blk.kind)
		}
	}
	if every != 1 || runs != 1 {
		t.Errorf("three servers were started %d times, and one %d times", every, runs)
	}
	a.stopServer()
}

// write makes a file of the mode.
func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(f, content)
	if closed := f.Close(); err != nil || closed != nil {
		t.Fatal(err, closed)
	}
}
