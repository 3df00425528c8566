// Package walkthrough types what pages tell a person to type, every line of it, with the real programs, curl and a real Vault.
package walkthrough

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"strongroom/internal/porttest"
	"strongroom/internal/secret/vault/vaulttest"
)

const root = "../.."

// block is one fenced block of a page: "sh" is typed in, "sh run" and "sh vault" start the server.
type block struct {
	kind string
	cmds []command
}

// command is a line to type, with the lines that are expected back. In those, "…" stands for anything and <org-id> for
// the organisation's ID.
type command struct {
	line string
	want []string
}

var heredoc = regexp.MustCompile(`<<'?([A-Z]+)'?$`)

func readBlocks(t *testing.T, page string) []block {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	for _, m := range regexp.MustCompile("(?ms)^```sh( \\w+)?\n(.*?)^```").FindAllStringSubmatch(string(b), -1) {
		blk := block{kind: strings.TrimSpace(m[1])}
		within := "" // what ends the text that a command takes from the lines below it
		for line := range strings.Lines(m[2]) {
			line = strings.TrimSuffix(line, "\n")
			if within != "" {
				blk.cmds[len(blk.cmds)-1].line += "\n" + line
				if line == within {
					within = ""
				}
				continue
			}
			if here := heredoc.FindStringSubmatch(line); here != nil {
				within = here[1]
			}
			if out, ok := strings.CutPrefix(line, "# "); ok {
				last := &blk.cmds[len(blk.cmds)-1]
				last.want = append(last.want, out)
			} else {
				blk.cmds = append(blk.cmds, command{line: line})
			}
		}
		blocks = append(blocks, blk)
	}
	return blocks
}

// TestREADME walks through the README: the embedded store, then Vault.
func TestREADME(t *testing.T) { walkThrough(t, "README.md", 6) }

// TestProduction goes from nothing to a service with TLS and Vault, and back from a lost disk.
func TestProduction(t *testing.T) { walkThrough(t, "docs/production.md", 10) }

// walkThrough types all blocks of a page that has at least so many.
func walkThrough(t *testing.T, page string, least int) {
	t.Helper()
	blocks := readBlocks(t, page)
	if len(blocks) < least {
		t.Fatalf("%s has %d blocks to run; the walk-through has more", page, len(blocks))
	}
	v := vaulttest.Start(t)
	home := t.TempDir()
	port := freePort(t)
	w := &walk{t: t, home: home, fix: strings.NewReplacer(
		"localhost:9999", "localhost:"+port, "VAULT_ADDR='http://127.0.0.1:8200'", "VAULT_ADDR='"+v.Address+"'",
		"VAULT_TOKEN='…'", "VAULT_TOKEN='"+v.RootToken+"'",
	), env: append(goCaches(t), "HOME="+home, "PATH="+vaultCommand(t)+":"+os.Getenv("PATH"),
		"INFLUXD_HTTP_BIND_ADDRESS=127.0.0.1:"+port, "INFLUX_HOST=http://localhost:"+port)}
	w.startShell()
	for _, blk := range blocks {
		switch blk.kind {
		case "":
			for _, c := range blk.cmds {
				w.typed(c)
			}
		case "run", "vault":
			w.startServer(blk)
		default:
			t.Fatalf("%s has a block of unknown kind %q", page, blk.kind)
		}
	}
	w.stopServer()
}

// vaultCommand is a folder that has the vault command.
func vaultCommand(t *testing.T) string {
	t.Helper()
	path := os.Getenv("STRONGROOM_TEST_VAULT_COMMAND")
	if path == "" {
		t.Fatal("set STRONGROOM_TEST_VAULT_COMMAND to the vault command (make test-modules builds it: .cache/bin/vault)")
	}
	return filepath.Dir(path)
}

// goCaches is the environment with Go's caches where they are, although HOME will be another: make run need not fetch
// and compile everything again.
func goCaches(t *testing.T) []string {
	env := os.Environ()
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(out)))
	}
	return env
}

func freePort(t *testing.T) string {
	_, port, err := net.SplitHostPort(porttest.Address(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// walk is one person at two terminals: a shell, and the server.
type walk struct {
	t      *testing.T
	home   string
	fix    *strings.Replacer
	env    []string
	stdin  io.Writer
	stdout *bufio.Reader
	server *exec.Cmd
	org    string
}

const endOfCommand = "--- end of command, status "

func (w *walk) startShell() {
	sh := exec.Command("bash")
	sh.Dir, sh.Env = root, w.env
	var stderr bytes.Buffer
	sh.Stderr = &stderr
	in, err := sh.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := sh.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := sh.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		in.Close()
		if err := sh.Wait(); err != nil || w.t.Failed() {
			w.t.Logf("the shell: %v; its errors:\n%s", err, stderr.String())
		}
	})
	w.stdin, w.stdout = in, bufio.NewReader(out)
}

// typed types one line and compares what comes back.
func (w *walk) typed(c command) {
	w.t.Helper()
	line := w.fix.Replace(c.line)
	fmt.Fprintln(w.stdin, line)
	if strings.HasPrefix(line, "read ") {
		fmt.Fprintln(w.stdin, "a password for the walk") // what the person types
	}
	fmt.Fprintf(w.stdin, "echo \"%s$?\"\n", endOfCommand)
	var got []string
	for {
		out, err := w.stdout.ReadString('\n')
		if err != nil {
			w.t.Fatalf("%s: the shell ended: %v", c.line, err)
		}
		before, status, ended := strings.Cut(strings.TrimSuffix(out, "\n"), endOfCommand)
		if !ended {
			got = append(got, before)
			continue
		}
		if before != "" { // output without a line break at its end
			got = append(got, before)
		}
		if status != "0" {
			w.t.Fatalf("%s: status %s, output %q", c.line, status, got)
		}
		break
	}
	if strings.HasPrefix(line, "ORG_ID=") {
		w.org = w.ask("echo $ORG_ID")
		if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(w.org) {
			w.t.Fatalf("%s: the ID is %q", c.line, w.org)
		}
	}
	if len(got) != len(c.want) {
		w.t.Fatalf("%s\nprinted %q\nwant    %q", c.line, got, c.want)
	}
	for i := range got {
		w.compare(c.line, got[i], c.want[i])
	}
}

func (w *walk) ask(line string) string {
	fmt.Fprintln(w.stdin, line)
	out, err := w.stdout.ReadString('\n')
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func (w *walk) compare(line, got, want string) {
	w.t.Helper()
	pattern := regexp.QuoteMeta(strings.ReplaceAll(w.fix.Replace(want), "~", w.home))
	pattern = strings.ReplaceAll(pattern, "…", ".*")
	pattern = strings.ReplaceAll(pattern, "<org-id>", w.org)
	pattern = strings.ReplaceAll(pattern, "\t", "\t+") // how many tabs fill a column depends on what stands in it
	if !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
		w.t.Errorf("%s\nprinted %s\nwant    %s", line, got, want)
	}
}

// startServer runs a block in the second terminal and waits for the first line it promises. Exports are typed in the
// first one too, where the rest of the walk needs them.
func (w *walk) startServer(blk block) {
	w.t.Helper()
	w.stopServer()
	var script []string
	var last command
	for _, c := range blk.cmds {
		last = c
		script = append(script, w.fix.Replace(c.line))
		if strings.HasPrefix(c.line, "export ") {
			w.typed(c)
		}
	}
	script[len(script)-1] = "exec " + script[len(script)-1]
	cmd := exec.Command("bash", "-c", strings.Join(script, "\n"))
	cmd.Dir, cmd.Env = root, w.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // make, and the server below it
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.server = cmd
	w.t.Cleanup(w.stopServer)
	ready := make(chan string, 1)
	go func() {
		defer close(ready)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			if len(last.want) > 0 && strings.HasPrefix(sc.Text(), "Data:") {
				ready <- sc.Text()
			}
		}
	}()
	select {
	case first, ok := <-ready:
		if !ok {
			w.t.Fatalf("%s ended:\n%s", last.line, stderr.String())
		}
		w.compare(last.line, first, last.want[0])
	case <-time.After(5 * time.Minute): // make run builds first
		w.t.Fatalf("%s: nothing after five minutes:\n%s", last.line, stderr.String())
	}
}

// stopServer ends the server as Ctrl-C would.
func (w *walk) stopServer() {
	if w.server == nil {
		return
	}
	if err := syscall.Kill(-w.server.Process.Pid, syscall.SIGINT); err != nil {
		w.t.Errorf("stopping the server: %v", err)
	}
	_ = w.server.Wait() // make reports the interrupt as an error
	w.server = nil
}
