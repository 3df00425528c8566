package cache

import (
	"slices"

	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/content"
)

// Version is what the metadata tell of a secret's present version. It costs more to open and to read than the value.
type Version struct {
	n                int
	created, updated int64 // Unix ms
}

// VersionOf is what was read of a secret's version.
func VersionOf(got secret.Secret) Version {
	return Version{got.Version, content.ToMs(got.Created), content.ToMs(got.Updated)}
}

// VersionsOf gives what was read of the versions of the listed secrets; nil where it is not of all.
func VersionsOf(listed []string, all map[string]secret.Secret) []Version {
	known := make([]Version, len(listed))
	for i, key := range listed {
		got, ok := all[key]
		if !ok {
			return nil
		}
		known[i] = VersionOf(got)
	}
	return known
}

// VersionIn gives what is known of the key's version, which may be the one at i of the list; nil for nothing.
func VersionIn(listed []string, known []Version, i int, key string) *Version {
	if known == nil {
		return nil
	}
	there := i < len(listed) && listed[i] == key
	if !there {
		i, there = slices.BinarySearch(listed, key)
	}
	if !there {
		return nil
	}
	return &known[i]
}

// With is the secret of this version with its value.
func (v Version) With(value secret.Value) secret.Secret {
	return secret.Secret{Value: value, Version: v.n, Created: content.Time(v.created), Updated: content.Time(v.updated)}
}
