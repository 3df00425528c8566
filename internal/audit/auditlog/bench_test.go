package auditlog

import (
	"fmt"
	"testing"
)

func BenchmarkRecord(b *testing.B) {
	for _, keys := range []int{1, 20} {
		b.Run(fmt.Sprint("keys=", keys), func(b *testing.B) {
			l := start(b, b.TempDir()+"/audit.log")
			e := applied(1)
			for i := range keys - 1 {
				e.Keys = append(e.Keys, fmt.Sprint("database/password-", i))
			}
			b.ReportAllocs()
			for b.Loop() {
				record(b, l, e)
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		l := start(b, b.TempDir()+"/audit.log")
		e := applied(1)
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if err := l.Record(b.Context(), e); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
