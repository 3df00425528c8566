package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var ownFlags = []Flag{{Name: "dry-run"}, {Name: "file", Value: "PATH"}}

func TestOwnFlagsRefused(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--file"}, "flag --file: its value is missing"},
		{[]string{"--file", "--dry-run"}, "the next argument is the flag --dry-run"},
		{[]string{"--file", ""}, "flag --file: is empty"},
		{[]string{"--file", "a", "--file", "b"}, "given twice"},
		{[]string{"--file", "-"}, "flag --file: must be a file, and - is none; ./- is a file called so"},
		{[]string{"--dry-run=maybe"}, "flag --dry-run: must be true or false"},
		{[]string{"--dry-run", "true"}, "write --dry-run=true"},
	} {
		if _, err := ParseArgs(tt.args, ownFlags...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.args, err, tt.want)
		}
	}
	if _, err := ParseArgs([]string{"--dry-run"}); err == nil {
		t.Error("a command's flag is taken where no command has it")
	}
}

func TestOwnFlags(t *testing.T) {
	args, err := ParseArgs([]string{"import", "--file", "a b", "--dry-run", "--log-level", "warn"}, ownFlags...)
	if err != nil {
		t.Fatal(err)
	}
	if args.Flag("file") != "a b" || !args.Switch("dry-run") || args.Flag("other") != "" || args.Switch("file") {
		t.Errorf("read %+v", args)
	}
	if diff := cmp.Diff([]string{"dry-run", "file"}, args.OwnFlags()); diff != "" {
		t.Error(diff)
	}
	if off, err := ParseArgs([]string{"--dry-run=0"}, ownFlags...); err != nil || off.Switch("dry-run") {
		t.Errorf("switched off: %+v, %v", off, err)
	}
	c, err := Load(args, []string{"HOME=/h"})
	if err != nil || c.LogLevel != "warn" {
		t.Errorf("a setting beside them: %q, %v", c.LogLevel, err)
	}
}
