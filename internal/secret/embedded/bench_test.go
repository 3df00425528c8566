package embedded

import (
	"fmt"
	"testing"

	"strongroom/internal/secret"
)

// inEach runs a benchmark with names in clear and with sealed ones.
func inEach(b *testing.B, bench func(b *testing.B, f form)) {
	for _, f := range []form{inClear, inSeal} {
		b.Run("names="+f.name, func(b *testing.B) { bench(b, f) })
	}
}

func filled(b *testing.B, f form, n int) *Store {
	s := newStore(b, openKV(b), keyFile(b))
	f.begin(b, s)
	c := secret.Change{Set: map[string]secret.Value{}}
	for i := range n {
		c.Set[fmt.Sprintf("key-%05d", i)] = secret.NewValue([]byte("a value of the usual size, a token or a password"))
	}
	if _, err := s.Apply(b.Context(), org, c); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	return s
}

func BenchmarkKeys(b *testing.B) {
	inEach(b, func(b *testing.B, f form) {
		for _, n := range []int{1, 100, 1000} {
			b.Run(fmt.Sprint(n), func(b *testing.B) {
				s := filled(b, f, n)
				for b.Loop() {
					if keys, err := s.Keys(b.Context(), org); err != nil || len(keys) != n {
						b.Fatal(len(keys), err)
					}
				}
			})
		}
	})
}

// BenchmarkKeysUncached lists after a change each time.
func BenchmarkKeysUncached(b *testing.B) {
	inEach(b, func(b *testing.B, f form) {
		for _, n := range []int{100, 1000, 10_000} {
			b.Run(fmt.Sprint(n), func(b *testing.B) {
				s := filled(b, f, n)
				for b.Loop() {
					s.lists.Drop(org)
					if keys, err := s.Keys(b.Context(), org); err != nil || len(keys) != n {
						b.Fatal(len(keys), err)
					}
				}
			})
		}
	})
}

func BenchmarkGet(b *testing.B) {
	inEach(b, func(b *testing.B, f form) {
		s := filled(b, f, 100)
		for b.Loop() {
			if _, err := secret.Get(b.Context(), s, org, "key-00042"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkApply(b *testing.B) {
	inEach(b, func(b *testing.B, f form) {
		b.Run("writers=1", func(b *testing.B) {
			s := filled(b, f, 100)
			for b.Loop() {
				if _, err := s.Apply(b.Context(), org, secret.Change{Set: setOf("key-00042", "new")}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("writers=32", func(b *testing.B) {
			s := filled(b, f, 100)
			b.SetParallelism(16) // times GOMAXPROCS, 2 on a small machine
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.Apply(b.Context(), org, secret.Change{Set: setOf("key-00042", "new")}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	})
}

// BenchmarkSealNames seals and unseals the names of 1,000 secrets.
func BenchmarkSealNames(b *testing.B) {
	s := filled(b, inClear, 1000)
	for on := true; b.Loop(); on = !on {
		sealNames(b, s, on)
		rewriteAll(b, s)
	}
}
