package members

import (
	"context"
	"testing"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type fakeConn struct {
	balancer.SubConn
	n int
}

// TestSilentMember has members let probes run out of time: calls go to the others, to all where none answers, and to
// one again that does, while each of them goes on being probed.
func TestSilentMember(t *testing.T) {
	m := &members{silent: make(map[balancer.SubConn]bool)}
	ready := make(map[balancer.SubConn]base.SubConnInfo)
	conns := []balancer.SubConn{&fakeConn{n: 0}, &fakeConn{n: 1}, &fakeConn{n: 2}}
	for _, c := range conns {
		ready[c] = base.SubConnInfo{}
	}
	p := m.Build(base.PickerBuildInfo{ReadySCs: ready})
	pick := func(ctx context.Context) balancer.PickResult {
		got, err := p.Pick(balancer.PickInfo{Ctx: ctx})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	late := status.Error(codes.DeadlineExceeded, "late")
	// probe has each member probed once, and those that are named not answer.
	probe := func(silent ...balancer.SubConn) {
		t.Helper()
		seen := make(map[balancer.SubConn]bool)
		for range conns {
			got := pick(context.WithValue(t.Context(), probing{}, true))
			seen[got.SubConn] = true
			var err error
			for _, c := range silent {
				if got.SubConn == c {
					err = late
				}
			}
			got.Done(balancer.DoneInfo{Err: err})
		}
		if len(seen) != len(conns) {
			t.Errorf("%d of %d members were probed", len(seen), len(conns))
		}
	}
	called := func(want ...balancer.SubConn) {
		t.Helper()
		seen := make(map[balancer.SubConn]int)
		for range 6 {
			seen[pick(t.Context()).SubConn]++
		}
		if len(seen) != len(want) {
			t.Errorf("calls went to %d members, want %d", len(seen), len(want))
		}
		for _, c := range want {
			if seen[c] != 6/len(want) {
				t.Errorf("%d of 6 calls went to member %d of %d", seen[c], c.(*fakeConn).n, len(want))
			}
		}
	}
	called(conns...)
	probe(conns[0])
	called(conns[1], conns[2])
	probe(conns[0], conns[2])
	called(conns[1])
	probe(conns...)
	called(conns...)
	probe(conns[1])
	called(conns[0], conns[2])
	delete(ready, conns[1])
	m.Build(base.PickerBuildInfo{ReadySCs: ready})
	ready[conns[1]] = base.SubConnInfo{}
	p = m.Build(base.PickerBuildInfo{ReadySCs: ready}) // connected anew
	called(conns...)
}
