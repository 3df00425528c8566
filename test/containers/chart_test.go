// Package containers looks at the Helm chart and the Dockerfile without a cluster and without Docker: Helm's own
// engine renders the chart, Kubernetes' own types read what comes out, BuildKit's own parser reads the Dockerfile, and
// what the image would hold is started as the pod starts it.
package containers

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

const (
	root     = "../.."
	chartDir = root + "/packaging/helm/strongroom"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// chartFiles are the chart's, by their paths.
func chartFiles(t *testing.T) map[string]string {
	t.Helper()
	files := make(map[string]string)
	must(t, fs.WalkDir(os.DirFS(chartDir), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(chartDir, p))
		files[p] = string(b)
		return err
	}))
	return files
}

func loadChart(files map[string]string) (*chart.Chart, error) {
	var buffered []*loader.BufferedFile
	for name, text := range files {
		buffered = append(buffered, &loader.BufferedFile{Name: name, Data: []byte(text)})
	}
	c, err := loader.LoadFiles(buffered)
	if err != nil {
		return nil, err
	}
	return c, c.Validate()
}

// rendered is what the chart makes.
type rendered struct {
	set      *appsv1.StatefulSet
	service  *corev1.Service
	headless *corev1.Service               // the pods' names, with etcd
	budget   *policyv1.PodDisruptionBudget // with etcd
}

func (r *rendered) pod() *corev1.PodSpec { return &r.set.Spec.Template.Spec }

// render renders the chart's files with values that are set, and reads what comes out. It does what `helm install`
// does, and more: a value that does not exist is an error.
func render(files map[string]string, set map[string]any) (*rendered, error) {
	c, err := loadChart(files)
	if err != nil {
		return nil, err
	}
	release := chartutil.ReleaseOptions{Name: "keeper", Namespace: "secrets", Revision: 1, IsInstall: true}
	values, err := chartutil.ToRenderValues(c, set, release, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	texts, err := engine.Engine{Strict: true}.Render(c, values)
	if err != nil {
		return nil, err
	}
	r := new(rendered)
	for name, text := range texts {
		for _, document := range strings.Split(text, "\n---\n") {
			if err := r.read(document); err != nil {
				return nil, fmt.Errorf("%s: %w", path.Base(name), err)
			}
		}
	}
	if r.set == nil || r.service == nil {
		return nil, fmt.Errorf("the chart makes a StatefulSet and a Service, this one only one of them")
	}
	return r, nil
}

func (r *rendered) read(text string) error {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal([]byte(text), &kind); err != nil {
		return err
	}
	switch kind.APIVersion + " " + kind.Kind {
	case "apps/v1 StatefulSet":
		r.set = new(appsv1.StatefulSet)
		return strictly(text, r.set)
	case "v1 Service":
		s := new(corev1.Service)
		if err := strictly(text, s); err != nil {
			return err
		}
		if s.Spec.ClusterIP == corev1.ClusterIPNone {
			r.headless = s
		} else {
			r.service = s
		}
		return nil
	case "policy/v1 PodDisruptionBudget":
		r.budget = new(policyv1.PodDisruptionBudget)
		return strictly(text, r.budget)
	}
	return fmt.Errorf("%s %s is not looked at", kind.APIVersion, kind.Kind)
}

// strictly reads as Kubernetes does, where a field in other capitals is another one; what it does not know is an error.
func strictly(text string, into any) error {
	asJSON, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return err
	}
	unknown, err := json.UnmarshalStrict(asJSON, into)
	return errors.Join(append(unknown, err)...)
}

// problems collects what is wrong.
type problems []string

func (p *problems) unless(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Sprintf(format, args...))
	}
}

func is[T comparable](p *T, want T) bool { return p != nil && *p == want }

// chartProblems are what is wrong with what the chart made, for the image.
func chartProblems(r *rendered, img *image) (bad problems) {
	pod := r.pod()
	labels := r.set.Spec.Template.Labels
	bad = append(bad, several(r)...)
	bad.unless(covers(labels, r.set.Spec.Selector.MatchLabels), "the StatefulSet's selector is not of its pods")
	bad.unless(covers(labels, r.service.Spec.Selector), "the Service's selector is not of the pods")
	bad.unless(is(pod.EnableServiceLinks, false), "enableServiceLinks lets a Service's variables be taken for settings")
	bad.unless(pod.TerminationGracePeriodSeconds != nil, "no terminationGracePeriodSeconds")
	if len(pod.Containers) != 1 || len(pod.InitContainers) != 0 {
		return append(bad, "there is one container in the pod")
	}
	bad = append(bad, privileges(pod)...)
	c := pod.Containers[0]

	bad.unless(c.Command == nil && c.Args == nil, "the image's entry point starts the server")
	port := -1
	for _, p := range c.Ports {
		if p.Name == "api" {
			port = int(p.ContainerPort)
		}
	}
	bad.unless(fmt.Sprint(port) == img.port, "the port is %d, the image has %s", port, img.port)
	ports := r.service.Spec.Ports
	bad.unless(len(ports) == 1 && ports[0].TargetPort.StrVal == "api", "the Service leads to another port than api")

	seen := make(map[string]bool)
	for _, e := range c.Env {
		bad.unless(!seen[e.Name], "the variable %s is there twice", e.Name)
		seen[e.Name] = true
	}
	bad = append(bad, probes(&c, seen["INFLUXD_TLS_CERT"])...)
	return append(bad, mounts(r, img)...)
}

// several looks at what several servers need, and one must not have.
func several(r *rendered) (bad problems) {
	if variable(r, "INFLUXD_STORE") != "etcd" {
		bad.unless(is(r.set.Spec.Replicas, 1), "two servers cannot have the same data file: replicas")
		bad.unless(r.set.Spec.ServiceName == r.service.Name, "serviceName is not the Service's")
		bad.unless(r.headless == nil && r.budget == nil, "one server has what several need")
		return bad
	}
	if r.headless == nil || r.budget == nil {
		return append(bad, "several servers need their names and a PodDisruptionBudget")
	}
	labels := r.set.Spec.Template.Labels
	bad.unless(r.set.Spec.ServiceName == r.headless.Name, "serviceName is not that of the pods' names")
	bad.unless(covers(labels, r.headless.Spec.Selector), "the pods' names are of other pods")
	bad.unless(r.headless.Spec.PublishNotReadyAddresses, "a server that is not ready has no name")
	bad.unless(r.budget.Spec.Selector != nil && covers(labels, r.budget.Spec.Selector.MatchLabels),
		"the PodDisruptionBudget is of other pods")
	bad.unless(r.budget.Spec.MaxUnavailable != nil && r.budget.Spec.MaxUnavailable.IntValue() == 1, "maxUnavailable")
	scheme := "http"
	if variable(r, "INFLUXD_TLS_CERT") != "" {
		scheme = "https"
	}
	bad.unless(variable(r, "INFLUXD_SERVER_URL") == scheme+"://$(POD_NAME)."+r.headless.Name+".secrets.svc:9999",
		"the other servers cannot reach it at %s", variable(r, "INFLUXD_SERVER_URL"))
	return bad
}

func covers(labels, selector map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

// privileges are the pod's that it must not have: Kubernetes' own "restricted" standard, and a read-only root.
func privileges(pod *corev1.PodSpec) (bad problems) {
	bad.unless(!pod.HostNetwork && !pod.HostPID && !pod.HostIPC, "the pod has a part of its host")
	s := pod.SecurityContext
	if s == nil {
		return append(bad, "the pod has no securityContext")
	}
	bad.unless(is(s.RunAsNonRoot, true), "runAsNonRoot")
	bad.unless(s.RunAsUser != nil && *s.RunAsUser > 0, "runAsUser")
	bad.unless(s.RunAsGroup != nil && *s.RunAsGroup > 0, "runAsGroup")
	bad.unless(s.RunAsGroup != nil && is(s.FSGroup, *s.RunAsGroup), "fsGroup")
	bad.unless(s.SeccompProfile != nil && s.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
		"seccompProfile")
	c := pod.Containers[0].SecurityContext
	if c == nil {
		return append(bad, "the container has no securityContext")
	}
	bad.unless(is(c.AllowPrivilegeEscalation, false), "allowPrivilegeEscalation")
	bad.unless(is(c.ReadOnlyRootFilesystem, true), "readOnlyRootFilesystem")
	bad.unless(c.Privileged == nil || !*c.Privileged, "privileged")
	bad.unless(c.RunAsUser == nil && c.RunAsNonRoot == nil, "the container has a user of its own")
	bad.unless(c.Capabilities != nil && slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}) &&
		len(c.Capabilities.Add) == 0, "capabilities")
	for _, v := range pod.Volumes {
		bad.unless(v.HostPath == nil, "the volume %s is the host's", v.Name)
	}
	return bad
}

// probes looks at how they ask; TestPod asks the real server for their paths.
func probes(c *corev1.Container, tls bool) (bad problems) {
	scheme := corev1.URISchemeHTTP
	if tls {
		scheme = corev1.URISchemeHTTPS
	}
	for name, p := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe,
		"readiness": c.ReadinessProbe} {
		if p == nil || p.HTTPGet == nil {
			bad = append(bad, "no "+name+" probe")
			continue
		}
		bad.unless(p.HTTPGet.Scheme == scheme, "the %s probe asks by %s", name, p.HTTPGet.Scheme)
		bad.unless(p.HTTPGet.Port.StrVal == "api", "the %s probe asks another port", name)
	}
	return bad
}

// mounts looks for what is mounted, and whether the variables lead there.
func mounts(r *rendered, img *image) (bad problems) {
	volumes := make(map[string]bool) // whether it is of a Secret or a ConfigMap
	for _, claim := range r.set.Spec.VolumeClaimTemplates {
		volumes[claim.Name] = false
		size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
		bad.unless(!size.IsZero(), "the claim %s has no size", claim.Name)
		bad.unless(slices.Equal(claim.Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}),
			"accessModes")
	}
	for _, v := range r.pod().Volumes {
		volumes[v.Name] = true
		bad.unless(v.Secret != nil && is(v.Secret.DefaultMode, 0o440) ||
			v.ConfigMap != nil && is(v.ConfigMap.DefaultMode, 0o440), "defaultMode of the volume %s", v.Name)
	}
	mounted := []string{}
	data := false
	for _, m := range r.pod().Containers[0].VolumeMounts {
		files, ok := volumes[m.Name]
		bad.unless(ok, "there is no volume %s", m.Name)
		bad.unless(files == m.ReadOnly, "readOnly of the volume %s", m.Name)
		data = data || m.Name == "data" && m.MountPath == img.volume
		mounted = append(mounted, m.MountPath+"/")
	}
	bad.unless(data, "the data are not at %s", img.volume)
	bad.unless(len(mounted) == len(volumes), "a volume is not mounted")
	for _, e := range r.pod().Containers[0].Env {
		if strings.HasPrefix(e.Value, "/") {
			bad.unless(slices.ContainsFunc(mounted, func(at string) bool { return strings.HasPrefix(e.Value, at) }),
				"%s is %s, where nothing is mounted", e.Name, e.Value)
		}
	}
	return bad
}

// show is what was made, as text.
func show(t *testing.T, r *rendered) string {
	t.Helper()
	var all bytes.Buffer
	for _, v := range []any{r.set, r.service} {
		b, err := yaml.Marshal(v)
		must(t, err)
		all.Write(b)
	}
	return all.String()
}
