package containers

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/strvals"
	corev1 "k8s.io/api/core/v1"
)

func flag(t *testing.T, set string) map[string]any {
	t.Helper()
	values, err := strvals.Parse(set)
	must(t, err)
	return values
}

// leaves are the names of all values, as --set has them. An empty map is a value.
func leaves(values map[string]any) (all []string) {
	for name, v := range values {
		if m, ok := v.(map[string]any); ok && len(m) > 0 {
			for _, below := range leaves(m) {
				all = append(all, name+"."+below)
			}
			continue
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// changes has, for each value of values.yaml, another one, and what is then so.
var changes = map[string]struct {
	to    string
	holds func(*rendered) bool
}{
	"image.repository": {"example.com:5000/strongroom", imageIs("example.com:5000/strongroom:dev")},
	"image.tag":        {"v1.2.3", imageIs("strongroom:v1.2.3")},
	"image.pullPolicy": {"Always", func(r *rendered) bool { return container(r).ImagePullPolicy == "Always" }},
	"env":              {"{}", nil}, // below, as are these
	"secretEnv":        {"{}", nil},
	"files":            {"{}", nil},
	"replicas":         {"3", nil},
	"serviceAccount":   {"keeper", func(r *rendered) bool { return r.pod().ServiceAccountName == "keeper" }},
	"sealKeySecret":    {"1e3", secretIn("1e3", "INFLUXD_SEAL_KEY_FILE", "/seal.key")},
	"tlsSecret":        {"my-tls", secretIn("my-tls", "INFLUXD_TLS_CERT", "/tls.crt")},
	"persistence.size": {"2.5Ti", func(r *rendered) bool { return claimed(r) == "2560Gi" }},
	"resources.limits.memory": {"1G", func(r *rendered) bool {
		return container(r).Resources.Limits.Memory().Value() == 1e9
	}},
	"resources.requests.cpu": {"0.2", func(r *rendered) bool {
		return container(r).Resources.Requests.Cpu().MilliValue() == 200
	}},
	"resources.requests.memory": {"1M", func(r *rendered) bool {
		return container(r).Resources.Requests.Memory().Value() == 1e6
	}},
	"persistence.storageClass": {"fast", func(r *rendered) bool {
		return is(r.set.Spec.VolumeClaimTemplates[0].Spec.StorageClassName, "fast")
	}},
	"service.type": {"NodePort", func(r *rendered) bool { return r.service.Spec.Type == corev1.ServiceTypeNodePort }},
	"service.port": {"80", func(r *rendered) bool { return r.service.Spec.Ports[0].Port == 80 }},
}

func container(r *rendered) *corev1.Container { return &r.pod().Containers[0] }

func imageIs(name string) func(*rendered) bool {
	return func(r *rendered) bool { return container(r).Image == name }
}

func claimed(r *rendered) string {
	return r.set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String()
}

// variable is one of the container's.
func variable(r *rendered, name string) string {
	for _, e := range container(r).Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// secretIn holds where a variable leads to a file of a Secret.
func secretIn(secret, name, file string) func(*rendered) bool {
	return func(r *rendered) bool {
		volume := ""
		for _, v := range r.pod().Volumes {
			if v.Secret != nil && v.Secret.SecretName == secret {
				volume = v.Name
			}
		}
		for _, m := range container(r).VolumeMounts {
			if m.Name == volume {
				return variable(r, name) == m.MountPath+file
			}
		}
		return false
	}
}

func TestValues(t *testing.T) {
	files, img := chartFiles(t), theImage(t)
	c, err := loadChart(files)
	must(t, err)
	all := leaves(c.Values)
	if rows := slices.Sorted(maps.Keys(changes)); !slices.Equal(all, rows) {
		t.Errorf("values.yaml has\n%v, tried are\n%v", all, rows)
	}
	made := func(t *testing.T, set map[string]any) *rendered {
		t.Helper()
		r, err := render(files, set)
		must(t, err)
		for _, p := range chartProblems(r, img) {
			t.Error(p)
		}
		return r
	}
	plain := made(t, nil)
	if user := plain.pod().SecurityContext; user.RunAsUser != nil && user.RunAsGroup != nil &&
		(uint64(*user.RunAsUser) != img.uid || uint64(*user.RunAsGroup) != img.gid) {
		t.Error("the pod's user is not the image's")
	}
	found := regexp.MustCompile(`--shutdown-timeout DURATION\n[^(]*\(default (\w+)\)`).
		FindStringSubmatch(read(t, root+"/docs/configuration.md"))
	if found == nil {
		t.Fatal("docs/configuration.md has no --shutdown-timeout")
	}
	shutdown, err := time.ParseDuration(found[1])
	must(t, err)
	if grace := plain.pod().TerminationGracePeriodSeconds; grace == nil ||
		time.Duration(*grace)*time.Second <= shutdown {
		t.Errorf("the pod is killed before its %v for the last requests have gone by", shutdown)
	}
	everything := make(map[string]any)
	for name, c := range changes {
		if c.holds == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			if c.holds(plain) {
				t.Error("it is so without the value, too")
			}
			if r := made(t, flag(t, name+"="+c.to)); !c.holds(r) {
				t.Errorf("%s is not in\n%s", c.to, show(t, r))
			}
		})
		must(t, strvals.ParseInto(name+"="+c.to, everything))
	}
	t.Run("all at once", func(t *testing.T) {
		r := made(t, everything)
		for name, c := range changes {
			if c.holds != nil && !strings.HasPrefix(name, "image.") && !c.holds(r) {
				t.Errorf("%s is not so", name)
			}
		}
		if want := changes["image.repository"].to + ":" + changes["image.tag"].to; !imageIs(want)(r) {
			t.Errorf("the image is %s, want %s", container(r).Image, want)
		}
	})
	t.Run("env", func(t *testing.T) {
		// From a file, numbers are what JSON has them for.
		fromFile, err := chartutil.ReadValues([]byte("env:\n  INFLUXD_HTTP_MAX_CONNECTIONS: 1000000\n" +
			"  INFLUXD_METRICS_DISABLED: true\n  INFLUXD_INSTANCE: \"a: 'b' \\\"c\\\" #d\"\n"))
		must(t, err)
		for _, set := range []map[string]any{fromFile, flag(t, "env.INFLUXD_HTTP_MAX_CONNECTIONS=1000000,"+
			`env.INFLUXD_METRICS_DISABLED=true,env.INFLUXD_INSTANCE=a: 'b' "c" #d`)} {
			r := made(t, set)
			if variable(r, "INFLUXD_HTTP_MAX_CONNECTIONS") != "1000000" || variable(r, "INFLUXD_METRICS_DISABLED") != "true" ||
				variable(r, "INFLUXD_INSTANCE") != `a: 'b' "c" #d` {
				t.Errorf("the variables are %v", container(r).Env)
			}
		}
		if is(plain.pod().AutomountServiceAccountToken, true) {
			t.Error("the pod has a token of the cluster's without need")
		}
		r := made(t, flag(t, "env.INFLUXD_VAULT_AUTH_METHOD=kubernetes"))
		if !is(r.pod().AutomountServiceAccountToken, true) {
			t.Error("the pod has no token to show to Vault")
		}
	})
}

// TestSecretsAndFiles has variables and files from Secrets and ConfigMaps.
func TestSecretsAndFiles(t *testing.T) {
	r, err := render(chartFiles(t), flag(t, "secretEnv.INFLUXD_VAULT_TOKEN.secret=0x1,"+
		"secretEnv.INFLUXD_VAULT_TOKEN.key=a.token,files.vault.configMap=vault-ca,files.etcd.secret=etcd-client,"+
		"env.INFLUXD_VAULT_CACERT=/etc/strongroom/files/vault/ca.crt,"+
		"env.INFLUXD_ETCD_CERT=/etc/strongroom/files/etcd/tls.crt"))
	must(t, err)
	for _, p := range chartProblems(r, theImage(t)) {
		t.Error(p)
	}
	found := false
	for _, e := range container(r).Env {
		if e.Name == "INFLUXD_VAULT_TOKEN" {
			from := e.ValueFrom.SecretKeyRef
			found = e.Value == "" && from.Name == "0x1" && from.Key == "a.token" && from.Optional == nil
		}
	}
	if !found {
		t.Errorf("the token is not the Secret's in\n%s", show(t, r))
	}
	if !secretIn("etcd-client", "INFLUXD_ETCD_CERT", "/tls.crt")(r) {
		t.Error("the Secret's files are not where they are looked for")
	}
	if !slices.ContainsFunc(r.pod().Volumes, func(v corev1.Volume) bool {
		return v.ConfigMap != nil && v.ConfigMap.Name == "vault-ca"
	}) {
		t.Error("the ConfigMap is not mounted")
	}
}

// TestReplicas has several servers, over etcd alone.
func TestReplicas(t *testing.T) {
	const etcd = "env.INFLUXD_STORE=etcd,env.INFLUXD_ETCD_ENDPOINTS=http://etcd:2379,"
	for _, set := range []string{etcd, etcd + "replicas=3,sealKeySecret=key", etcd + "replicas=3,env.INFLUXD_SEAL=transit",
		etcd + "replicas=2,sealKeySecret=key,tlsSecret=tls"} {
		r, err := render(chartFiles(t), flag(t, strings.TrimSuffix(set, ",")))
		must(t, err)
		for _, p := range chartProblems(r, theImage(t)) {
			t.Errorf("%s: %s", set, p)
		}
		if !strings.Contains(set, "replicas="+strconv.Itoa(int(*r.set.Spec.Replicas))) && *r.set.Spec.Replicas != 1 {
			t.Errorf("%s: %d replicas", set, *r.set.Spec.Replicas)
		}
	}
}

// TestMistakenValues holds that a mistake is named.
func TestMistakenValues(t *testing.T) {
	files := chartFiles(t)
	for set, want := range map[string]string{
		"sealkeysecret=x":                  "'sealkeysecret'",
		"image.name=x":                     "'name'",
		"image.tag=110":                    "/image/tag",
		"image.repository=x:latest":        "/image/repository",
		"image.repository=":                "/image/repository",
		"image.pullPolicy=always":          "/image/pullPolicy",
		"image=strongroom":                 "/image",
		"env=null":                         "'env'",
		"env={A,B}":                        "/env",
		"env.A-B=x":                        "A-B",
		"env.A.B=x":                        "/env/A",
		"env.INFLUXD_SEAL_KEY_FILE=/x":     "env.INFLUXD_SEAL_KEY_FILE must not be set: sealKeySecret",
		"env.INFLUXD_TLS_CERT=/x":          "env.INFLUXD_TLS_CERT must not be set: tlsSecret",
		"env.INFLUXD_TLS_KEY=/x":           "env.INFLUXD_TLS_KEY must not be set: tlsSecret",
		"env.INFLUXD_TLS_CLIENT_CACERT=/x": "env.INFLUXD_TLS_CLIENT_CACERT must not be set",
		"env.INFLUXD_HTTP_BIND_ADDRESS=:1": "env.INFLUXD_HTTP_BIND_ADDRESS must not be set",
		"sealKeySecret=My_Key":             "/sealKeySecret",
		"sealKeySecret.name=key":           "/sealKeySecret",
		"tlsSecret=-x":                     "/tlsSecret",
		"persistence.size=1GB":             "/persistence/size",
		"persistence.size=10":              "/persistence/size",
		"persistence.storageClass=Fast":    "/persistence/storageClass",
		"persistence=false":                "/persistence",
		"resources.limit.memory=1Gi":       "'limit'",
		"resources.limits=1Gi":             "/resources/limits",
		"resources.limits.memory=1GB":      "/resources/limits/memory",
		"service.type=ExternalName":        "/service/type",
		"service.port=65536":               "/service/port",
		"service.port=http":                "/service/port",
		"service.port=0":                   "/service/port",
		"replicas=2":                       "replicas above 1 need env.INFLUXD_STORE=etcd",
		"secretEnv.INFLUXD_STORE.secret=x,secretEnv.INFLUXD_STORE.key=y": "secretEnv.INFLUXD_STORE must not be set",
		"env.INFLUXD_STORE=etcd,env.POD_NAME=x":                          "env.POD_NAME must not be set",
		"replicas=0":                                                     "/replicas",
		"serviceAccount=My":                                              "/serviceAccount",
		"secretEnv.A=x":                                                  "/secretEnv/A",
		"secretEnv.A.secret=x":                                           "'key'",
		"secretEnv.A-B.secret=x":                                         "A-B",
		"files.vault=x":                                                  "/files/vault",
		"files.Vault.secret=x":                                           "Vault",
		"files.a.secret=x,files.a.configMap=y":                           "/files/a",
		"env.A=x,secretEnv.A.secret=x,secretEnv.A.key=y":                 "A is in env and in secretEnv",
		"secretEnv.INFLUXD_TLS_KEY.secret=x,secretEnv.INFLUXD_TLS_KEY.key=y": "secretEnv.INFLUXD_TLS_KEY must not be set",
		"replicas=2,env.INFLUXD_STORE=etcd":                                  "set sealKeySecret",
		"env.INFLUXD_STORE=etcd,env.INFLUXD_SERVER_NAME=one":                 "env.INFLUXD_SERVER_NAME must not be set",
	} {
		if _, err := render(files, flag(t, set)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, got: %v", set, want, err)
		}
	}
}

// TestBrokenChart holds that what is wrong is seen.
func TestBrokenChart(t *testing.T) {
	files, img := chartFiles(t), theImage(t)
	const set, service = "templates/statefulset.yaml", "templates/service.yaml"
	for _, c := range []struct{ file, old, with, want string }{
		{"Chart.yaml", "version: 0.1.0", "version: one", "version"},
		{"Chart.yaml", "name: strongroom", "title: strongroom", "name"},
		{set, "{{- end }}", "", "unexpected EOF"},
		{set, ".Values.image.pullPolicy", ".Values.image.pullpolicy", "pullpolicy"},
		{set, "replicas: {{ .Values.replicas }}", "replicas: 2", "replicas"},
		{set, "replicas: {{", "replica: {{", `unknown field "spec.replica"`},
		{set, "replicas: {{ .Values.replicas }}", "replicas: one", "replicas"},
		{set, "apps/v1", "apps/v2", "apps/v2 StatefulSet is not looked at"},
		{set, "runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"},
		{set, "runAsNonRoot: true", "runAsNonroot: true", "runAsNonroot"},
		{set, "runAsUser: 65532", "runAsUser: 0", "runAsUser"},
		{set, "runAsGroup: 65532", "runAsGroup: 0", "runAsGroup"},
		{set, "fsGroup: 65532", "fsGroup: 1", "fsGroup"},
		{set, "RuntimeDefault", "Unconfined", "seccompProfile"},
		{set, "allowPrivilegeEscalation: false", "privileged: true", "allowPrivilegeEscalation"},
		{set, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRootFilesystem"},
		{set, "drop: [ALL]", "drop: [NET_RAW]", "capabilities"},
		{set, "drop: [ALL]", "drop: [ALL], add: [SYS_ADMIN]", "capabilities"},
		{set, "enableServiceLinks: false", "hostNetwork: true", "host"},
		{set, "enableServiceLinks: false", "enableServiceLinks: true", "enableServiceLinks"},
		{set, "terminationGracePeriodSeconds: 45", "hostPID: true", "terminationGracePeriodSeconds"},
		{set, "containerPort: 9999", "containerPort: 8086", "the port is 8086"},
		{set, "livenessProbe:", "livenessprobe:", "livenessprobe"},
		{set, "path: /ping, port: api", "path: /ping, port: http", "asks another port"},
		{set, `ternary "HTTPS" "HTTP"`, `ternary "HTTP" "HTTP"`, "asks by HTTP"},
		{set, "mountPath: /data", "mountPath: /var/lib", "the data are not at /data"},
		{set, "name: data, mountPath", "name: date, mountPath", "no volume date"},
		{set, "value: /etc/strongroom/key", "value: /etc/strongroom/keys", "nothing is mounted"},
		{set, "tls, readOnly: true", "tls", "readOnly"},
		{set, "defaultMode: 0440", "defaultMode: 0444", "defaultMode"},
		{set, "ReadWriteOnce", "ReadWriteMany", "accessModes"},
		{set, "storage: {{", "memory: {{", "no size"},
		{set, "- {name: api, containerPort", "- {name: influxdb-api, containerPort", "the port is -1"},
		{set, "          env:\n", "          env:\n            - {name: INFLUXD_TLS_CERT, value: x}\n", "there twice"},
		{set, "          env:\n", "          args: [--config-path=/x]\n          env:\n", "entry point"},
		{service, "targetPort: api", "targetPort: http", "another port than api"},
		{service, "selector:\n", "selector:\n    app: other\n", "the Service's selector"},
		{service, "kind: Service", "kind: Servlet", "Servlet is not looked at"},
		{service, "port: {{", "port: x{{", "port"},
		{service, "  type:", "  typ:", `unknown field "spec.typ"`},
		{service, "publishNotReadyAddresses: true", "publishNotReadyAddresses: false", "has no name"},
		{service, "maxUnavailable: 1", "minAvailable: 1", "maxUnavailable"},
		{service, "kind: PodDisruptionBudget", "kind: PodBudget", "PodBudget is not looked at"},
		{set, "-servers{{ end }}", "{{ end }}", "serviceName"},
		{set, "-servers.{{", ".{{", "cannot reach it"},
	} {
		broken := maps.Clone(files)
		if broken[c.file] = strings.Replace(files[c.file], c.old, c.with, 1); broken[c.file] == files[c.file] {
			t.Errorf("%s has no %q", c.file, c.old)
			continue
		}
		var all string
		for _, etcd := range []string{"", ",env.INFLUXD_STORE=etcd"} {
			r, err := render(broken, flag(t, "sealKeySecret=key,tlsSecret=tls"+etcd))
			if err != nil {
				all += err.Error()
			} else {
				all += strings.Join(chartProblems(r, img), "\n")
			}
		}
		if !strings.Contains(all, c.want) {
			t.Errorf("with %q for %q: want %q, got: %s", c.with, c.old, c.want, all)
		}
	}
}

// TestInstallPage renders the chart as docs/install.md says.
func TestInstallPage(t *testing.T) {
	found := regexp.MustCompile(`(?m)^helm install \S+ packaging/helm/strongroom((?: --set \S+)+)$`).
		FindAllStringSubmatch(read(t, root+"/docs/install.md"), -1)
	if len(found) == 0 {
		t.Fatal("docs/install.md installs no chart")
	}
	for _, command := range found {
		values := make(map[string]any)
		for _, set := range strings.Split(command[1], " --set ")[1:] {
			must(t, strvals.ParseInto(set, values))
		}
		r, err := render(chartFiles(t), values)
		if err != nil {
			t.Errorf("%s: %v", command[0], err)
			continue
		}
		for _, p := range chartProblems(r, theImage(t)) {
			t.Errorf("%s: %s", command[0], p)
		}
	}
}
