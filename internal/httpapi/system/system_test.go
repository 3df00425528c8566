package system

import (
	"context"
	"fmt"
	"testing"

	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/kv"
)

// ill is data of some health.
type ill struct {
	Data
	health error
}

func (i ill) Health() error { return i.health }

// TestUnavailable asks for what keeps everything from being served, where the secrets are elsewhere and can be.
func TestUnavailable(t *testing.T) {
	broken := errs.New(errs.Unavailable, "it is sealed")
	for _, tt := range []struct {
		data, store error
		record      audit.Health
		want        string
	}{
		{nil, nil, audit.Health{OK: true}, ""},
		{kv.ErrFull, nil, audit.Health{OK: true}, ""}, // what reads is served
		{kv.ErrFault, nil, audit.Health{OK: true}, ""},
		{fmt.Errorf("etcd does not serve: %w", kv.ErrAway), nil, audit.Health{OK: true},
			"etcd does not serve: kv: unavailable, for long"},
		{fmt.Errorf("etcd does not serve: %w", kv.ErrDenied), nil, audit.Health{OK: true},
			"etcd does not serve: kv: the engine refuses the server"},
		{fmt.Errorf("etcd does not serve: %w", context.DeadlineExceeded), nil, audit.Health{OK: true},
			"etcd does not serve: context deadline exceeded"},
		{nil, nil, audit.Health{Problems: []string{"no room"}}, "no room"},
		{kv.ErrAway, broken, audit.Health{OK: true}, "the secret store cannot serve: it is sealed"},
	} {
		h := &handlers{Config: Config{Data: ill{health: tt.data}}}
		if got := h.unavailable(tt.record, tt.store); got != tt.want {
			t.Errorf("%v, %v, %+v: %q, want %q", tt.data, tt.store, tt.record, got, tt.want)
		}
	}
}
