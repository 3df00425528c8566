package identity

import (
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/id"
)

// BenchmarkIdentify is a request's whole identity check with 100,000 tokens: hash, lookup, permission.
func BenchmarkIdentify(b *testing.B) {
	const tokens = 100_000
	f := onboarded(b)
	made := make([]string, tokens)
	need := access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: f.first.Org.ID})
	gen := f.cache.generation()
	for i := range made { // into memory as the first use would put them there; making them takes minutes of fsyncs
		made[i] = newToken()
		f.cache.add(hashOf(made[i]), entry{principal: &access.Principal{UserID: 1, AuthorizationID: id.ID(i + 1),
			Permissions: []access.Permission{need, access.To(access.Write, need.Resource)}}, used: &lastUse{}}, gen)
	}
	ctx := b.Context()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		p, err := f.ByToken(ctx, made[i%tokens])
		if err != nil {
			b.Fatal(err)
		}
		if c := (access.Caller{Principal: p}); !c.May(need) {
			b.Fatal("refused")
		}
		i += 7919 // a prime: not in the order of the map
	}
}
