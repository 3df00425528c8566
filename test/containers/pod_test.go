package containers

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/test/daemon"
)

// file makes one of root's below a root folder.
func file(t *testing.T, dir, name string, content []byte, mode fs.FileMode, gid int) {
	t.Helper()
	at := filepath.Join(dir, name)
	must(t, os.MkdirAll(filepath.Dir(at), 0o755))
	must(t, os.WriteFile(at, content, 0o600))
	must(t, os.Chown(at, 0, gid))
	must(t, os.Chmod(at, mode))
}

// imageRoot makes what the Dockerfile's last stage has.
func imageRoot(t *testing.T, img *image) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755)) // whatever the umask
	for _, name := range []string{"influxd", "influx"} {
		program, err := os.ReadFile(filepath.Join(daemon.Bin(t), name))
		must(t, err)
		file(t, dir, "usr/bin/"+name, program, 0o755, 0)
	}
	file(t, dir, "etc/hosts", []byte("127.0.0.1 localhost\n"), 0o644, 0) // every runtime puts it there
	must(t, os.Mkdir(dir+img.volume, 0o777))
	must(t, os.Chmod(dir+img.volume, 0o777))
	return dir
}

// server is influxd, started as a container is.
type server struct {
	url    string
	client *http.Client
	dir    string
}

// inside is a program of the image, as a user, in the image's root. That is root's, and so not the user's to write.
func inside(t *testing.T, img *image, dir string, user uint32, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), dir+program, args...)
	cmd.Path, cmd.Dir, cmd.Err = program, "/", nil
	cmd.Env = []string{"PATH=/usr/bin"}
	for name, value := range img.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir, Credential: &syscall.Credential{Uid: user, Gid: user}}
	return cmd
}

// start starts the image's entry point with the variables of a pod.
func start(t *testing.T, img *image, dir string, user uint32, env []corev1.EnvVar) *server {
	t.Helper()
	// A flag counts before the image's variable: the port must be free, and on the loopback address.
	args := append(img.entrypoint[1:], "--http-bind-address", "127.0.0.1:0", "--log-format", "json")
	cmd := inside(t, img, dir, user, img.entrypoint[0], args...)
	pod := map[string]string{"POD_NAME": "keeper-0"}
	for _, e := range env {
		if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil {
			e.Value = pod[e.Name]
		}
		e.Value = strings.ReplaceAll(e.Value, "$(POD_NAME)", pod["POD_NAME"]) // as the kubelet does
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	stderr, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	s := &server{dir: dir, client: &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}} // as the kubelet does
	var log strings.Builder
	lines := bufio.NewScanner(stderr)
	for s.url == "" && lines.Scan() {
		log.WriteString(lines.Text() + "\n")
		var l struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &l) == nil && l.Msg == "listening" {
			s.url = l.URL
		}
	}
	if s.url == "" {
		t.Fatalf("influxd does not listen:\n%s", log.String())
	}
	go func() { _, _ = io.Copy(io.Discard, stderr) }()
	return s
}

// probed asks what the kubelet asks.
func (s *server) probed(t *testing.T, c *corev1.Container) {
	t.Helper()
	for _, p := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if scheme := strings.ToLower(string(p.HTTPGet.Scheme)); !strings.HasPrefix(s.url, scheme+"://") {
			t.Errorf("the probe asks by %s, the server is at %s", scheme, s.url)
		}
		resp, err := s.client.Get(s.url + p.HTTPGet.Path)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode < 200 || resp.StatusCode > 399 { // Kubernetes takes these for well
			t.Errorf("%s: status %d", p.HTTPGet.Path, resp.StatusCode)
		}
	}
}

// setUpAsThePageSays runs the docker exec of docs/install.md, in the server's root.
func (s *server) setUpAsThePageSays(t *testing.T, img *image, user uint32) {
	t.Helper()
	command := regexp.MustCompile(`(?m)^docker exec -i strongroom (influx setup .*) < password.txt$`).
		FindStringSubmatch(read(t, root+"/docs/install.md"))
	if command == nil {
		t.Fatal("docs/install.md sets no container up")
	}
	cmd := inside(t, img, s.dir, user, "/usr/bin/influx", append(strings.Fields(command[1])[1:], "--host", s.url)...)
	cmd.Stdin = strings.NewReader("correct horse battery\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", command[1], err, out)
	}
}

// needsRoot ends the test where this machine cannot start a process in a root of its own; in CI that is a failure.
func needsRoot(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "linux" && os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("this needs Linux and root")
	}
	t.Skip("this needs Linux and root")
}

// TestImage starts the image by itself, as its user and as another, with a new volume.
func TestImage(t *testing.T) {
	needsRoot(t)
	img := theImage(t)
	for _, user := range []uint32{uint32(img.uid), 1000} {
		t.Run(strconv.Itoa(int(user)), func(t *testing.T) {
			s := start(t, img, imageRoot(t, img), user, nil)
			s.setUpAsThePageSays(t, img, user)
			for _, made := range []string{img.env["INFLUXD_BOLT_PATH"], img.env["HOME"] + "/.influxdbv2/configs"} {
				if info, err := os.Stat(s.dir + made); err != nil || info.Mode().Perm()&0o077 != 0 {
					t.Errorf("%s: %v %v", made, info, err)
				}
			}
		})
	}
}

// TestPod starts the image as the chart's pod does, over a volume of each kind, and asks what its probes ask.
func TestPod(t *testing.T) {
	needsRoot(t)
	img, files := theImage(t), chartFiles(t)
	etcd := etcdtest.Shared(t)
	t.Cleanup(etcdtest.StopShared)
	for name, set := range map[string]string{
		"several": "sealKeySecret=key,env.INFLUXD_NEW_DATA=true,env.INFLUXD_STORE=etcd,replicas=2," +
			"env.INFLUXD_ETCD_ENDPOINTS=" + strings.Join(etcd.Endpoints(), `\,`) + ",env.INFLUXD_ETCD_PREFIX=x/",
		"defaults": "",
		"secrets":  "sealKeySecret=key,tlsSecret=tls,env.INFLUXD_NEW_DATA=true",
		"settings": "env.INFLUXD_HTTP_MAX_CONNECTIONS=1000000,env.INFLUXD_METRICS_DISABLED=true",
	} {
		r, err := render(files, flag(t, set))
		must(t, err)
		pod := r.pod()
		user, group := uint32(*pod.SecurityContext.RunAsUser), int(*pod.SecurityContext.FSGroup)
		for kind, volume := range map[string]struct {
			mode fs.FileMode
			gid  int
		}{
			"of the group": {0o775 | fs.ModeSetgid, group}, // fsGroup
			"of everybody": {0o777, 0},                     // what has no fsGroup: folders of the host
		} {
			t.Run(name+", volume "+kind, func(t *testing.T) {
				dir := imageRoot(t, img)
				must(t, os.Chown(dir+img.volume, 0, volume.gid))
				must(t, os.Chmod(dir+img.volume, volume.mode))
				for _, v := range pod.Volumes {
					for _, m := range container(r).VolumeMounts {
						if m.Name == v.Name {
							mountSecret(t, dir+m.MountPath, v.Secret, group)
						}
					}
				}
				env := slices.Clone(container(r).Env)
				for i := range env {
					if env[i].Name == "INFLUXD_ETCD_PREFIX" {
						env[i].Value = etcdtest.Prefix(t)
					}
				}
				start(t, img, dir, user, env).probed(t, container(r))
			})
		}
	}
}

// mountSecret makes the files of a Secret as the kubelet does: of root and the group.
func mountSecret(t *testing.T, dir string, s *corev1.SecretVolumeSource, group int) {
	t.Helper()
	mode := fs.FileMode(*s.DefaultMode)
	switch s.SecretName {
	case "key":
		key := make([]byte, 32)
		rand.Read(key)
		file(t, dir, "seal.key", []byte("strongroom-seal-key-1:"+base64.StdEncoding.EncodeToString(key)+"\n"), mode, group)
	case "tls":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		own := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
		cert, err := x509.CreateCertificate(rand.Reader, own, own, key.Public(), key)
		must(t, err)
		private, err := x509.MarshalPKCS8PrivateKey(key)
		must(t, err)
		file(t, dir, "tls.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), mode, group)
		file(t, dir, "tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), mode, group)
	default:
		t.Fatalf("no Secret %s", s.SecretName)
	}
}
