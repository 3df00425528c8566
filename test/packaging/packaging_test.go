// Package packaging makes a release and uses it as a machine does that gets it: the Debian package is installed into a
// copy of this machine's system that goes away with the test, started as its unit says, upgraded and removed.
package packaging

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

const root = "../.."

// run runs a command and gives its output, which must not be an error.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// needs ends the test where the machine has not what it takes; in CI that is a failure.
func needs(t *testing.T, ok bool, what string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("this needs %s", what)
	}
	t.Skipf("this needs %s", what)
}

// release makes one for this machine, in a copy of the repository's files.
func release(t *testing.T, version string) (dir string) {
	t.Helper()
	target := "linux/" + runtime.GOARCH
	run(t, root, nil, "make", "release", "TARGETS="+target, "VERSION="+version)
	dir = t.TempDir()
	run(t, root, nil, "cp", "-r", "build/release/.", dir)
	return dir
}

func sums(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, p))
		all[p] = fmt.Sprintf("%x", sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRelease(t *testing.T) {
	needs(t, runtime.GOOS == "linux", "Linux")
	first := release(t, "v1.2.3")
	all := sums(t, first)
	if len(all) != 5 { // an archive, a package, two lists of what is in them, the checksums
		t.Errorf("a release is %v", all)
	}
	again := sums(t, release(t, "v1.2.3"))
	for name, sum := range all {
		if again[name] != sum {
			t.Errorf("%s is another when it is made once more", name)
		}
	}
	checked := run(t, first, nil, "sha256sum", "-c", "SHA256SUMS")
	if n := strings.Count(checked, ": OK\n"); n != len(all)-1 {
		t.Errorf("the checksums are of %d files: %s", n, checked)
	}
	deb := glob(t, first, "*.deb")
	t.Run("package", func(t *testing.T) { testPackage(t, deb) })
	t.Run("unit", func(t *testing.T) { testUnit(t, deb) })
}

func glob(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v %v", pattern, found, err)
	}
	return found[0]
}

// testUnit has systemd itself look at the unit.
func testUnit(t *testing.T, deb string) {
	_, err := exec.LookPath("systemd-analyze")
	needs(t, err == nil, "systemd-analyze")
	dir := t.TempDir()
	run(t, dir, nil, "dpkg-deb", "-x", deb, dir)
	unit := filepath.Join(dir, "usr/lib/systemd/system/strongroom.service")
	b, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	// The program is not in /usr/bin of this machine, and neither are its manual pages.
	b = bytes.ReplaceAll(b, []byte("=/usr/bin/influxd"), []byte("="+dir+"/usr/bin/influxd"))
	b = regexp.MustCompile(`(?m)^Documentation=.*\n`).ReplaceAll(b, nil)
	if err := os.WriteFile(unit, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(t, dir, nil, "systemd-analyze", "verify", "--man=no", unit); strings.Contains(out,
		"strongroom.service:") {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
	// 20 of 100: what is left is the network.
	run(t, dir, nil, "systemd-analyze", "security", "--offline=true", "--threshold=20", unit)
}

// testPackage installs the package into a copy of the system, by an overlay in a mount namespace of its own.
func testPackage(t *testing.T, deb string) {
	needs(t, os.Geteuid() == 0, "root")
	_, err := exec.LookPath("dpkg")
	needs(t, err == nil, "dpkg")
	needs(t, exec.Command("unshare", "-m", "true").Run() == nil, "mount namespaces")
	script := filepath.Join(t.TempDir(), "script")
	// The server is started as the unit has it: as its own user, with its own folders.
	if err := os.WriteFile(script, []byte(`set -eux
mkdir -p /tmp/overlay
mount -t tmpfs none /tmp/overlay
mkdir /tmp/overlay/{upper,work,root}
mount -t overlay overlay -o lowerdir=/,upperdir=/tmp/overlay/upper,workdir=/tmp/overlay/work /tmp/overlay/root
mount -t proc proc /tmp/overlay/root/proc
cp "$DEB" /tmp/overlay/root/strongroom.deb
chroot /tmp/overlay/root bash -eux <<'END'
dpkg -i --force-depends /strongroom.deb
dpkg -s strongroom | grep -q '^Status: install ok installed'
test "$(stat -c %U:%G:%a /etc/strongroom/config.toml)" = root:strongroom:640
zcat /usr/share/man/man1/influx.1.gz | grep -q '^.TH influx 1'
zcat /usr/share/man/man8/influxd.8.gz | grep -q -- '--bolt-path'
test -s /usr/share/doc/strongroom/docs/install.md
influxd version | grep -q '^Strongroom v1.2.3 '
as() { setpriv --reuid strongroom --regid strongroom --clear-groups --no-new-privs --bounding-set=-all "$@"; }
install -d -o strongroom -g strongroom -m 0700 /var/lib/strongroom /var/log/strongroom
cd /
as influxd print-config --config-path /etc/strongroom/config.toml | grep -q 'bolt-path: "/var/lib/strongroom/influxd.bolt"'
as influxd --config-path /etc/strongroom/config.toml --http-bind-address 127.0.0.1:0 --pid-file /var/lib/strongroom/pid >/tmp/out 2>&1 &
for i in $(seq 300); do grep -q '^Onboard:' /tmp/out && break; sleep 0.1; done
host=$(sed -n 's/^Onboard:.*--host \([^ ]*\).*/\1/p' /tmp/out)
printf 'correct horse' | influx setup --host "$host" --force -u ada --password-file - -o acme -b b
printf 'bar' | influx secret update -k foo --value-file -
kill -TERM "$(cat /var/lib/strongroom/pid)"
wait $!
test -s /var/log/strongroom/audit.log
echo '# mine' >>/etc/strongroom/config.toml
dpkg -i --force-depends /strongroom.deb
grep -q '^# mine' /etc/strongroom/config.toml
dpkg --purge strongroom | grep -q 'remove them by hand'
test -s /var/lib/strongroom/influxd.bolt
test ! -e /usr/bin/influxd
END
`), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, t.TempDir(), []string{"DEB=" + deb, "HOME=/root"}, "unshare", "-m", "bash", script)
}
