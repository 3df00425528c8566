package secrets

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/secret"
)

// TestValuesAreSentWhole sends answers of all sizes around that of the buffer, and reads them back.
func TestValuesAreSentWhole(t *testing.T) {
	for _, lengths := range [][]int{nil, {0}, {5}, {valuesBuffer}, {3 * valuesBuffer}, {valuesBuffer - 20, 10, 10},
		{10, 2 * valuesBuffer, 10}, {valuesBuffer, valuesBuffer, valuesBuffer}, make([]int, 10_000)} {
		values, want := make(map[string]secret.Secret), make(map[string]string)
		for i, n := range lengths {
			key := fmt.Sprintf("key %q %d é", '"', i)
			want[key] = strings.Repeat("v<\n", n/3)
			values[key] = secret.Secret{Value: secret.NewValue([]byte(want[key]))}
		}
		w := httptest.NewRecorder()
		if err := sendValues(w, secret.Snapshot{Secrets: values}); err != nil {
			t.Fatal(err)
		}
		got := make(map[string]string)
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%d values: %v", len(lengths), err)
		}
		if diff := cmp.Diff(want, got); diff != "" || w.Code != 200 ||
			!strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
			t.Errorf("%d values: %d %v\n%.500s", len(lengths), w.Code, w.Header(), diff)
		}
	}
}
