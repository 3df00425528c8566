package containers

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

const dockerfile = root + "/packaging/Dockerfile"

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	return string(b)
}

// image is what the Dockerfile says of the image.
type image struct {
	stages []instructions.Stage
	lint   problems

	env        map[string]string
	copies     []*instructions.CopyCommand
	uid, gid   uint64
	volume     string
	port       string
	entrypoint []string
}

func parseDockerfile(text string) (*image, error) {
	ast, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	img := &image{env: make(map[string]string)}
	for _, w := range ast.Warnings {
		img.lint = append(img.lint, w.Short)
	}
	rules := linter.New(&linter.Config{Warn: func(name, _, _, message string, at []parser.Range) {
		img.lint = append(img.lint, fmt.Sprintf("%s: %s %v", name, message, at))
	}})
	if img.stages, _, err = instructions.Parse(ast.AST, rules); err != nil {
		return nil, err
	}
	for _, c := range img.stages[len(img.stages)-1].Commands {
		switch c := c.(type) {
		case *instructions.EnvCommand:
			for _, kv := range c.Env {
				img.env[kv.Key] = kv.Value
			}
		case *instructions.CopyCommand:
			img.copies = append(img.copies, c)
		case *instructions.UserCommand:
			uid, gid, _ := strings.Cut(c.User, ":")
			img.uid, _ = strconv.ParseUint(uid, 10, 32) // 0 is refused
			img.gid, _ = strconv.ParseUint(gid, 10, 32)
		case *instructions.VolumeCommand:
			img.volume = strings.Join(c.Volumes, " ")
		case *instructions.ExposeCommand:
			img.port = strings.Join(c.Ports, " ")
		case *instructions.EntrypointCommand:
			img.entrypoint = c.CmdLine
			if c.PrependShell {
				img.lint = append(img.lint, "the entry point takes a shell, and there is none")
			}
		default:
			img.lint = append(img.lint, fmt.Sprintf("%s in the last stage is not looked at", c.Name()))
		}
	}
	return img, nil
}

// imageProblems are what is wrong with the Dockerfile, with the repository's files around it.
func imageProblems(img *image, goVersion string, ignored *patternmatcher.PatternMatcher) (bad problems) {
	bad = append(bad, img.lint...)
	if len(img.stages) != 2 || img.stages[0].Name != "build" {
		return append(bad, "the stages are build and the image itself")
	}
	build, last := img.stages[0], img.stages[1]
	bad.unless(build.BaseName == "golang:"+goVersion, "go.mod wants Go %s, the build has %s", goVersion, build.BaseName)
	bad.unless(last.BaseName == "scratch", "the image begins with %s", last.BaseName)
	var run string
	for _, c := range build.Commands {
		switch c := c.(type) {
		case *instructions.RunCommand:
			run += strings.Join(c.CmdLine, " ") + "\n"
		case *instructions.CopyCommand:
			for _, source := range c.SourcePaths {
				_, err := os.Stat(filepath.Join(root, source))
				out, _ := ignored.MatchesOrParentMatches(source)
				bad.unless(err == nil && !out, "%s, which the build copies, is not there", source)
			}
		}
	}
	bad.unless(strings.Contains(run, "make build"), "the build makes no programs")

	made := make(map[string]bool)
	for _, c := range img.copies {
		bad.unless(c.From == "build", "%s is not copied from the build", c.SourcePaths)
		for _, source := range c.SourcePaths {
			switch dir, name := path.Split(source); {
			case dir == "/src/bin/":
				bad.unless(name == "influxd" || name == "influx", "make build makes no %s", name)
				made[path.Join(c.DestPath, name)] = true
			case source == img.volume:
				bad.unless(strings.Contains(run, "mkdir") && strings.Contains(run, source), "%s is not made", source)
				made[source] = c.DestPath == source && c.Chmod == "0777"
			case source == "/etc/ssl/certs/ca-certificates.crt": // of golang's image
				made[source] = c.DestPath == dir
			default:
				bad = append(bad, "copies "+source)
			}
		}
	}
	for _, want := range []string{"/usr/bin/influxd", "/usr/bin/influx", img.volume,
		"/etc/ssl/certs/ca-certificates.crt"} {
		bad.unless(made[want], "%s is not in the image, or not as it should be", want)
	}
	bad.unless(img.uid > 0 && img.gid > 0, "the image runs as root, or as somebody without a number")
	bad.unless(slices.Equal(img.entrypoint, []string{"/usr/bin/influxd"}), "the entry point is %v", img.entrypoint)
	bad.unless(img.env["INFLUXD_HTTP_BIND_ADDRESS"] == ":"+img.port, "the port %s is not the server's", img.port)
	for name, value := range img.env {
		if strings.HasPrefix(value, "/") {
			bad.unless((value + "/")[:min(len(value)+1, len(img.volume)+1)] == img.volume+"/", "%s is outside %s", name,
				img.volume)
		}
	}
	for _, name := range []string{"HOME", "TMPDIR", "INFLUXD_BOLT_PATH"} {
		bad.unless(img.env[name] != "", "%s is not set", name)
	}
	bad.unless(path.Dir(img.env["INFLUXD_BOLT_PATH"]) != img.volume, "the data are in a folder that all can write")
	return bad
}

func goVersion(t *testing.T) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, root+"/go.mod"))
	if found == nil {
		t.Fatal("go.mod names no version of Go")
	}
	return found[1]
}

func theImage(t *testing.T) *image {
	t.Helper()
	img, err := parseDockerfile(read(t, dockerfile))
	must(t, err)
	return img
}

func ignores(t *testing.T, text string) *patternmatcher.PatternMatcher {
	t.Helper()
	patterns, err := ignorefile.ReadAll(strings.NewReader(text))
	must(t, err)
	m, err := patternmatcher.New(patterns)
	must(t, err)
	return m
}

// contextProblems are the files that should not go to the build, and those that are wanted and do not.
func contextProblems(ignored *patternmatcher.PatternMatcher, untracked, tracked []string) (bad problems) {
	for _, f := range untracked {
		out, err := ignored.MatchesOrParentMatches(f)
		bad.unless(err == nil && out, "%s goes to the build", f)
	}
	// A tracked file that is kept out makes the version a changed one, too: git tells it by what is missing.
	for _, f := range tracked {
		out, err := ignored.MatchesOrParentMatches(f)
		bad.unless(err == nil && !out, "%s does not go to the build", f)
	}
	return bad
}

// leftovers are of people who try the server in the repository's folder.
var leftovers = []string{"influxd.bolt", "seal.key", "tls.key", "server.pem", "audit.log", "audit.log.1", ".env"}

func contextFiles(t *testing.T) (untracked, tracked []string) {
	t.Helper()
	for line := range strings.FieldsSeq(read(t, root+"/.gitignore")) {
		untracked = append(untracked, strings.Trim(line, "/")+"/file")
	}
	out, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files").Output()
	must(t, err)
	tracked = append(strings.Fields(string(out)), ".git/HEAD")
	if len(untracked) < 3 || len(tracked) < 100 {
		t.Fatalf("%d files are ignored, %d tracked", len(untracked), len(tracked))
	}
	return append(untracked, leftovers...), tracked
}

func TestDockerfile(t *testing.T) {
	ignored := ignores(t, read(t, dockerfile+".dockerignore"))
	for _, p := range imageProblems(theImage(t), goVersion(t), ignored) {
		t.Error(p)
	}
	untracked, tracked := contextFiles(t)
	for _, p := range contextProblems(ignored, untracked, tracked) {
		t.Error(p)
	}
}

// TestBrokenDockerfile holds that what is wrong is seen.
func TestBrokenDockerfile(t *testing.T) {
	ignored := ignores(t, read(t, dockerfile+".dockerignore"))
	text := read(t, dockerfile)
	for _, c := range []struct{ old, with, want string }{
		{"FROM golang", "FORM golang", "FORM"},
		{"AS build", "as build", "FromAsCasing"},
		{"AS build", "AS built", "stages"},
		{"golang:1", "golang:0", "go.mod wants"},
		{"FROM scratch", "FROM debian", "begins with debian"},
		{"go.sum", "go.summ", "go.summ, which the build copies"},
		{"COPY . .", "COPY bin .", "bin, which the build copies"},
		{"RUN make build", "RUN make", "makes no programs"},
		{"mkdir -m 0777 /data", "true", "/data is not made"},
		{"bin/influxd", "bin/influxdb", "no influxdb"},
		{"--from=build /etc", "/etc", "not copied from the build"},
		{"COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/\n", "", "ca-certificates.crt is not in"},
		{"--chmod=0777", "--chmod=0755", "/data is not in the image, or not as"},
		{"--chmod=0777", "--chmood=0777", "unknown flag: --chmood"},
		{"USER 65532:65532", "USER root", "runs as root"},
		{"USER 65532:65532", "USER 0:0", "runs as root"},
		{"USER 65532:65532\n", "", "runs as root"},
		{`["/usr/bin/influxd"]`, "/usr/bin/influxd", "shell"},
		{`["/usr/bin/influxd"]`, `["influxd"]`, "entry point"},
		{"EXPOSE 9999", "EXPOSE 8086", "port 8086"},
		{"HOME=/data", "HOME=/root", "HOME is outside"},
		{"HOME=/data", "HOME=/database", "HOME is outside"},
		{"TMPDIR=/data \\\n", "\\\n", "TMPDIR is not set"},
		{"/data/strongroom/influxd.bolt", "/data/influxd.bolt", "all can write"},
		{"VOLUME", "HEALTHCHECK NONE\nVOLUME", "HEALTHCHECK in the last stage"},
	} {
		broken := strings.Replace(text, c.old, c.with, 1)
		if broken == text {
			t.Errorf("the Dockerfile has no %q", c.old)
			continue
		}
		img, err := parseDockerfile(broken)
		all := fmt.Sprint(err)
		if err == nil {
			all = strings.Join(imageProblems(img, goVersion(t), ignored), "\n")
		}
		if !strings.Contains(all, c.want) {
			t.Errorf("with %q for %q: want %q, got: %s", c.with, c.old, c.want, all)
		}
	}

	untracked, tracked := contextFiles(t)
	lines := strings.Split(strings.TrimSpace(read(t, dockerfile+".dockerignore")), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "#") {
			continue
		}
		without := ignores(t, strings.Join(slices.Concat(lines[:i], lines[i+1:]), "\n"))
		if len(contextProblems(without, untracked, tracked)) == 0 {
			t.Errorf("nobody misses %s in Dockerfile.dockerignore", line)
		}
	}
	for _, more := range []string{"**/*.key", ".git", "docs"} {
		if len(contextProblems(ignores(t, strings.Join(append(lines, more), "\n")), untracked, tracked)) == 0 {
			t.Errorf("nobody sees that %s keeps out what is wanted", more)
		}
	}
}
