package mapping

import (
	"fmt"
	"testing"
)

func TestSizes(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		file         int64
		addressSpace uint64
		want         string
	}{
		{0, 0, "[64 16 4 1 0]"},
		{100 * gib, 0, "[400 100 25 6 1 0]"},
		{0, 8 * gib, "[2 0]"},
		{0, gib, "[0]"},
	} {
		var got []int
		for _, s := range sizes(tt.file, tt.addressSpace) {
			got = append(got, s/gib)
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("a file of %d bytes, %d of addresses: %v, want %s GiB", tt.file, tt.addressSpace, got, tt.want)
		}
	}
}
