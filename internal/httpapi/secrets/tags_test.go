package secrets

import (
	"maps"
	"testing"
	"time"

	"strongroom/internal/secret"
)

// TestTagOf: a tag is another where a caller may see another value, and the same where nothing has changed.
func TestTagOf(t *testing.T) {
	at := time.UnixMilli(1_800_000_000_000)
	first := secret.Snapshot{Version: 7, Changed: at, Secrets: map[string]secret.Secret{"a": {Version: 1, Updated: at},
		"b": {Version: 2, Updated: at}}}
	with := func(key string, s secret.Secret) secret.Snapshot {
		changed := first
		changed.Secrets = maps.Clone(first.Secrets)
		changed.Secrets[key] = s
		return changed
	}
	tag := tagOf(first)
	for name, other := range map[string]secret.Snapshot{
		"another version": with("a", secret.Secret{Version: 2, Updated: at}),
		"the same version of a secret that was made anew": with("a",
			secret.Secret{Version: 1, Updated: at.Add(time.Millisecond)}),
		"one more": with("c", secret.Secret{Version: 1, Updated: at}),
		"none":     {},
	} {
		if tagOf(other) == tag {
			t.Errorf("%s: the tag is the same", name)
		}
	}
	same := first
	same.Version++ // of a secret that is not asked for
	if tagOf(same) != tag || tag == "" {
		t.Errorf("the tag is %s, and was %s", tagOf(same), tag)
	}

	// Without versions of single secrets, the organisation's stands for them; without one, there is no tag.
	whole := secret.Snapshot{Version: 7, Changed: at, Secrets: map[string]secret.Secret{"a": {}}}
	later := whole
	later.Version++
	if tagOf(whole) == "" || tagOf(whole) == tagOf(later) {
		t.Errorf("the tags of two versions are %s and %s", tagOf(whole), tagOf(later))
	}
	if tag := tagOf(secret.Snapshot{Secrets: whole.Secrets}); tag != "" {
		t.Errorf("what cannot be told apart has the tag %s", tag)
	}
}
