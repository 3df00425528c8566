package authn_test

import (
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/identitytest"
)

// BenchmarkIdentify is a request's whole identity check with 100,000 tokens: hash, lookup, permission.
func BenchmarkIdentify(b *testing.B) {
	const tokens = 100_000
	f := identitytest.Onboarded(b)
	made := make([]string, tokens)
	need := access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: f.First.Org.ID})
	for i := range made { // into memory as the first use would put them there; making them takes minutes of fsyncs
		made[i] = authn.NewToken()
		f.Know(made[i], &access.Principal{UserID: 1, AuthorizationID: id.ID(i + 1),
			Permissions: []access.Permission{need, access.To(access.Write, need.Resource)}})
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
