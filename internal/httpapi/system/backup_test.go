package system

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/kv"
)

// TestNoBackup: an engine that is out of reach is not said to be busy with other backups.
func TestNoBackup(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{kv.ErrManyBackups, "others are reading backups now"},
		{fmt.Errorf("etcd: %w", kv.ErrUnavailable), "the server's data are out of reach"},
		{kv.ErrClosed, "the server is shutting down"},
		{errors.New("disk"), "the data cannot be copied now"},
	} {
		got := noBackup(tt.err)
		if !errs.Is(got, errs.Unavailable) || !strings.HasPrefix(errs.Message(got), tt.want) {
			t.Errorf("%v: %v, want %q", tt.err, got, tt.want)
		}
	}
}
