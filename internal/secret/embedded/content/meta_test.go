package content

import (
	"encoding/json"
	"testing"
)

// TestEncodeMeta compares what is encoded by hand with what encoding/json makes of it.
func TestEncodeMeta(t *testing.T) {
	t.Parallel()
	for _, m := range []Meta{
		{Created: 1, Versions: []Version{{N: 1, At: 1}}},
		{Created: 1_700_000_000_000, Versions: []Version{{N: 9, At: 2, By: "ann"}, {N: 10, At: -3}}},
		{Created: 1, Versions: []Version{{N: 1, At: 1, By: `"a" <b> & \ é` + "\n"}}},
		{Created: 1, Versions: []Version{{N: 1, At: 1, Lost: true}, {N: 2, At: 1, Destroyed: true}, {N: 3, Deleted: 4}}},
		{Created: 1, Description: "what it is for", Expires: 5, Versions: []Version{{N: 1}}, Deleted: &Deletion{At: 7}},
	} {
		got, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := json.Marshal(m); string(got) != string(want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
