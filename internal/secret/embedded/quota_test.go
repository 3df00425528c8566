package embedded

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/plan"
)

// TestQuota refuses what goes beyond, changes nothing then, and lets go on whatever adds nothing.
func TestQuota(t *testing.T) {
	t.Parallel()
	eachForm(t, testQuota)
}

func testQuota(t *testing.T, s *Store) {
	apply(t, s, secret.Change{Set: setOf("a", "1", "b", "1")}) // before there was a quota
	s.quota = secret.Quota{Secrets: 2}
	for _, refused := range []secret.Change{
		{Set: setOf("c", "1")},
		{Set: setOf("c", "1", "d", "1"), Delete: []string{"a"}},
		{Set: setOf("a", "2", "c", "1")},
	} {
		err := errOf(s.Apply(t.Context(), org, refused))
		if !errs.Is(err, errs.Unprocessable) || !strings.Contains(err.Error(), "--max-org-secrets") {
			t.Errorf("%v: %v", refused, err)
		}
		wantContent(t, s, setOf("a", "1", "b", "1"))
	}
	apply(t, s, secret.Change{Set: setOf("a", "2")})
	apply(t, s, secret.Change{Set: setOf("c", "1"), Delete: []string{"b"}})
	if _, err := s.Restore(t.Context(), org, "b", 0, "ada"); !errs.Is(err, errs.Unprocessable) {
		t.Errorf("a restoration: %v", err)
	}
	if err := errOf(s.Apply(t.Context(), otherOrg, secret.Change{Set: setOf("x", "1")})); err != nil {
		t.Errorf("another organisation: %v", err)
	}
	s.quota = secret.Quota{Secrets: 1} // smaller than what there is
	apply(t, s, secret.Change{Set: setOf("a", "3")})
	apply(t, s, secret.Change{Delete: []string{"a"}})
	apply(t, s, secret.Change{Delete: []string{"c"}})
	apply(t, s, secret.Change{Set: setOf("d", "1")})

	s.quota = secret.Quota{Bytes: 10_000}
	if err := errOf(s.Apply(t.Context(), org, secret.Change{Set: setOf("e", strings.Repeat("v",
		10_000))})); !errs.Is(err, errs.Unprocessable) || !strings.Contains(err.Error(), "--max-org-bytes") {
		t.Errorf("a large value: %v", err)
	}
	// Earlier versions count, until they are gone.
	var err error
	for i := range 20 {
		if err = errOf(s.Apply(t.Context(), org, secret.Change{Set: setOf("d", fmt.Sprintf("%02000d", i))})); err != nil {
			break
		}
	}
	if !errs.Is(err, errs.Unprocessable) {
		t.Errorf("many versions: %v", err)
	}
	apply(t, s, secret.Change{Delete: []string{"d"}})
}

// TestQuotaCounts holds the count in the head, after changes of every kind together and large ones, to what is there.
func TestQuotaCounts(t *testing.T) {
	t.Parallel()
	eachForm(t, testQuotaCounts)
}

func testQuotaCounts(t *testing.T, s *Store) {
	s.quota = secret.Quota{Secrets: 40, Bytes: 1 << 40}
	r := rand.New(rand.NewPCG(1, 2))
	name := func() string { return fmt.Sprintf("n%d", r.IntN(60)) }
	for i := range 300 {
		c := secret.Change{Set: map[string]secret.Value{}, By: "ada"}
		for range r.IntN(6) {
			c.Set[name()] = secret.NewValue([]byte(strings.Repeat("v", r.IntN(300))))
		}
		for range r.IntN(4) {
			if k := name(); c.Set[k].Len() == 0 {
				delete(c.Set, k)
				c.Delete = append(c.Delete, k)
			}
		}
		var err error
		switch r.IntN(8) {
		case 0:
			_, err = s.Restore(t.Context(), org, name(), 0, "ada")
		case 1:
			err = s.Remove(t.Context(), org, name(), false)
		case 2:
			err = s.Describe(t.Context(), org, name(), secret.Description{Text: strings.Repeat("d", r.IntN(100))})
		case 3:
			_, err = s.Mark(t.Context(), org, name(), marking(secret.DestroyVersion, 1, 2))
		default:
			_, err = s.Apply(t.Context(), org, c)
		}
		if err != nil && !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Unprocessable) {
			t.Fatal(err)
		}
		if i%10 == 0 {
			wantCount(t, s)
		}
	}
	large := secret.Change{Set: map[string]secret.Value{}}
	for i := range 20 {
		large.Set[fmt.Sprintf("n%d", i)] = secret.NewValue([]byte(strings.Repeat("v", 900_000)))
	}
	s.quota.Secrets = 100
	apply(t, s, large)
	wantCount(t, s)
}

// wantCount compares the head's count with the records.
func wantCount(t *testing.T, s *Store) {
	t.Helper()
	at, err := s.settle(t.Context(), org)
	if err != nil || at.rev == 0 {
		return
	}
	want, err := plan.Count(t.Context(), s.kv, org, nil, s.ring.Names(), s.page)
	if err != nil {
		t.Fatal(err)
	}
	if at.Count == nil {
		t.Fatal("the head has no count")
	}
	if *at.Count != *want {
		t.Fatalf("the head says %+v, there is %+v", *at.Count, *want)
	}
}

// TestQuotaTogether counts what is left of changes that were planned together, of which the last one is refused.
func TestQuotaTogether(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, s *Store) {
		s.quota = secret.Quota{Secrets: 3}
		apply(t, s, secret.Change{Set: setOf("a", "1")})
		wish := func(c secret.Change) *change {
			return &change{plan: func(p *plan.Plan) error { return p.Apply(c, s.now()) }}
		}
		n, err := s.makeSome(t.Context(), org, []*change{wish(secret.Change{Set: setOf("a", "2", "b", "1")}),
			wish(secret.Change{Set: setOf("a", "33", "b", "22", "c", "1", "d", "1"), Delete: []string{"e"}})})
		if n != 1 || err != nil {
			t.Errorf("%d of the changes, %v", n, err)
		}
		wantContent(t, s, setOf("a", "2", "b", "1"))
		wantCount(t, s)
	})
}
