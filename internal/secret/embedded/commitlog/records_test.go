package commitlog

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/id"
)

const org id.ID = 0x031c8cbefe101000

func FuzzDecodeStep(f *testing.F) {
	f.Add(Records{"a": []byte("record"), "b": nil, "c": []byte{}}.encode())
	f.Add([]byte{stepFormat})
	f.Add([]byte{stepFormatNames, 1, 'a', 7, 'r', 'e', 'c', 'o', 'r', 'd', 1, 'b', 0})
	f.Add([]byte{stepFormat, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := decode(org, b)
		if err != nil {
			return
		}
		again, err := decode(org, st.encode())
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if diff := cmp.Diff(st, again); diff != "" {
			t.Fatalf("%x, again: %s", b, diff)
		}
	})
}
