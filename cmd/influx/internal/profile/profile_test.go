package profile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/cmd/influx/internal/profile"
)

// original is a file as the original influx CLI 2.7 writes it.
func original(t *testing.T) *profile.File {
	t.Helper()
	raw, err := os.ReadFile("testdata/configs.toml")
	if err != nil {
		t.Fatal(err)
	}
	return write(t, string(raw))
}

func write(t *testing.T, text string) *profile.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "configs")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return load(t, path)
}

func load(t *testing.T, path string) *profile.File {
	t.Helper()
	f, err := profile.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func saved(t *testing.T, f *profile.File) string {
	t.Helper()
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestLoadRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"not TOML":       {"[a]\ntoken = \"sesame\n", "not valid TOML at line 2"},
		"table twice":    {"[a]\ntoken = \"sesame\"\n[a]\n", "not valid TOML"},
		"number as url":  {"[a]\nurl = 5\ntoken = \"sesame\"\n", `profile "a": url must be a string`},
		"text as active": {"[a]\nactive = \"yes\"\ntoken = \"sesame\"\n", `profile "a": active must be true or false`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "configs")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := profile.Load(path)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("got %v, want the path and %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "sesame") {
				t.Errorf("the error shows a token: %v", err)
			}
		})
	}
}

func TestLoadUnreadable(t *testing.T) {
	dir := t.TempDir() // a folder is no file, for root as well
	if _, err := profile.Load(dir); err == nil || !strings.Contains(err.Error(), "cannot read the profiles") {
		t.Errorf("got %v", err)
	}
}

func TestSaveWhereItCannot(t *testing.T) {
	blocker := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// Below a file there is no folder.
	path := filepath.Join(blocker, "configs")
	if _, err := profile.Load(path); err == nil {
		t.Error("loading from below a file gave no error")
	}
	f := load(t, filepath.Join(t.TempDir(), "new", "configs"))
	if err := os.WriteFile(filepath.Dir(f.Path()), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"Writable": f.Writable(), "Save": f.Save()} {
		if err == nil || !strings.Contains(err.Error(), "cannot write the profiles") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadsTheOriginalsFile(t *testing.T) {
	f := original(t)
	want := []profile.Profile{
		{Name: "default", URL: "http://localhost:8086", Token: "default-token", Org: "my-org", Previous: true},
		{
			Name:   "eu-1",
			URL:    "https://influx.example.org:8086",
			Org:    "other org",
			Active: true,
			Cookie: "YWRtaW46aHVudGVyMmh1bnRlcjI=",
		},
	}
	if diff := cmp.Diff(want, f.List()); diff != "" {
		t.Error(diff)
	}
	if p, ok := f.Active(); !ok || p.Name != "eu-1" {
		t.Errorf("active: %+v, %v", p, ok)
	}
}

// TestKeepsWhatItDoesNotKnow: comments at the end as the original writes them, tables and keys of other tools.
func TestKeepsWhatItDoesNotKnow(t *testing.T) {
	f := write(
		t,
		"# mine\nschema = 3\n\n[a]\nurl = \"http://a\"\ncolour = \"blue\"\n\n[a.nested]\nx = [1, 2]\n# the end\n",
	)
	if _, err := f.Update(profile.Profile{Name: "a", Org: "o", Active: true}); err != nil {
		t.Fatal(err)
	}
	text := saved(t, f)
	for _, want := range []string{"# mine\n", "schema = 3\n", "colour = 'blue'\n", "[a.nested]\n", "x = [1, 2]\n",
		"org = 'o'\n", "# the end\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("lost %q in:\n%s", want, text)
		}
	}
	if again := saved(t, load(t, f.Path())); again != text {
		t.Errorf("saving again changed it:\n%s", cmp.Diff(text, again))
	}
	if !strings.HasSuffix(
		saved(t, original(t)),
		"# [us-central]\n#   url = \"https://us-central1-1.gcp.cloud2.influxdata.com\"\n#   token = "+
			"\"XXX\"\n#   org = \"\"\n",
	) {
		t.Error("the original's comments are lost")
	}
}

func TestSaveIsPrivateAndWhole(t *testing.T) {
	dir := t.TempDir()
	real := filepath.Join(dir, "real")
	if err := os.WriteFile(real, []byte("[a]\nurl = \"http://a\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "configs")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	f := load(t, link)
	if f.Exposed == "" {
		t.Error("a file others can read is not reported")
	}
	saved(t, f)
	info, err := os.Lstat(real)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".configs-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files left: %v, %v", left, err)
	}
}

func TestNoFile(t *testing.T) {
	f := load(t, filepath.Join(t.TempDir(), "not", "there"))
	if p, ok := f.Active(); ok {
		t.Errorf("active out of nothing: %+v", p)
	}
	if err := f.Create(profile.Profile{Name: "a", URL: "http://a"}); err != nil {
		t.Fatal(err)
	}
	saved(t, f)
	if _, err := os.Stat(filepath.Dir(f.Path())); errors.Is(err, fs.ErrNotExist) {
		t.Error("the folder was not made")
	}
}

func TestChangesRefused(t *testing.T) {
	f := original(t)
	for name, err := range map[string]error{
		"empty name":  f.Create(profile.Profile{}),
		"a command":   f.Create(profile.Profile{Name: "list"}),
		"a flag":      f.Create(profile.Profile{Name: "-x"}),
		"taken":       f.Create(profile.Profile{Name: "default"}),
		"update none": second(f.Update(profile.Profile{Name: "none"})),
		"switch none": second(f.Switch("none")),
		"delete none": second(f.Delete("none")),
		"no previous": second(write(t, "[a]\n[b]\nactive = true\n").Switch("-")),
		"no profiles": second(write(t, "").Switch("-")),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestSwitching follows which profile is active and which previous, through each kind of change.
func TestSwitching(t *testing.T) {
	f := write(t, "[a]\nactive = true\n[b]\n[c]\n")
	state := func() string {
		var active, previous []string
		for _, p := range f.List() {
			if p.Active {
				active = append(active, p.Name)
			}
			if p.Previous {
				previous = append(previous, p.Name)
			}
		}
		return strings.Join(active, ",") + "/" + strings.Join(previous, ",")
	}
	for i, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return second(f.Switch("b")) }, "b/a"},
		{func() error { return second(f.Switch("b")) }, "b/a"},
		{func() error { return second(f.Switch("-")) }, "a/b"},
		{func() error { return second(f.Update(profile.Profile{Name: "c", Active: true})) }, "c/a"},
		{func() error { return f.Create(profile.Profile{Name: "d"}) }, "c/a"},
		{func() error { return f.Create(profile.Profile{Name: "e", Active: true}) }, "e/c"},
		{func() error { return second(f.Delete("e")) }, "c/"},
		{func() error { return second(f.Delete("c")) }, "a/"},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if got := state(); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
}

func TestTokenAndCookieReplaceEachOther(t *testing.T) {
	f := write(t, "[a]\ntoken = \"t\"\n")
	if p, err := f.Update(profile.Profile{Name: "a", Cookie: "dTpw"}); err != nil || p.Token != "" ||
		p.Cookie != "dTpw" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := f.Update(profile.Profile{Name: "a", Token: "t2"}); err != nil || p.Token != "t2" || p.Cookie != "" {
		t.Errorf("%+v, %v", p, err)
	}
}
