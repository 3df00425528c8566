package secrets

import (
	"fmt"
	"maps"
	"slices"
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

// TestTagsRemembered: what is remembered of many secrets is the tag that they have, also after a change of which the
// names tell nothing, and is not told of others.
func TestTagsRemembered(t *testing.T) {
	at := time.UnixMilli(1_800_000_000_000)
	all := secret.Snapshot{Version: 7, Changed: at, Secrets: make(map[string]secret.Secret)}
	for n := range manyTagged {
		name := fmt.Sprintf("key-%03d", n)
		all.Sorted = append(all.Sorted, name)
		all.Secrets[name] = secret.Secret{Version: 1, Updated: at}
	}
	newer := all
	newer.Version, newer.Secrets = 8, maps.Clone(all.Secrets)
	newer.Secrets["key-000"] = secret.Secret{Version: 2, Updated: at}
	anew := all // removed for good and made anew: at the same version, with another list
	anew.Sorted, anew.Secrets = slices.Clone(all.Sorted), maps.Clone(newer.Secrets)
	later := newer
	later.Version, later.Changed, later.Secrets = 7, at.Add(time.Millisecond), maps.Clone(all.Secrets)
	later.Secrets["key-001"] = secret.Secret{Version: 3, Updated: at}
	unversioned := later // where no version tells of a change
	unversioned.Version, unversioned.Secrets = 0, maps.Clone(newer.Secrets)
	few := all // of which the list is no measure
	few.Secrets = maps.Clone(all.Secrets)
	delete(few.Secrets, "key-002")
	known := newTags()
	for range 2 {
		for what, snap := range map[string]secret.Snapshot{"all": all, "newer": newer, "anew": anew, "later": later,
			"unversioned": unversioned, "few": few} {
			for range 2 {
				if got := known.of(1, snap); got != tagOf(snap) {
					t.Errorf("%s: the tag is %s, and it has %s", what, got, tagOf(snap))
				}
			}
			if got := known.of(2, newer); got != tagOf(newer) {
				t.Errorf("another organisation's tag is %s", got)
			}
		}
	}
}
