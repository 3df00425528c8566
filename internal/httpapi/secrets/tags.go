package secrets

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"weak"

	"strongroom/internal/bounded"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// Entity tags, as RFC 9110 has them. That of a secret is its version: "7". That of values is made from the names,
// versions and times of what is in the answer, and from no value, so that it is the same on each server of the
// same data, and is never another answer's: a secret that was removed for good and made anew may have the same
// version, and another time.

// versionTag is the tag of a secret at the version.
func versionTag(version int) string { return `"` + strconv.Itoa(version) + `"` }

// manyTagged is of how many secrets a tag is remembered, and maxTags is how many are: to make that of 1,000 was an
// eighth of what it takes to give out their values.
const (
	manyTagged = 64
	maxTags    = 1000
)

// tags remembers, for each organisation, the tag of its secrets as they were last asked for.
type tags struct {
	mu   sync.Mutex
	last *bounded.Map[id.ID, tagged]
}

// tagged is a tag, and what it is of. A store that gives the very same list of names again, and the same version,
// gives the same secrets. The list is not kept in memory for that.
type tagged struct {
	first   weak.Pointer[string]
	n       int
	version int64
	changed time.Time
	tag     string
}

func newTags() *tags { return &tags{last: bounded.New[id.ID, tagged](maxTags, nil)} }

// of is tagOf.
func (t *tags) of(org id.ID, snap secret.Snapshot) string {
	n := len(snap.Sorted)
	if n < manyTagged || n != len(snap.Secrets) || snap.Version == 0 || snap.Changed.IsZero() {
		return tagOf(snap)
	}
	now := tagged{first: weak.Make(&snap.Sorted[0]), n: n, version: snap.Version, changed: snap.Changed}
	t.mu.Lock()
	was, _ := t.last.Get(org)
	t.mu.Unlock()
	if now.tag = was.tag; now == was {
		return was.tag
	}
	now.tag = tagOf(snap)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last.Put(org, now, 1)
	return now.tag
}

// tagOf is the tag of the values; empty where the store knows no versions and no times.
func tagOf(snap secret.Snapshot) string {
	sum := sha256.New()
	var b []byte   // of one secret
	whole := false // whether the organisation's version stands for what has none of its own
	for _, key := range snap.Names() {
		got := snap.Secrets[key]
		b = number(b[:0], int64(len(key)))
		b = append(b, key...)
		b = number(b, int64(got.Version))
		if !got.Updated.IsZero() {
			b = number(b, got.Updated.UnixNano())
		}
		sum.Write(b)
		whole = whole || got.Version == 0 || got.Updated.IsZero()
	}
	if whole {
		if snap.Version == 0 || snap.Changed.IsZero() {
			return ""
		}
		sum.Write(number(number(b[:0], snap.Version), snap.Changed.UnixNano()))
	}
	return `"` + base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:15]) + `"`
}

func number(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }

func setTag(w http.ResponseWriter, tag string) {
	if tag != "" {
		w.Header()["Etag"] = []string{tag}
	}
}

// noneMatch reports whether the caller has what the tag is of.
func noneMatch(r *http.Request, tag string) bool {
	for _, line := range r.Header["If-None-Match"] {
		for one := range strings.SplitSeq(line, ",") {
			if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); tag != "" && (one == tag || one == "*") {
				return true
			}
		}
	}
	return false
}

// notModified answers that the caller has what there is.
func notModified(w http.ResponseWriter, tag string) {
	setTag(w, tag)
	w.Header()["Cache-Control"] = []string{"no-store"}
	w.WriteHeader(http.StatusNotModified)
}

var versionForm = regexp.MustCompile(`^"([0-9]{1,9})"$`)

// condition reads on what a change depends: on whether secrets exist, or on the version of the one that is changed.
func condition(r *http.Request) (only secret.Condition, version *int, err error) {
	isNew, existing := r.Header.Values("If-None-Match"), r.Header.Values("If-Match")
	switch {
	case len(isNew) == 0 && len(existing) == 0:
		return secret.Anyway, nil, nil
	case len(isNew) == 1 && isNew[0] == "*" && len(existing) == 0:
		return secret.IfNew, nil, nil
	case len(existing) == 1 && existing[0] == "*" && len(isNew) == 0:
		return secret.IfExisting, nil, nil
	case len(existing) == 1 && len(isNew) == 0:
		if m := versionForm.FindStringSubmatch(existing[0]); m != nil {
			n, err := strconv.Atoi(m[1])
			return secret.Anyway, &n, err
		}
	}
	return 0, nil, errs.New(errs.Invalid, "give one of If-None-Match: * (none of the secrets may exist), If-Match: * "+
		"(each must exist) and If-Match: \"7\" (the one secret is at this version); nothing was changed")
}

// onlyVersion is the condition that the one secret is at the version.
func onlyVersion(keys []string, version int) (map[string]int, error) {
	if len(keys) != 1 {
		return nil, errs.New(errs.Invalid, "If-Match with a version is for a change of one secret, and this one "+
			"names %d; nothing was changed", len(keys))
	}
	return map[string]int{keys[0]: version}, nil
}
