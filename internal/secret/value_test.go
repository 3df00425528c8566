package secret_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"strongroom/internal/secret"
)

// hiding has values where package fmt may not call their methods.
type hiding struct {
	value   secret.Value
	pointer *secret.Value
	list    []secret.Value
	array   [1]secret.Value
	byName  map[string]secret.Value
	any     any
	deeper  struct{ secret secret.Secret }
	snap    secret.Snapshot
	change  *secret.Change
}

// A value does not show, wherever it stands and however that is printed.
func TestValueInUnexportedFieldIsRedacted(t *testing.T) {
	const plain = "Tr0ub4dor&3"
	v := secret.NewValue([]byte(plain))
	h := hiding{value: v, pointer: &v, list: []secret.Value{v}, array: [1]secret.Value{v},
		byName: map[string]secret.Value{"a": v}, any: v, change: &secret.Change{Set: map[string]secret.Value{"a": v}}}
	h.deeper.secret.Value = v
	h.snap.Secrets = map[string]secret.Secret{"a": {Value: v}}
	bytes := fmt.Sprint([]byte(plain))
	shows := []string{plain, hex.EncodeToString([]byte(plain)), strings.ToUpper(hex.EncodeToString([]byte(plain))),
		strings.Trim(bytes, "[]"), fmt.Sprintf("%#v", []byte(plain))[7:20], fmt.Sprintf("%q", plain),
		fmt.Sprintf("% x", plain), fmt.Sprintf("%o", []byte(plain)), fmt.Sprintf("%b", []byte(plain))}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "% x", "%q", "%d", "%o", "%b", "%p", "%t",
		"%c", "%U"} {
		for name, x := range map[string]any{
			"a struct": h, "its pointer": &h, "a list": []hiding{h}, "a map": map[string]*hiding{"h": &h},
			"pointers": []*hiding{&h}, "a list of values": h.list, "an anonymous struct": struct{ v secret.Value }{v},
			"a value": v, "its own pointer": &v,
		} {
			out := fmt.Sprintf(verb, x)
			for _, s := range shows {
				if strings.Contains(out, s) {
					t.Errorf("%s of %s shows the value: %.200s", verb, name, out)
					break
				}
			}
		}
	}
	if out, err := json.Marshal(h.list); err != nil || strings.Contains(string(out), plain) {
		t.Errorf("JSON: %s, %v", out, err)
	}
}

// The zero value is an empty one.
func TestZeroValue(t *testing.T) {
	var zero secret.Value
	if zero.Bytes() != nil || zero.Len() != 0 || !zero.Equal(secret.NewValue(nil)) ||
		zero.Equal(secret.NewValue([]byte("x"))) || zero.String() != "[redacted]" {
		t.Errorf("%d bytes, prints %s", zero.Len(), zero)
	}
}
