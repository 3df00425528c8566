// Package members has the calls to a cluster go to the members of it that answer.
//
// A member that stands still keeps its connections: grpc itself notices after 12 seconds, since it asks a silent
// connection every 10 at most, and meanwhile one call in three would go there to wait. So each member is asked again
// and again for what it can answer alone, without a leader. One that has not answered in time gets no calls until it
// does; where that is true of all members, all get them.
package members

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const policy = "strongroom_answering"

// grpc takes policies by name, and while a program starts alone.
func init() { balancer.Register(answering{}) }

// How long a member that takes no connection is left alone at first, and at most. By grpc's own times it would be a
// second and, where it was away for long, two minutes.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = time.Second
)

// Options are those that have a client's calls go by the policy, where a try to connect may take so long. etcd's client
// would name another.
func Options(dial time.Duration) []grpc.DialOption {
	return []grpc.DialOption{grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: dial, Backoff: backoff.Config{
			BaseDelay: firstPause, Multiplier: 1.6, Jitter: 0.2, MaxDelay: lastPause}}),
		grpc.WithDefaultServiceConfig(`{"loadBalancingPolicy":"` + policy + `"}`)}
}

// probing marks the context of a call that asks whether a member is there.
type probing struct{}

// Probing marks the context of a call that asks whether a member is there: as many at the same time as there are
// members go to one each, and what becomes of them is noted.
func Probing(ctx context.Context) context.Context { return context.WithValue(ctx, probing{}, true) }

// answering makes the balancers of that policy, one for a client.
type answering struct{}

func (answering) Name() string { return policy }

func (answering) Build(cc balancer.ClientConn, o balancer.BuildOptions) balancer.Balancer {
	m := &members{silent: make(map[balancer.SubConn]bool)}
	return flat{base.NewBalancerBuilder(policy, m, base.Config{}).Build(cc, o)}
}

// flat gives grpc's base the addresses where it looks for them: etcd's client has them as endpoints.
type flat struct{ balancer.Balancer }

func (f flat) UpdateClientConnState(s balancer.ClientConnState) error {
	s.ResolverState.Addresses = nil
	for _, e := range s.ResolverState.Endpoints {
		s.ResolverState.Addresses = append(s.ResolverState.Addresses, e.Addresses...)
	}
	return f.Balancer.UpdateClientConnState(s)
}

// members knows which connections are to a member that does not answer.
type members struct {
	mu     sync.Mutex
	silent map[balancer.SubConn]bool
}

// Build gives the picker for the connections that stand. A new one is not silent.
func (m *members) Build(info base.PickerBuildInfo) balancer.Picker {
	if len(info.ReadySCs) == 0 {
		return base.NewErrPicker(balancer.ErrNoSubConnAvailable)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.silent, func(c balancer.SubConn, _ bool) bool {
		_, ready := info.ReadySCs[c]
		return !ready
	})
	return &picker{members: m, ready: slices.Collect(maps.Keys(info.ReadySCs))}
}

func (m *members) told(c balancer.SubConn, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if status.Code(err) == codes.DeadlineExceeded || errors.Is(err, context.DeadlineExceeded) {
		m.silent[c] = true
	} else {
		delete(m.silent, c)
	}
}

// picker gives the calls to the members that answer by turns, and the probes to all.
type picker struct {
	members      *members
	ready        []balancer.SubConn
	next, probed int
}

// Pick gives the connection of one call.
func (p *picker) Pick(call balancer.PickInfo) (balancer.PickResult, error) {
	p.members.mu.Lock()
	defer p.members.mu.Unlock()
	if call.Ctx.Value(probing{}) != nil {
		p.probed = (p.probed + 1) % len(p.ready)
		c := p.ready[p.probed]
		return balancer.PickResult{SubConn: c, Done: func(d balancer.DoneInfo) { p.members.told(c, d.Err) }}, nil
	}
	for range p.ready {
		p.next = (p.next + 1) % len(p.ready)
		if !p.members.silent[p.ready[p.next]] {
			break
		}
	}
	if p.members.silent[p.ready[p.next]] { // all of them
		p.next = (p.next + 1) % len(p.ready)
	}
	return balancer.PickResult{SubConn: p.ready[p.next]}, nil
}
